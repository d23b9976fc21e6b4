// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/kernels/gemm.h"
#include "engine/nn/context.h"

namespace deepwell {

/// Packed weights of a matrix (rows, k) in memory of their own.
class PackedMatrix {
 public:
  PackedMatrix() = default;
  /// `file_rows`: rows of whole blocks, contiguous, k weights each. Packs with all threads.
  PackedMatrix(const WeightFormat& format, std::int64_t rows, std::int64_t k,
               std::span<const std::byte> file_rows, ThreadPool& pool);

  const WeightFormat& format() const { return *format_; }
  std::int64_t rows() const { return rows_; }
  std::int64_t k() const { return k_; }
  std::int64_t groups() const { return (rows_ + kGroupRows - 1) / kGroupRows; }
  std::int64_t group_bytes() const { return group_bytes_; }
  const std::byte* group(std::int64_t g) const { return memory_.get() + g * group_bytes_; }
  std::int64_t bytes() const { return groups() * group_bytes_; }
  bool empty() const { return format_ == nullptr; }

 private:
  struct Unmap {
    std::size_t bytes;
    void operator()(std::byte* memory) const;
  };
  const WeightFormat* format_ = nullptr;
  std::int64_t rows_ = 0, k_ = 0, group_bytes_ = 0;
  std::unique_ptr<std::byte, Unmap> memory_{nullptr, Unmap{0}};
};

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

  std::int64_t rows() const { return weights_.rows(); }
  std::int64_t k() const { return weights_.k(); }
  const PackedMatrix& weights() const { return weights_; }
  bool empty() const { return weights_.empty(); }
  const std::vector<float>& bias() const { return bias_; }

 private:
  friend void multiply(Input&, std::initializer_list<struct Product>, Context&);
  PackedMatrix weights_;
  std::vector<float> bias_;
  Gemm::Fn* fast_ = nullptr;  ///< null: no kernel for this type, go through floats
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
