// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "text/chat/conversation.h"

namespace deepwell {

/// Answers of the Responses API that may be asked for again, or gone on from. In memory, up to a number of
/// bytes: the longest unused go first. One user never sees another's. Thread-safe.
class ResponseStore {
 public:
  explicit ResponseStore(std::size_t bytes_max = 64U << 20) : bytes_max_(bytes_max) {}

  struct Entry {
    std::string user;               ///< whose it is
    std::string json;               ///< the response object
    std::vector<Message> messages;  ///< the conversation with the answer, without instructions
  };
  void put(const std::string& id, Entry entry);
  std::optional<Entry> get(const std::string& id, const std::string& user);
  bool remove(const std::string& id, const std::string& user);

 private:
  struct Kept {
    std::string id;
    Entry entry;
    std::size_t bytes;
  };
  void drop(std::list<Kept>::iterator at);

  const std::size_t bytes_max_;
  std::mutex mutex_;
  std::list<Kept> kept_;  // the latest used first
  std::unordered_map<std::string, std::list<Kept>::iterator> by_id_;
  std::size_t bytes_ = 0;
};

}  // namespace deepwell
