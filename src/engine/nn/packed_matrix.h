// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "engine/nn/slices.h"
#include "engine/quant/weight_format.h"
#include "engine/tensor/row_source.h"

namespace deepwell {

/// Weights of a matrix (rows, k), or of a stack of equal matrices ("slabs": experts, heads), in groups of 16
/// rows as kernels want them. A slab lies packed in memory of this object, or it is rows of the file that are
/// packed whenever they are multiplied: slower, but nothing is written and no memory taken. Packed memory may
/// be sliced over NUMA nodes: all slabs' groups of a node lie together, in its memory.
///
/// Threads   groups() by any; whatever changes a slab never beside it: the engine's thread, between loops.
class PackedMatrix {
 public:
  PackedMatrix() = default;
  /// Packs everything, with all threads. `file_rows`: slabs * rows rows of whole blocks, k weights each.
  PackedMatrix(const WeightFormat& format, std::int64_t rows, std::int64_t k, const TensorRows& file_rows,
               ThreadPool& pool, std::int64_t slabs = 1, std::span<const int> nodes = {});
  /// Packs nothing: `file_rows`, that must outlive this, serve until pack().
  static PackedMatrix unpacked(const WeightFormat& format, std::int64_t rows, std::int64_t k,
                               std::span<const std::byte> file_rows, std::int64_t slabs = 1,
                               std::span<const int> nodes = {});

  const WeightFormat& format() const { return *format_; }
  std::int64_t rows() const { return rows_; }
  std::int64_t k() const { return k_; }
  std::int64_t slabs() const { return slabs_; }
  std::int64_t groups() const { return (rows_ + kGroupRows - 1) / kGroupRows; }  ///< of one slab
  std::int64_t group_bytes() const { return group_bytes_; }
  std::int64_t slab_bytes() const { return groups() * group_bytes_; }
  std::int64_t bytes() const { return slabs_ * slab_bytes(); }
  bool empty() const { return format_ == nullptr; }
  /// Of one slab. One node, or those of every pool that packs or multiplies.
  Slices slices() const { return {groups(), nodes_}; }

  /// A factor of each slab's weights that is not in them: as many as slabs, or none.
  const std::vector<float>& factors() const { return factors_; }
  void set_factors(std::vector<float> factors);

  bool is_packed(std::int64_t slab) const { return file_rows_[static_cast<std::size_t>(slab)] == nullptr; }
  /// A slab that is not packed: its rows in the file.
  std::span<const std::byte> file_rows(std::int64_t slab) const;
  void pack(std::int64_t slab, ThreadPool& pool);
  /// Another place where an unpacked slab's rows are found from now on.
  void lend(std::int64_t slab, const std::byte* file_rows);
  /// Packed groups [first, first + count) of a slab and of one node, one after another: where they lie, or in
  /// memory of the calling thread that its next call uses again.
  const std::byte* groups(std::int64_t slab, std::int64_t first, std::int64_t count) const;

 private:
  struct Unmap {
    std::size_t bytes;
    void operator()(std::byte* memory) const;
  };
  PackedMatrix(const WeightFormat& format, std::int64_t rows, std::int64_t k, std::int64_t slabs,
               std::span<const int> nodes);
  std::int64_t node_offset(std::int64_t node) const;
  std::byte* place(std::int64_t slab, std::int64_t group) const;
  void pack_slabs(const TensorRows& file_rows, std::int64_t first, std::int64_t count, ThreadPool& pool);
  void pack_group(const TensorRows& file_rows, std::int64_t slab, std::int64_t g, std::byte* to) const;

  const WeightFormat* format_ = nullptr;
  std::int64_t rows_ = 0, k_ = 0, slabs_ = 1, group_bytes_ = 0, row_bytes_ = 0;
  int nodes_ = 1;
  std::unique_ptr<std::byte, Unmap> memory_{nullptr, Unmap{0}};  // of all slabs; pages come when written
  std::vector<float> factors_;
  std::vector<const std::byte*> file_rows_;  // of a slab; nullptr: it is packed
};

}  // namespace deepwell
