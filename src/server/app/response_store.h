// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>

#include "base/result.h"
#include "server/app/response_files.h"
#include "text/chat/conversation.h"

namespace deepwell {

/// Answers of the Responses API that may be asked for again, or gone on from. In memory, up to a number of
/// bytes: the longest unused go first; with a folder also on disk, where they outlive the server. One user
/// never sees another's. Thread-safe.
class ResponseStore {
 public:
  explicit ResponseStore(std::size_t bytes_max = 64U << 20) : bytes_max_(bytes_max) {}
  ~ResponseStore();  ///< what was put is written first
  ResponseStore(const ResponseStore&) = delete;
  ResponseStore& operator=(const ResponseStore&) = delete;

  /// Before the first put. Errors: kIo.
  Status keep_in(const std::string& folder, std::int64_t disk_bytes_max = std::int64_t{1} << 30);

  struct Entry {
    std::string user;               ///< whose it is
    std::string json;               ///< the response object
    std::vector<Message> messages;  ///< the conversation with the answer, without instructions
  };
  /// Never waits for the disk.
  void put(const std::string& id, Entry entry);
  std::optional<Entry> get(const std::string& id, const std::string& user);
  bool remove(const std::string& id, const std::string& user);
  /// Waits until what was put is on disk; whether `id` is.
  bool saved(const std::string& id);

 private:
  struct Kept {
    std::string id;
    Entry entry;
    std::size_t bytes;
  };
  void keep(const std::string& id, Entry entry);  // with the lock held
  void drop(std::list<Kept>::iterator at);
  void write();

  const std::size_t bytes_max_;
  std::mutex mutex_;
  std::list<Kept> kept_;  // the latest used first
  std::unordered_map<std::string, std::list<Kept>::iterator> by_id_;
  std::size_t bytes_ = 0;

  // On disk.
  std::unique_ptr<ResponseFiles> files_;
  std::list<std::pair<std::string, Entry>> unwritten_;
  bool writing_ = false, stop_ = false;
  std::condition_variable changed_;
  std::thread writer_;
};

}  // namespace deepwell
