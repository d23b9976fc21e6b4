// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "engine/nn/linear.h"

namespace deepwell {

/// y = w * x / rms(x), row by row.
struct RmsNormLayer {
  std::vector<float> weight;  // (n)
  float eps = 1e-6F;

  /// x, y (rows, n); y may be x.
  void apply(const float* x, std::int64_t rows, float* y, Context& context) const;
};

/// Rows of a table of tokens, or of any other.
class Embedding {
 public:
  Embedding() = default;
  /// Reads rows where they lie in the file, one at a time: the table is not copied.
  Embedding(const WeightFormat& format, TensorRows file_rows, std::int64_t width)
      : format_(&format), rows_(std::move(file_rows)), width_(width) {}
  std::int64_t width() const { return width_; }
  /// out (tokens, width); requires tokens inside the table.
  void lookup(std::span<const std::int32_t> tokens, float* out, Context& context) const;
  /// The system starts to read the rows of these tokens from where the file lies.
  void expect(std::span<const std::int32_t> tokens) const;

 private:
  std::int64_t row_bytes() const;
  const WeightFormat* format_ = nullptr;
  TensorRows rows_;
  std::int64_t width_ = 0;
};

/// y = silu(gate) * up, all (rows, n); y may be gate. A positive limit first keeps gate below it, and up
/// within plus and minus it.
void swiglu(float* gate, float* up, float limit, std::int64_t rows, std::int64_t n, float* y,
            Context& context);
/// The limit's part of the above, of n elements.
void limit_gated(float* gate, float* up, float limit, std::int64_t n);
/// x += y, n elements.
void add(float* x, const float* y, std::int64_t n, Context& context);

}  // namespace deepwell
