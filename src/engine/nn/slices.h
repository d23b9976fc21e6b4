// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "base/thread_plan.h"

namespace deepwell {

/// How a matrix, in groups of rows, is shared out over NUMA nodes: node n has the groups [first(n), first(n +
/// 1)), and its threads multiply them. On other machines there is one node.
struct Slices {
  std::int64_t groups;
  int nodes;

  std::int64_t first(std::int64_t n) const {
    constexpr std::int64_t kTogether = 4;  // groups that kernels of one column take at once
    return n == nodes ? groups : groups * n / nodes / kTogether * kTogether;
  }
  std::int64_t size(std::int64_t n) const { return first(n + 1) - first(n); }
  std::int64_t node_of(std::int64_t group) const {
    std::int64_t n = 0;
    while (first(n + 1) <= group) ++n;
    return n;
  }
};

/// A node's slice in chunks of so many groups.
struct SliceChunks {
  std::int64_t first, end, chunk;

  SliceChunks(const Slices& slices, std::int64_t node, std::int64_t chunk_groups)
      : first(slices.first(node)), end(slices.first(node + 1)), chunk(chunk_groups) {}
  std::int64_t count() const { return (end - first + chunk - 1) / chunk; }
  std::int64_t first_of(std::int64_t i) const { return first + i * chunk; }
  std::int64_t size_of(std::int64_t i) const { return std::min(chunk, end - first_of(i)); }
};

/// Tasks of a loop over several equal matrices, chunk by chunk: each node's own, matrix by matrix.
class SliceTasks {
 public:
  SliceTasks(const Slices& slices, std::int64_t matrices, std::int64_t chunk_groups)
      : slices_(slices), chunk_(chunk_groups) {
    for (int n = 0; n < slices.nodes; ++n)
      bounds_[n + 1] = bounds_[n] + matrices * SliceChunks(slices, n, chunk_groups).count();
  }
  struct Task {
    std::int64_t matrix, first, count;  // groups
  };
  /// As ThreadPool::run wants them.
  std::span<const std::int64_t> bounds() const {
    return {bounds_, static_cast<std::size_t>(slices_.nodes) + 1};
  }
  Task operator[](std::int64_t task) const {
    std::int64_t n = 0;
    while (bounds_[n + 1] <= task) ++n;
    const SliceChunks chunks(slices_, n, chunk_);
    const std::int64_t i = task - bounds_[n], chunk = i % chunks.count();
    return {i / chunks.count(), chunks.first_of(chunk), chunks.size_of(chunk)};
  }

 private:
  Slices slices_;
  std::int64_t chunk_;
  std::int64_t bounds_[kMostNodes + 1] = {};
};

}  // namespace deepwell
