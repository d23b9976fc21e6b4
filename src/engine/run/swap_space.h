// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/kv/page_pool.h"

namespace deepwell {

/// The cache of one sequence outside the pool.
struct SwappedCache {
  struct Page {
    std::unique_ptr<std::byte[]> memory;  // or, where null:
    std::int64_t file_slot = -1;
  };
  std::vector<Page> pages;
  std::vector<std::byte> rolling;
  bool empty() const { return pages.empty(); }
};

/// Where sequences go that must make room: memory up to a limit, then a file that nobody else sees and that
/// is gone with the process. Copying a page costs a thousandth of computing it again.
///
/// Threads   one, the pool's.
class SwapSpace {
 public:
  /// `folder`: of the file; made when first needed.
  SwapSpace(std::int64_t memory_bytes_max, std::string folder)
      : memory_bytes_max_(memory_bytes_max), folder_(std::move(folder)) {}
  ~SwapSpace();
  SwapSpace(const SwapSpace&) = delete;
  SwapSpace& operator=(const SwapSpace&) = delete;

  /// Copies the cache out. False when there is no room: then nothing has changed.
  bool store(const SequenceCache& cache, SwappedCache& out);
  /// Copies it back into a cache that has the pages, and frees the room. False when the file cannot be read.
  bool load(SwappedCache& from, SequenceCache& cache);
  void drop(SwappedCache& swapped);
  std::int64_t bytes() const { return memory_bytes_ + file_bytes_; }

 private:
  bool open_file();
  bool write_page(std::span<const std::byte> bytes, SwappedCache::Page& page);

  const std::int64_t memory_bytes_max_;
  const std::string folder_;
  std::int64_t memory_bytes_ = 0, file_bytes_ = 0, page_bytes_ = 0;
  int file_ = -1;
  bool file_failed_ = false;
  std::int64_t slots_ = 0;
  std::vector<std::int64_t> free_slots_;
};

}  // namespace deepwell
