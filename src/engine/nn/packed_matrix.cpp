// SPDX-License-Identifier: Apache-2.0
#include "engine/nn/packed_matrix.h"

#include <sys/mman.h>

#include <algorithm>
#include <new>
#include <utility>

#include "base/check.h"
#include "base/numa.h"

namespace deepwell {

void PackedMatrix::Unmap::operator()(std::byte* memory) const { ::munmap(memory, bytes); }

PackedMatrix::PackedMatrix(const WeightFormat& format, std::int64_t rows, std::int64_t k, std::int64_t slabs,
                           std::span<const int> nodes)
    : format_(&format),
      rows_(rows),
      k_(k),
      slabs_(slabs),
      group_bytes_(format.group_bytes(k)),
      nodes_(std::max(1, static_cast<int>(nodes.size()))) {
  const TypeInfo& info = type_info(format.type);
  DW_CHECK(k % info.block_elements == 0);
  row_bytes_ = k / info.block_elements * info.block_bytes;
  const auto size = static_cast<std::size_t>(node_offset(nodes_));
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();  // loading a model ends with an error
  if (size >= (std::size_t{2} << 20)) ::madvise(memory, size, MADV_HUGEPAGE);
  memory_ = std::unique_ptr<std::byte, Unmap>(static_cast<std::byte*>(memory), Unmap{size});
  for (int n = 0; n < static_cast<int>(nodes.size()); ++n)
    place_on_node(memory_.get() + node_offset(n),
                  static_cast<std::size_t>(node_offset(n + 1) - node_offset(n)),
                  nodes[static_cast<std::size_t>(n)]);
  file_rows_.assign(static_cast<std::size_t>(slabs), nullptr);
}

/// Where a node's groups begin: at a page, as it takes to place them.
std::int64_t PackedMatrix::node_offset(std::int64_t node) const {
  if (nodes_ == 1) return node * bytes();
  constexpr std::int64_t kPage = 4096;
  std::int64_t offset = 0;
  for (std::int64_t n = 0; n < node; ++n)
    offset += (slabs_ * slices().size(n) * group_bytes_ + kPage - 1) / kPage * kPage;
  return offset;
}

std::byte* PackedMatrix::place(std::int64_t slab, std::int64_t group) const {
  const std::int64_t node = slices().node_of(group);
  return memory_.get() + node_offset(node) +
         (slab * slices().size(node) + group - slices().first(node)) * group_bytes_;
}

PackedMatrix::PackedMatrix(const WeightFormat& format, std::int64_t rows, std::int64_t k,
                           const TensorRows& file_rows, ThreadPool& pool, std::int64_t slabs,
                           std::span<const int> nodes)
    : PackedMatrix(format, rows, k, slabs, nodes) {
  DW_CHECK(file_rows.holds(slabs * rows, row_bytes_));
  pack_slabs(file_rows, 0, slabs, pool);
}

PackedMatrix PackedMatrix::unpacked(const WeightFormat& format, std::int64_t rows, std::int64_t k,
                                    std::span<const std::byte> file_rows, std::int64_t slabs,
                                    std::span<const int> nodes) {
  PackedMatrix matrix(format, rows, k, slabs, nodes);
  const auto slab_bytes = static_cast<std::size_t>(rows * matrix.row_bytes_);
  DW_CHECK(file_rows.size() >= static_cast<std::size_t>(slabs) * slab_bytes);
  for (std::size_t i = 0; i < matrix.file_rows_.size(); ++i)
    matrix.file_rows_[i] = file_rows.data() + i * slab_bytes;
  return matrix;
}

void PackedMatrix::set_factors(std::vector<float> factors) {
  DW_CHECK(factors.empty() || static_cast<std::int64_t>(factors.size()) == slabs_);
  factors_ = std::move(factors);
}

std::span<const std::byte> PackedMatrix::file_rows(std::int64_t slab) const {
  return {file_rows_[static_cast<std::size_t>(slab)], static_cast<std::size_t>(rows_ * row_bytes_)};
}

void PackedMatrix::pack(std::int64_t slab, ThreadPool& pool) {
  DW_CHECK(!is_packed(slab));
  pack_slabs(TensorRows(file_rows(slab)), slab, 1, pool);
  file_rows_[static_cast<std::size_t>(slab)] = nullptr;
}

/// Slabs [first, first + count), whose rows `file_rows` holds. The node that will multiply a group packs it:
/// where the system would not place memory, that decides where it lies.
void PackedMatrix::pack_slabs(const TensorRows& file_rows, std::int64_t first, std::int64_t count,
                              ThreadPool& pool) {
  const SliceTasks tasks({groups(), pool.nodes()}, count, 1);
  pool.run(tasks.bounds(), [&](std::int64_t task, int) {
    const auto [slab, group, one] = tasks[task];
    pack_group(file_rows, slab, group, place(first + slab, group));
  });
}

void PackedMatrix::lend(std::int64_t slab, const std::byte* file_rows) {
  DW_CHECK(!is_packed(slab) && file_rows != nullptr);
  file_rows_[static_cast<std::size_t>(slab)] = file_rows;
}

const std::byte* PackedMatrix::groups(std::int64_t slab, std::int64_t first, std::int64_t count) const {
  if (is_packed(slab)) {
    DW_CHECK(nodes_ == 1 || slices().node_of(first) == slices().node_of(first + count - 1));
    return place(slab, first);
  }
  thread_local std::vector<std::byte> memory;
  memory.resize(static_cast<std::size_t>(count * group_bytes_ + 64));
  std::byte* to = memory.data();
  while (reinterpret_cast<std::uintptr_t>(to) % 64 != 0) ++to;
  const TensorRows from(file_rows(slab));
  for (std::int64_t g = 0; g < count; ++g) pack_group(from, 0, first + g, to + g * group_bytes_);
  return to;
}

/// Group g of a slab; `file_rows` begins with slab 0.
void PackedMatrix::pack_group(const TensorRows& file_rows, std::int64_t slab, std::int64_t g,
                              std::byte* to) const {
  thread_local std::vector<std::byte> made;  // rows that do not lie in the file
  made.resize(static_cast<std::size_t>(kGroupRows * row_bytes_));
  const std::byte* pointers[kGroupRows];
  for (std::int64_t r = 0; r < kGroupRows; ++r) {
    const std::int64_t row = g * kGroupRows + r;
    pointers[r] =
        row < rows_ ? file_rows.at(slab * rows_ + row, row_bytes_, made.data() + r * row_bytes_) : nullptr;
  }
  format_->pack(pointers, k_, to);
}

}  // namespace deepwell
