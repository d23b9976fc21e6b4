// SPDX-License-Identifier: Apache-2.0
#include "engine/nn/packed_matrix.h"

#include <sys/mman.h>

#include <new>
#include <utility>

#include "base/check.h"

namespace deepwell {

void PackedMatrix::Unmap::operator()(std::byte* memory) const { ::munmap(memory, bytes); }

PackedMatrix::PackedMatrix(const WeightFormat& format, std::int64_t rows, std::int64_t k, std::int64_t slabs)
    : format_(&format), rows_(rows), k_(k), slabs_(slabs), group_bytes_(format.group_bytes(k)) {
  const TypeInfo& info = type_info(format.type);
  DW_CHECK(k % info.block_elements == 0);
  row_bytes_ = k / info.block_elements * info.block_bytes;
  const auto size = static_cast<std::size_t>(bytes());
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();  // loading a model ends with an error
  if (size >= (std::size_t{2} << 20)) ::madvise(memory, size, MADV_HUGEPAGE);
  memory_ = std::unique_ptr<std::byte, Unmap>(static_cast<std::byte*>(memory), Unmap{size});
  file_rows_.assign(static_cast<std::size_t>(slabs), nullptr);
}

PackedMatrix::PackedMatrix(const WeightFormat& format, std::int64_t rows, std::int64_t k,
                           const TensorRows& file_rows, ThreadPool& pool, std::int64_t slabs)
    : PackedMatrix(format, rows, k, slabs) {
  DW_CHECK(file_rows.holds(slabs * rows, row_bytes_));
  pool.run(slabs * groups(), [&](std::int64_t index, int) {
    const std::int64_t slab = index / groups(), g = index % groups();
    pack_group(file_rows, slab, g, place(slab) + g * group_bytes_);
  });
}

PackedMatrix PackedMatrix::unpacked(const WeightFormat& format, std::int64_t rows, std::int64_t k,
                                    std::span<const std::byte> file_rows, std::int64_t slabs) {
  PackedMatrix matrix(format, rows, k, slabs);
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
  const TensorRows from(file_rows(slab));
  pool.run(groups(), [&](std::int64_t g, int) { pack_group(from, 0, g, place(slab) + g * group_bytes_); });
  file_rows_[static_cast<std::size_t>(slab)] = nullptr;
}

void PackedMatrix::lend(std::int64_t slab, const std::byte* file_rows) {
  DW_CHECK(!is_packed(slab) && file_rows != nullptr);
  file_rows_[static_cast<std::size_t>(slab)] = file_rows;
}

const std::byte* PackedMatrix::groups(std::int64_t slab, std::int64_t first, std::int64_t count) const {
  if (is_packed(slab)) return place(slab) + first * group_bytes_;
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
