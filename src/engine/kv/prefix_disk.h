// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/result.h"

namespace deepwell {

struct PrefixDiskOptions {
  std::string folder;
  std::int64_t bytes_max = 0;
  /// What else the content of a page depends on than its tokens: the model, the settings, this program.
  std::string version;
  std::int64_t page_bytes = 0, state_bytes = 0;      ///< state_bytes: at most
  std::function<void(const std::string& line)> log;  ///< what an operator should know; from any thread
};

/// Pages of prefixes in a folder, a file each, named by a digest of all the tokens up to their end. They
/// outlive the process: a file appears whole or not at all (written aside, synced, renamed), is checked
/// against its checksum when read, and one that is wrong in any way is a page that is not there. The longest
/// unused go first when the folder reaches its size, and all that is written in a few hours is at most that
/// size again, whatever happens above. Several programs and models may share a folder.
///
/// Threads   one calls; another inside writes.
class PrefixDisk {
 public:
  using Digest = std::array<unsigned char, 32>;

  /// kIo when the folder cannot be made or written in.
  static Result<std::unique_ptr<PrefixDisk>> open(PrefixDiskOptions options);
  ~PrefixDisk();  ///< after what waits is written
  PrefixDisk(const PrefixDisk&) = delete;
  PrefixDisk& operator=(const PrefixDisk&) = delete;

  const Digest& root() const { return root_; }
  /// Of a page after the one named `before`; `key` is its tokens and space.
  static Digest after(const Digest& before, std::string_view key);

  bool has(const Digest& name) const;
  /// False when it is not there after all.
  bool load(const Digest& name, std::span<std::byte> page, std::vector<std::byte>& state);
  /// Copies, and writes later. Nothing happens when it is there, or when too much was written lately.
  void store(const Digest& name, std::span<const std::byte> page, std::span<const std::byte> state);
  void flush();  ///< waits until all that was given is written

  std::int64_t bytes() const;
  std::int64_t written_bytes() const;

 private:
  using Clock = std::chrono::steady_clock;
  struct Hash {
    std::size_t operator()(const Digest& digest) const;
  };
  struct Entry {
    std::int64_t bytes = 0;
    std::uint64_t used = 0;
  };
  struct Job {
    Digest name;
    std::vector<std::byte> page, state;
  };

  explicit PrefixDisk(PrefixDiskOptions options);
  Status take_stock();
  std::string path_of(const Digest& name) const;
  void work();
  Status write(const Job& job);
  bool stamp(int file);
  void forget(const Digest& name);
  void note_use(const Digest& name, std::int64_t bytes);
  void make_room(std::int64_t bytes);
  bool take_budget(std::int64_t bytes);

  const PrefixDiskOptions options_;
  Digest root_{};

  mutable std::mutex mutex_;
  std::condition_variable wake_, written_;
  std::unordered_map<Digest, Entry, Hash> entries_;
  std::map<std::uint64_t, Digest> by_use_;
  std::uint64_t clock_ = 0;
  std::chrono::sys_time<std::chrono::nanoseconds> last_use_{};
  std::int64_t bytes_ = 0, written_bytes_ = 0, queued_bytes_ = 0;
  std::deque<Job> jobs_;
  double budget_bytes_ = 0;
  Clock::time_point budget_at_ = Clock::now();
  bool busy_ = false, stop_ = false, failing_ = false;
  std::thread thread_;
};

}  // namespace deepwell
