// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "engine/kernels/cache_page.h"

namespace deepwell {

/// Cache vectors in 8 bits: element i is step[i] * scale[i / 64], steps of -127 .. 127, scales floats. 8.5
/// bits an element where 64 divides the width, as it does in every released model.
///
/// A vector is its steps, padded to whole floats, then its scales. A page of keys that lies across (attend.h)
/// is its steps (head_dim, kPageTokens), then its scales (blocks, kPageTokens), in as many bytes.
struct CacheQ8 {
  static constexpr std::int64_t kBlock = 64;

  static constexpr std::int64_t blocks(std::int64_t width) { return (width + kBlock - 1) / kBlock; }
  static constexpr std::int64_t steps_bytes(std::int64_t width) { return (width + 3) / 4 * 4; }
  static constexpr std::int64_t vector_bytes(std::int64_t width) {
    return steps_bytes(width) + blocks(width) * static_cast<std::int64_t>(sizeof(float));
  }

  /// Element d of vector t of a page of vectors.
  static float element(const std::byte* page, std::int64_t width, std::int64_t t, std::int64_t d) {
    const std::byte* vector = page + t * vector_bytes(width);
    return value(vector, d, vector + steps_bytes(width), d / kBlock);
  }
  /// Element d of key t of a page of keys.
  static float key_element(const std::byte* page, std::int64_t width, std::int64_t t, std::int64_t d) {
    return value(page, d * kPageTokens + t, page + steps_bytes(width) * kPageTokens,
                 d / kBlock * kPageTokens + t);
  }

 private:
  static float value(const std::byte* steps, std::int64_t step, const std::byte* scales, std::int64_t scale) {
    float s = 0;
    std::memcpy(&s, scales + scale * static_cast<std::int64_t>(sizeof(float)), sizeof(float));
    return static_cast<float>(static_cast<std::int8_t>(steps[step])) * s;
  }
};

}  // namespace deepwell
