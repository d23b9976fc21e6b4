// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <random>
#include <vector>

#include "../kernels/random_weights.h"
#include "engine/nn/linear.h"

namespace deepwell {

/// A matrix of random blocks: packed, and as floats (rows, k).
struct RandomMatrix {
  RandomMatrix(TypeId type, std::int64_t rows, std::int64_t k, unsigned seed, ThreadPool& pool)
      : bytes(random_rows(type, rows, k, seed)), floats(static_cast<std::size_t>(rows * k)) {
    const WeightFormat& format = *find_weight_format(type);
    const TypeInfo& info = type_info(type);
    for (std::int64_t r = 0; r < rows; ++r)
      format.dequantize(bytes.data() + r * k / info.block_elements * info.block_bytes, k,
                        floats.data() + r * k);
    packed = PackedMatrix(format, rows, k, std::span<const std::byte>(bytes), pool);
  }
  std::vector<std::byte> bytes;
  std::vector<float> floats;
  PackedMatrix packed;
};

}  // namespace deepwell
