// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/kernels/gemm.h"
#include "engine/nn/context.h"
#include "engine/tensor/row_source.h"

namespace deepwell {

/// Packed weights of a matrix (rows, k), or of a stack of equal matrices ("slabs": experts, heads), in memory
/// of their own.
class PackedMatrix {
 public:
  PackedMatrix() = default;
  /// `file_rows`: slabs * rows rows of whole blocks, k weights each. Packs with all threads.
  PackedMatrix(const WeightFormat& format, std::int64_t rows, std::int64_t k, const TensorRows& file_rows,
               ThreadPool& pool, std::int64_t slabs = 1);

  const WeightFormat& format() const { return *format_; }
  std::int64_t rows() const { return rows_; }
  std::int64_t k() const { return k_; }
  std::int64_t slabs() const { return slabs_; }
  std::int64_t groups() const { return (rows_ + kGroupRows - 1) / kGroupRows; }  ///< of one slab
  std::int64_t group_bytes() const { return group_bytes_; }
  const std::byte* group(std::int64_t g, std::int64_t slab = 0) const {
    return memory_.get() + (slab * groups() + g) * group_bytes_;
  }
  std::int64_t bytes() const { return slabs_ * groups() * group_bytes_; }
  bool empty() const { return format_ == nullptr; }
  /// A factor of each slab's weights that is not in them: as many as slabs, or none.
  const std::vector<float>& factors() const { return factors_; }
  void set_factors(std::vector<float> factors);

 private:
  struct Unmap {
    std::size_t bytes;
    void operator()(std::byte* memory) const;
  };
  const WeightFormat* format_ = nullptr;
  std::int64_t rows_ = 0, k_ = 0, slabs_ = 1, group_bytes_ = 0;
  std::unique_ptr<std::byte, Unmap> memory_{nullptr, Unmap{0}};
  std::vector<float> factors_;
};

/// A packed matrix with the kernel that multiplies it fastest here.
class PackedProduct {
 public:
  PackedProduct() = default;
  explicit PackedProduct(PackedMatrix weights);

  const PackedMatrix& weights() const { return weights_; }
  /// The form its activations must have.
  Activation activation(bool exact) const;
  /// y[t * y_stride + row] for rows of groups [first, first + count) of a slab and all tokens of the tiles;
  /// y points at row 0 of the slab. Any thread.
  void multiply(std::int64_t slab, std::int64_t first, std::int64_t count,
                std::span<const ActivationTile> tiles, std::int64_t tokens, float* y, std::int64_t y_stride,
                bool accumulate, bool exact) const;
  /// Groups of a task: few enough to stay in cache and to share evenly, enough to be worth a claim.
  std::int64_t chunk_groups(int threads) const;

 private:
  PackedMatrix weights_;
  Gemm::Fn* fast_ = nullptr;  // null: no kernel for this type, or factors: go through floats
};

/// The kernel that makes tiles of a form.
PrepareTile::Fn* prepare_kernel(Activation kind);

/// Rows of activations (tokens, k), row t at data + t * stride, and what Linear makes of them: each quantized
/// form is made once, however many matrices multiply the same input.
class Input {
 public:
  Input(const float* data, std::int64_t tokens, std::int64_t k, std::int64_t stride, Context& context)
      : data_(data), tokens_(tokens), k_(k), stride_(stride), context_(context) {}

  std::int64_t tokens() const { return tokens_; }
  std::int64_t k() const { return k_; }
  const float* row(std::int64_t t) const { return data_ + t * stride_; }
  /// Tiles of up to 12 tokens, in order.
  std::span<const ActivationTile> tiles(Activation kind);

 private:
  const float* data_;
  std::int64_t tokens_, k_, stride_;
  Context& context_;
  std::span<const ActivationTile> tiles_[4];
};

/// y = W x + b.
class Linear {
 public:
  Linear() = default;
  Linear(PackedMatrix weights, std::vector<float> bias);  ///< bias (rows), or empty

  std::int64_t rows() const { return weights().rows(); }
  std::int64_t k() const { return weights().k(); }
  const PackedMatrix& weights() const { return product_.weights(); }
  const PackedProduct& product() const { return product_; }
  bool empty() const { return weights().empty(); }
  const std::vector<float>& bias() const { return bias_; }

 private:
  PackedProduct product_;
  std::vector<float> bias_;
};

/// One matrix of a multiply: y (tokens, rows) at y + t * y_stride.
struct Product {
  const Linear* linear;
  float* y;
  std::int64_t y_stride;
  bool accumulate = false;
};

/// All products of one input in one dispatch.
void multiply(Input& input, std::initializer_list<Product> products, Context& context);

}  // namespace deepwell
