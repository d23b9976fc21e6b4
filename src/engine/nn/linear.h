// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <initializer_list>
#include <memory>
#include <span>
#include <vector>

#include "engine/kernels/gemm.h"
#include "engine/nn/context.h"
#include "engine/nn/packed_matrix.h"

namespace deepwell {

/// A packed matrix with the kernel that multiplies it fastest here.
class PackedProduct {
 public:
  PackedProduct() = default;
  PackedProduct(PackedMatrix weights);  // NOLINT: converts

  const PackedMatrix& weights() const { return *weights_; }
  /// Shared with who packs it later.
  const std::shared_ptr<PackedMatrix>& shared_weights() const { return weights_; }
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
  std::shared_ptr<PackedMatrix> weights_ = std::make_shared<PackedMatrix>();
  Gemm::Fn* fast_ = nullptr;      // null: no kernel for this type, or factors: go through floats
  Gemm::Fn* one_tile_ = nullptr;  // of a type that is widened: for one tile, as it lies
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
  Linear(PackedProduct weights, std::vector<float> bias);  ///< bias (rows), or empty

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
