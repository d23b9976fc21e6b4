// SPDX-License-Identifier: Apache-2.0
#include "engine/nn/layers.h"

#include <algorithm>

#include "engine/kernels/elementwise.h"

namespace deepwell {
namespace {

// Below this many elements a loop is done before another thread would have woken.
constexpr std::int64_t kSpreadElements = 16 * 1024;

/// body(row) for every row, spread over the threads when there is enough to do.
template <class Body>
void for_rows(std::int64_t rows, std::int64_t width, Context& context, Body body) {
  if (rows * width < kSpreadElements) {
    for (std::int64_t row = 0; row < rows; ++row) body(row);
    return;
  }
  const std::int64_t chunk = std::max<std::int64_t>(1, kSpreadElements / 4 / width);
  context.pool.run((rows + chunk - 1) / chunk, [&](std::int64_t task, int) {
    for (std::int64_t row = task * chunk; row < std::min(rows, (task + 1) * chunk); ++row) body(row);
  });
}

}  // namespace

void RmsNormLayer::apply(const float* x, std::int64_t rows, float* y, Context& context) const {
  static RmsNorm::Fn* const kernel = best_kernel<RmsNorm>();
  const auto n = static_cast<std::int64_t>(weight.size());
  for_rows(rows, n, context,
           [&](std::int64_t row) { kernel(x + row * n, weight.data(), eps, n, y + row * n); });
}

std::int64_t Embedding::row_bytes() const {
  const TypeInfo& info = type_info(format_->type);
  return width_ / info.block_elements * info.block_bytes;
}

void Embedding::expect(std::span<const std::int32_t> tokens) const {
  const std::int64_t size = row_bytes();
  for (const std::int64_t token : tokens) {
    DW_CHECK(token >= 0 && rows_.holds(token + 1, size));
    rows_.expect(token, size);
  }
}

void Embedding::lookup(std::span<const std::int32_t> tokens, float* out, Context& context) const {
  const std::int64_t size = row_bytes();
  for_rows(static_cast<std::int64_t>(tokens.size()), width_, context, [&](std::int64_t row) {
    const std::int64_t token = tokens[static_cast<std::size_t>(row)];
    DW_CHECK(token >= 0 && rows_.holds(token + 1, size));
    thread_local std::vector<std::byte> made;  // a row that does not lie in the file
    made.resize(static_cast<std::size_t>(size));
    format_->dequantize(rows_.at(token, size, made.data()), width_, out + row * width_);
  });
}

void limit_gated(float* gate, float* up, float limit, std::int64_t n) {
  if (!(limit > 0)) return;
  for (std::int64_t i = 0; i < n; ++i) {
    gate[i] = std::min(gate[i], limit);
    up[i] = std::clamp(up[i], -limit, limit);
  }
}

void swiglu(float* gate, float* up, float limit, std::int64_t rows, std::int64_t n, float* y,
            Context& context) {
  static SwiGlu::Fn* const kernel = best_kernel<SwiGlu>();
  for_rows(rows, n, context, [&](std::int64_t row) {
    limit_gated(gate + row * n, up + row * n, limit, n);
    kernel(gate + row * n, up + row * n, n, y + row * n);
  });
}

void add(float* x, const float* y, std::int64_t n, Context& context) {
  constexpr std::int64_t kPiece = 4096;
  for_rows((n + kPiece - 1) / kPiece, kPiece, context, [&](std::int64_t piece) {
    const std::int64_t end = std::min(n, (piece + 1) * kPiece);
    for (std::int64_t i = piece * kPiece; i < end; ++i) x[i] += y[i];
  });
}

}  // namespace deepwell
