// SPDX-License-Identifier: Apache-2.0
#include "server/app/chat_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "server/app/kept_files.h"

namespace deepwell {
namespace {
using nlohmann::json;

constexpr int kVersion = 1;  // of the tables; kept in the file as user_version
constexpr const char* kTables = R"(
CREATE TABLE IF NOT EXISTS chats(
  user TEXT NOT NULL, id TEXT NOT NULL, title TEXT NOT NULL DEFAULT '', created INTEGER NOT NULL DEFAULT 0,
  updated INTEGER NOT NULL DEFAULT 0, state TEXT NOT NULL DEFAULT '{}', bytes INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY(user, id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS chats_by_time ON chats(user, updated);
CREATE TABLE IF NOT EXISTS messages(
  user TEXT NOT NULL, chat TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL, text TEXT NOT NULL,
  PRIMARY KEY(user, chat, id));
PRAGMA user_version = 1;)";

// '%' and '_' of the text are meant as they stand.
std::string as_pattern(std::string_view text) {
  std::string pattern = "%";
  for (const char c : text) {
    if (c == '%' || c == '_' || c == '\\') pattern += '\\';
    pattern += c;
  }
  return pattern + "%";
}

json parsed(const std::string& text) {
  json value = json::parse(text, nullptr, false);
  return value.is_object() ? value : json::object();
}

Error absent(const std::string& id) {
  return {ErrorCode::kNotFound, fmt::format("there is no chat '{}' here", id.substr(0, 100))};
}
}  // namespace

/// One statement, its values bound in order. Texts must outlive it.
class ChatStore::Query {
 public:
  Query(const ChatStore& store, const char* sql) : store_(store) {
    ok_ = sqlite3_prepare_v2(store.database_, sql, -1, &statement_, nullptr) == SQLITE_OK;
  }
  ~Query() { sqlite3_finalize(statement_); }
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;

  Query& bind(const std::string& text) {
    ok_ = ok_ && sqlite3_bind_text64(statement_, ++bound_, text.data(), text.size(), SQLITE_STATIC,
                                     SQLITE_UTF8) == SQLITE_OK;
    return *this;
  }
  Query& bind(std::int64_t number) {
    ok_ = ok_ && sqlite3_bind_int64(statement_, ++bound_, number) == SQLITE_OK;
    return *this;
  }
  /// Whether there is one more row.
  Result<bool> next() {
    const int state = ok_ ? sqlite3_step(statement_) : SQLITE_ERROR;
    if (state == SQLITE_ROW) return true;
    if (state == SQLITE_DONE) return false;
    return store_.failure();
  }
  Status done() {
    DW_TRY([[maybe_unused]] const bool row, next());
    return Done{};
  }
  std::string text(int column) const {
    const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
    return bytes == nullptr
               ? std::string()
               : std::string(bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement_, column)));
  }
  std::int64_t number(int column) const { return sqlite3_column_int64(statement_, column); }

 private:
  const ChatStore& store_;
  sqlite3_stmt* statement_ = nullptr;
  int bound_ = 0;
  bool ok_ = false;
};

Error ChatStore::failure() const {
  const int code = sqlite3_errcode(database_) & 0xFF;
  return {code == SQLITE_NOTADB || code == SQLITE_CORRUPT ? ErrorCode::kCorrupt : ErrorCode::kIo,
          fmt::format("the chats cannot be read or written: {}", sqlite3_errmsg(database_))};
}

Status ChatStore::run(const char* sql) const {
  if (sqlite3_exec(database_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return failure();
  return Done{};
}

Result<std::unique_ptr<ChatStore>> ChatStore::open(const std::string& path, std::int64_t user_bytes_max) {
  // Made here so that nobody else may read it; what SQLite puts beside it gets the same rights.
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) {
    const std::error_code why(errno, std::generic_category());
    return Error{ErrorCode::kIo, fmt::format("cannot open {}: {}; {}", path, why.message(), advice_for(why))};
  }
  ::close(file);
  sqlite3* database = nullptr;
  const int opened = sqlite3_open_v2(path.c_str(), &database, SQLITE_OPEN_READWRITE, nullptr);
  std::unique_ptr<ChatStore> store(new ChatStore(database, user_bytes_max));
  const auto refused = [&](const std::string& reason) {
    // A full disk says either of these; whatever is in the file, moving it away would not help.
    const int code = sqlite3_errcode(database) & 0xFF;
    if (code == SQLITE_FULL || code == SQLITE_IOERR)
      return Error{ErrorCode::kIo,
                   fmt::format("{} cannot be written: {}; make room on its disk, or give --data-dir a folder "
                               "on another",
                               path, reason)};
    return Error{ErrorCode::kCorrupt,
                 fmt::format("{} cannot be used: {}; move it away to start with none", path, reason)};
  };
  if (opened != SQLITE_OK) return refused(sqlite3_errmsg(database));
  sqlite3_busy_timeout(database, 5000);
  if (const Status set = store->run("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"); !set)
    return refused(sqlite3_errmsg(database));
  Query version(*store, "PRAGMA user_version");
  const Result<bool> row = version.next();
  if (!row || !*row) return refused(sqlite3_errmsg(database));
  if (version.number(0) > kVersion) return refused("a later Deepwell wrote it");
  if (version.number(0) < kVersion) {
    if (const Status made = store->run(kTables); !made) return refused(sqlite3_errmsg(database));
  }
  return store;
}

ChatStore::~ChatStore() { sqlite3_close_v2(database_); }

Result<json> ChatStore::list(const std::string& user, const std::string& text) const {
  const std::lock_guard lock(mutex_);
  const std::string pattern = as_pattern(text);
  // The excerpt starts a little before what was found.
  Query query(*this, text.empty() ? R"(
SELECT id, title, created, updated, '' FROM chats WHERE user = ?1 ORDER BY updated DESC LIMIT 1000)"
                                  : R"(
SELECT id, title, created, updated,
  coalesce((SELECT substr(text, max(1, instr(lower(text), lower(?3)) - 24), 120) FROM messages
    WHERE messages.user = ?1 AND chat = chats.id AND text LIKE ?2 ESCAPE '\' LIMIT 1), '') AS found
FROM chats WHERE user = ?1 AND (title LIKE ?2 ESCAPE '\' OR found != '') ORDER BY updated DESC LIMIT 1000)");
  query.bind(user);
  if (!text.empty()) query.bind(pattern).bind(text);
  json chats = json::array();
  while (true) {
    DW_TRY(const bool row, query.next());
    if (!row) return chats;
    json chat = {{"id", query.text(0)},
                 {"title", query.text(1)},
                 {"created", query.number(2)},
                 {"updated", query.number(3)}};
    if (std::string found = query.text(4); !found.empty()) chat["found"] = std::move(found);
    chats.push_back(std::move(chat));
  }
}

Result<json> ChatStore::find(const std::string& user, const std::string& id) const {
  const std::lock_guard lock(mutex_);
  Query head(*this, "SELECT title, created, updated, state FROM chats WHERE user = ? AND id = ?");
  DW_TRY(const bool known, head.bind(user).bind(id).next());
  if (!known) return absent(id);
  json chat = {{"id", id},
               {"title", head.text(0)},
               {"created", head.number(1)},
               {"updated", head.number(2)},
               {"state", parsed(head.text(3))},
               {"messages", json::array()}};
  Query messages(*this, "SELECT body FROM messages WHERE user = ? AND chat = ? ORDER BY rowid");
  messages.bind(user).bind(id);
  while (true) {
    DW_TRY(const bool row, messages.next());
    if (!row) return chat;
    chat["messages"].push_back(parsed(messages.text(0)));
  }
}

Status ChatStore::change(const std::string& user, const std::string& id, const ChatChange& change) {
  const std::lock_guard lock(mutex_);
  DW_RETURN_IF_ERROR(run("BEGIN IMMEDIATE"));
  Status written = write(user, id, change);
  if (written) written = run("COMMIT");
  if (!written) {
    const Status back = run("ROLLBACK");  // SQLite has done so itself where the disk is full
    static_cast<void>(back);
  }
  return written;
}

Status ChatStore::write(const std::string& user, const std::string& id, const ChatChange& change) {
  DW_RETURN_IF_ERROR(Query(*this, "INSERT INTO chats(user, id) VALUES(?, ?) ON CONFLICT DO NOTHING")
                         .bind(user)
                         .bind(id)
                         .done());
  const auto set = [&](const char* sql, const auto& value) -> Status {
    if (!value) return Done{};
    return Query(*this, sql).bind(*value).bind(user).bind(id).done();
  };
  DW_RETURN_IF_ERROR(set("UPDATE chats SET title = ? WHERE user = ? AND id = ?", change.title));
  DW_RETURN_IF_ERROR(set("UPDATE chats SET created = ? WHERE user = ? AND id = ?", change.created_ms));
  DW_RETURN_IF_ERROR(set("UPDATE chats SET updated = ? WHERE user = ? AND id = ?", change.updated_ms));
  DW_RETURN_IF_ERROR(set("UPDATE chats SET state = ? WHERE user = ? AND id = ?", change.state));
  for (const ChatChange::Message& message : change.messages) {
    DW_RETURN_IF_ERROR(
        Query(*this,
              "INSERT INTO messages(user, chat, id, body, text) VALUES(?, ?, ?, ?, ?) "
              "ON CONFLICT(user, chat, id) DO UPDATE SET body = excluded.body, text = excluded.text")
            .bind(user)
            .bind(id)
            .bind(message.id)
            .bind(message.body)
            .bind(message.text)
            .done());
  }
  // A row takes some room even when it is empty.
  DW_RETURN_IF_ERROR(Query(*this, R"(
UPDATE chats SET bytes = 200 + length(CAST(title AS BLOB)) + length(CAST(state AS BLOB)) +
  (SELECT coalesce(sum(200 + length(CAST(body AS BLOB)) + length(CAST(text AS BLOB))), 0) FROM messages WHERE user = ?1 AND chat = ?2)
WHERE user = ?1 AND id = ?2)")
                         .bind(user)
                         .bind(id)
                         .done());
  Query sum(*this, "SELECT sum(bytes) FROM chats WHERE user = ?");
  DW_TRY([[maybe_unused]] const bool row, sum.bind(user).next());
  if (sum.number(0) > user_bytes_max_)
    return Error{ErrorCode::kInvalid, "your chats fill all the room there is for them; delete some"};
  return Done{};
}

Status ChatStore::remove(const std::string& user, const std::string& id) {
  const std::lock_guard lock(mutex_);
  DW_RETURN_IF_ERROR(run("BEGIN IMMEDIATE"));
  Status removed =
      Query(*this, "DELETE FROM messages WHERE user = ? AND chat = ?").bind(user).bind(id).done();
  if (removed)
    removed = Query(*this, "DELETE FROM chats WHERE user = ? AND id = ?").bind(user).bind(id).done();
  const bool found = removed.ok() && sqlite3_changes(database_) > 0;
  const Status ended = run(removed.ok() ? "COMMIT" : "ROLLBACK");
  if (!removed) return removed;
  if (!ended) return ended;
  if (!found) return absent(id);
  return Done{};
}

}  // namespace deepwell
