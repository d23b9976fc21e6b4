// SPDX-License-Identifier: Apache-2.0
#include "engine/nn/late_packing.h"

#include <utility>

namespace deepwell {

void LatePacking::add(std::shared_ptr<PackedMatrix> matrix, Release release) {
  std::deque<Waiting>& queue = matrix->slabs() == 1 ? whole_ : stacks_;
  queue.push_back({std::move(matrix), std::move(release)});
}

void LatePacking::pack(std::int64_t bytes, ThreadPool& pool) {
  while (bytes > 0 && !done()) {
    std::deque<Waiting>& queue = whole_.empty() ? stacks_ : whole_;
    Waiting& next = queue.front();
    PackedMatrix& matrix = *next.matrix;
    const std::span<const std::byte> file_rows = matrix.file_rows(next.slab);
    matrix.pack(next.slab, pool);
    next.release(file_rows);
    bytes -= matrix.slab_bytes();
    if (++next.slab == matrix.slabs()) queue.pop_front();
  }
}

}  // namespace deepwell
