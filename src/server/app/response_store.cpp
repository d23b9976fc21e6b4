// SPDX-License-Identifier: Apache-2.0
#include "server/app/response_store.h"

#include "server/app/message_json.h"

namespace deepwell {
namespace {
using nlohmann::json;

std::size_t size_of(const ResponseStore::Entry& entry) {
  std::size_t bytes = sizeof entry + entry.json.size();
  for (const Message& message : entry.messages) {
    bytes += sizeof message + message.content.size() + message.reasoning.value_or("").size();
    for (const ToolCall& call : message.tool_calls)
      bytes += sizeof call + call.arguments.size() + call.name.size();
  }
  return bytes;
}

std::string text_of(const ResponseStore::Entry& entry) {
  return json(
             {{"user", entry.user}, {"response", entry.json}, {"messages", messages_to_json(entry.messages)}})
      .dump(-1, ' ', false, json::error_handler_t::replace);
}

std::optional<ResponseStore::Entry> entry_of(const std::string& text) {
  const json read = json::parse(text, nullptr, false);
  if (!read.is_object() || !read.value("user", json()).is_string() ||
      !read.value("response", json()).is_string())
    return std::nullopt;
  auto messages = messages_from_json(read.value("messages", json()));
  if (!messages) return std::nullopt;
  return ResponseStore::Entry{read["user"].get<std::string>(), read["response"].get<std::string>(),
                              std::move(*messages)};
}
}  // namespace

Status ResponseStore::keep_in(const std::string& folder, std::int64_t disk_bytes_max) {
  DW_TRY(files_, ResponseFiles::open(folder, disk_bytes_max));
  writer_ = std::thread([this] { write(); });
  return Done{};
}

ResponseStore::~ResponseStore() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  if (writer_.joinable()) writer_.join();
}

void ResponseStore::write() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stop_ || !unwritten_.empty(); });
    if (unwritten_.empty()) return;
    const auto [id, entry] = std::move(unwritten_.front());
    unwritten_.pop_front();
    writing_ = true;
    lock.unlock();
    // What the disk has no room for lives as long as memory keeps it.
    [[maybe_unused]] const Status written = files_->put(id, text_of(entry));
    lock.lock();
    writing_ = false;
    changed_.notify_all();
  }
}

bool ResponseStore::saved(const std::string& id) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return unwritten_.empty() && !writing_; });
  return files_ != nullptr && files_->contains(id);
}

void ResponseStore::put(const std::string& id, Entry entry) {
  {
    const std::lock_guard lock(mutex_);
    if (by_id_.contains(id)) return;
    if (files_ != nullptr) unwritten_.emplace_back(id, entry);
    keep(id, std::move(entry));
  }
  changed_.notify_all();
}

void ResponseStore::keep(const std::string& id, Entry entry) {
  const std::size_t bytes = size_of(entry);
  if (bytes > bytes_max_) return;
  kept_.push_front({id, std::move(entry), bytes});
  by_id_[id] = kept_.begin();
  bytes_ += bytes;
  while (bytes_ > bytes_max_) drop(std::prev(kept_.end()));
}

std::optional<ResponseStore::Entry> ResponseStore::get(const std::string& id, const std::string& user) {
  const std::lock_guard lock(mutex_);
  const auto found = by_id_.find(id);
  if (found != by_id_.end()) {
    if (found->second->entry.user != user) return std::nullopt;
    kept_.splice(kept_.begin(), kept_, found->second);
    return found->second->entry;
  }
  const auto text = files_ != nullptr ? files_->get(id) : std::nullopt;
  auto entry = text ? entry_of(*text) : std::nullopt;
  if (!entry || entry->user != user) return std::nullopt;
  keep(id, *entry);
  return entry;
}

bool ResponseStore::remove(const std::string& id, const std::string& user) {
  if (!get(id, user)) return false;
  if (files_ != nullptr) saved(id);  // not while it is being written
  const std::lock_guard lock(mutex_);
  if (files_ != nullptr) files_->remove(id);
  if (const auto found = by_id_.find(id); found != by_id_.end()) drop(found->second);
  return true;
}

void ResponseStore::drop(std::list<Kept>::iterator at) {
  bytes_ -= at->bytes;
  by_id_.erase(at->id);
  kept_.erase(at);
}

}  // namespace deepwell
