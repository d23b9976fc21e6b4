// SPDX-License-Identifier: Apache-2.0
#include "engine/nn/rope.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "engine/kernels/elementwise.h"

namespace deepwell {

Rope::Rope(RopeLayout layout, std::vector<double> frequencies, float magnitude)
    : layout_(layout), frequencies_(std::move(frequencies)), magnitude_(magnitude) {}

Rope::Table Rope::table(std::span<const std::int32_t> positions, Context& context) const {
  const std::int64_t n = pairs();
  float* cosine = context.scratch.take<float>(static_cast<std::int64_t>(positions.size()) * n);
  float* sine = context.scratch.take<float>(static_cast<std::int64_t>(positions.size()) * n);
  const auto row = [&](std::int64_t t, int) {
    for (std::int64_t i = 0; i < n; ++i) {
      const double angle = frequencies_[static_cast<std::size_t>(i)] * positions[static_cast<std::size_t>(t)];
      cosine[t * n + i] = static_cast<float>(std::cos(angle)) * magnitude_;
      sine[t * n + i] = static_cast<float>(std::sin(angle)) * magnitude_;
    }
  };
  if (positions.size() < 16)
    for (std::size_t t = 0; t < positions.size(); ++t) row(static_cast<std::int64_t>(t), 0);
  else
    context.pool.run(static_cast<std::int64_t>(positions.size()), row);
  return {cosine, sine};
}

Rope::Table Rope::inverse(const Table& table, std::int64_t tokens, std::int64_t pairs, Context& context) {
  float* sine = context.scratch.take<float>(tokens * pairs);
  std::transform(table.sine, table.sine + tokens * pairs, sine, std::negate<>());
  return {table.cosine, sine};
}

void Rope::rotate(float* head, const Table& table, std::int64_t token) const {
  static RotatePairs::Fn* const by_pairs = best_kernel<RotatePairs>();
  static RotateHalves::Fn* const by_halves = best_kernel<RotateHalves>();
  const std::int64_t n = pairs();
  (layout_ == RopeLayout::kPairs ? by_pairs : by_halves)(head, table.cosine + token * n,
                                                         table.sine + token * n, n);
}

}  // namespace deepwell
