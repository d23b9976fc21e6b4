// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace deepwell {

/// Where bytes lie on disk.
struct FilePlace {
  std::string path;
  std::int64_t offset = 0;
};

/// Reads parts of files past the page cache, many at a time (O_DIRECT, io_uring); where the system has
/// neither, one after another and through the cache. Errors of a disk and files that became shorter are a
/// Status, not a signal. One thread.
class DirectReader {
 public:
  static constexpr std::int64_t kAlign = 4096;
  /// Room that a buffer needs for `bytes` at any offset.
  static constexpr std::int64_t room(std::int64_t bytes) {
    return (bytes + 3 * kAlign - 1) / kAlign * kAlign;
  }

  /// A part on its way. Stays where it is from start() to the end of wait().
  struct Read {
    int file = 0;  ///< index of a path
    std::int64_t offset = 0, bytes = 0;
    std::byte* buffer = nullptr;  ///< aligned to kAlign, with room(bytes)
    const std::byte* data() const { return buffer + offset % kAlign; }

    int pieces = 0;  ///< not yet read
    std::string failure;
  };

  /// `ring`: false does without io_uring.
  static Result<std::unique_ptr<DirectReader>> open(std::vector<std::string> paths, bool ring = true);
  ~DirectReader();
  DirectReader(const DirectReader&) = delete;
  DirectReader& operator=(const DirectReader&) = delete;

  void start(Read& read);
  /// The bytes are at read.data(), or kIo.
  Status wait(Read& read);
  bool has_ring() const { return ring_ != nullptr; }

 private:
  struct Ring;
  struct Piece {
    Read* read;
    std::int64_t offset, length, needed;  // whole pages of the file; of them wanted
    std::byte* to;
  };
  DirectReader() = default;
  void submit();
  void reap(bool wait_for_one);
  void finish(Piece piece, std::int64_t result);
  void read_now(const Piece& piece);

  std::vector<std::string> paths_;
  std::vector<int> descriptors_;
  std::deque<Piece> waiting_;
  std::vector<Piece> flying_;   // those in the ring; user data is the index
  std::vector<unsigned> free_;  // places of flying_
  std::unique_ptr<Ring> ring_;
};

}  // namespace deepwell
