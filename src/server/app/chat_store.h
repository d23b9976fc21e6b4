// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>

#include "base/result.h"
#include "server/request/chat_change.h"

struct sqlite3;

namespace deepwell {

/// Chats of the page, in one SQLite file: what was answered to a call survives a kill. One user never sees
/// another's. Thread-safe.
class ChatStore {
 public:
  static constexpr std::int64_t kUserBytesMax = std::int64_t{1} << 30;

  /// Makes the file if need be. Errors: kIo, kCorrupt (not such a file; it stays as it is).
  static Result<std::unique_ptr<ChatStore>> open(const std::string& path,
                                                 std::int64_t user_bytes_max = kUserBytesMax);
  ~ChatStore();
  ChatStore(const ChatStore&) = delete;
  ChatStore& operator=(const ChatStore&) = delete;

  /// The 1,000 latest without their messages; `text` not empty: those whose title or messages have it, each
  /// with an excerpt as "found". Errors, here and below: kIo.
  Result<nlohmann::json> list(const std::string& user, const std::string& text) const;
  /// With messages. Errors: kNotFound.
  Result<nlohmann::json> find(const std::string& user, const std::string& id) const;
  /// Makes the chat if need be; all of the change or nothing. Errors: kInvalid (the user's share is full).
  Status change(const std::string& user, const std::string& id, const ChatChange& change);
  /// Errors: kNotFound.
  Status remove(const std::string& user, const std::string& id);

 private:
  class Query;
  ChatStore(sqlite3* database, std::int64_t user_bytes_max)
      : database_(database), user_bytes_max_(user_bytes_max) {}
  Status run(const char* sql) const;
  Error failure() const;
  Status write(const std::string& user, const std::string& id, const ChatChange& change);

  sqlite3* const database_;
  const std::int64_t user_bytes_max_;
  mutable std::mutex mutex_;
};

}  // namespace deepwell
