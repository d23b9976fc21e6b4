// SPDX-License-Identifier: Apache-2.0
#include "server/app/response_store.h"

namespace deepwell {
namespace {
std::size_t size_of(const ResponseStore::Entry& entry) {
  std::size_t bytes = sizeof entry + entry.json.size();
  for (const Message& message : entry.messages) {
    bytes += sizeof message + message.content.size() + message.reasoning.value_or("").size();
    for (const ToolCall& call : message.tool_calls)
      bytes += sizeof call + call.arguments.size() + call.name.size();
  }
  return bytes;
}
}  // namespace

void ResponseStore::put(const std::string& id, Entry entry) {
  const std::size_t bytes = size_of(entry);
  const std::lock_guard lock(mutex_);
  if (bytes > bytes_max_ || by_id_.contains(id)) return;
  kept_.push_front({id, std::move(entry), bytes});
  by_id_[id] = kept_.begin();
  bytes_ += bytes;
  while (bytes_ > bytes_max_) drop(std::prev(kept_.end()));
}

std::optional<ResponseStore::Entry> ResponseStore::get(const std::string& id, const std::string& user) {
  const std::lock_guard lock(mutex_);
  const auto found = by_id_.find(id);
  if (found == by_id_.end() || found->second->entry.user != user) return std::nullopt;
  kept_.splice(kept_.begin(), kept_, found->second);
  return found->second->entry;
}

bool ResponseStore::remove(const std::string& id, const std::string& user) {
  const std::lock_guard lock(mutex_);
  const auto found = by_id_.find(id);
  if (found == by_id_.end() || found->second->entry.user != user) return false;
  drop(found->second);
  return true;
}

void ResponseStore::drop(std::list<Kept>::iterator at) {
  bytes_ -= at->bytes;
  by_id_.erase(at->id);
  kept_.erase(at);
}

}  // namespace deepwell
