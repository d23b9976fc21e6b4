// SPDX-License-Identifier: Apache-2.0
#include "engine/nn/engram.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace deepwell {
namespace {

constexpr std::int64_t kLanes = 16;
constexpr float kLeastAgreement = 1e-6F;

/// Sums of products of n elements. Lanes are summed apart, so that the compiler may take them together.
struct Sums {
  double agreement = 0, x = 0, key = 0;

  static Sums of(const float* x, const float* weight, const float* key, std::int64_t n) {
    std::array<float, kLanes> agreements{}, xs{}, keys{};
    const auto add = [&](std::int64_t i, std::size_t lane) {
      agreements[lane] += x[i] * weight[i] * key[i];
      xs[lane] += x[i] * x[i];
      keys[lane] += key[i] * key[i];
    };
    std::int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes)
      for (std::size_t lane = 0; lane < kLanes; ++lane) add(i + static_cast<std::int64_t>(lane), lane);
    for (std::size_t lane = 0; i < n; ++i, ++lane) add(i, lane);
    Sums sums;
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      sums.agreement += double{agreements[lane]};
      sums.x += double{xs[lane]};
      sums.key += double{keys[lane]};
    }
    return sums;
  }
};

/// How much of the value a stream takes: the root of how far it and the key agree, with its sign, between 0
/// and 1.
float gate_of(const Sums& sums, std::int64_t n, float eps) {
  const auto count = static_cast<double>(n);
  const double norms = std::sqrt(sums.x / count + double{eps}) * std::sqrt(sums.key / count + double{eps});
  const auto agreement = static_cast<float>(sums.agreement / norms / std::sqrt(count));
  const float root = std::sqrt(std::max(std::abs(agreement), kLeastAgreement));
  return 1.0F / (1.0F + std::exp(-std::copysign(root, agreement)));
}

}  // namespace

const std::int32_t* Engram::find(const std::int32_t* runs, std::int64_t rows, Context& context) const {
  auto* const places = context.scratch.take<std::int32_t>(rows * columns());  // (rows, length - 1, heads)
  std::int32_t* place = places;
  for (std::int64_t row = 0; row < rows; ++row, runs += length) {
    std::uint64_t hash = 0;
    std::size_t column = 0;
    for (std::int64_t i = 0; i < length; ++i) {
      const std::int32_t id = runs[i] < 0 ? tokens->pad : tokens->ids[static_cast<std::size_t>(runs[i])];
      hash ^= static_cast<std::uint64_t>(id) * multipliers[static_cast<std::size_t>(i)];
      for (std::int64_t head = 0; i > 0 && head < heads; ++head, ++column)
        *place++ = static_cast<std::int32_t>(hash % primes[column] + offsets[column]);
    }
  }
  table.expect({places, static_cast<std::size_t>(rows * columns())});
  return places;
}

void Engram::add_to(const std::int32_t* places, std::int64_t rows, float* x, Context& context) const {
  const ScratchScope scope(context.scratch);
  const std::int64_t k = key_value.k(), made = key_value.rows(), at_once = std::min(rows, kRowsAtOnce);
  float* const memory = context.scratch.take<float>(at_once * k);             // (rows, columns, key_length)
  float* const keys_and_value = context.scratch.take<float>(at_once * made);  // (rows, streams + 1, width)
  for (std::int64_t first = 0; first < rows; first += at_once) {
    const ScratchScope inner(context.scratch);
    const std::int64_t count = std::min(at_once, rows - first);
    table.lookup({places + first * columns(), static_cast<std::size_t>(count * columns())}, memory, context);
    Input input(memory, count, k, k, context);
    multiply(input, {{&key_value, keys_and_value, made}}, context);
    context.pool.run(count, [&](std::int64_t row, int) {
      const float* const keys = keys_and_value + row * made;
      const float* const value = keys + streams * width;
      for (std::int64_t stream = 0; stream < streams; ++stream) {
        float* const to = x + ((first + row) * streams + stream) * width;
        const Sums sums = Sums::of(to, agreement.data() + stream * width, keys + stream * width, width);
        const float gate = gate_of(sums, width, eps);
        for (std::int64_t i = 0; i < width; ++i) to[i] += gate * value[i];
      }
    });
  }
}

}  // namespace deepwell
