// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>

#include "engine/nn/packed_matrix.h"

namespace deepwell {

/// Matrices that were loaded unpacked, to be packed in small pieces when there is time: the first answer does
/// not wait for gigabytes that it may never use. Matrices that every token passes come before experts.
///
/// Threads   as PackedMatrix: the engine's, between steps.
class LatePacking {
 public:
  /// Tells that these bytes of the file were packed and are not read any more.
  using Release = std::function<void(std::span<const std::byte>)>;

  void add(std::shared_ptr<PackedMatrix> matrix, Release release);
  /// Packs pieces of together at least `bytes`, or all that is left.
  void pack(std::int64_t bytes, ThreadPool& pool);
  bool done() const { return whole_.empty() && stacks_.empty(); }

 private:
  struct Waiting {
    std::shared_ptr<PackedMatrix> matrix;
    Release release;
    std::int64_t slab = 0;  // the next
  };
  std::deque<Waiting> whole_, stacks_;
};

}  // namespace deepwell
