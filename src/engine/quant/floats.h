// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/quant/packing.h"

namespace deepwell {

/// F32, F16 and BF16: weights as they are. `Codec` has Stored (the type in the file) and to_float.
/// Packed plane of a group: (k, 16 rows) Stored; BF16 pairs k: (k/2, 16 rows, 2), k rounded up to even.
template <class Codec, int kPair>
struct Floats {
  using Stored = typename Codec::Stored;
  static constexpr std::int64_t kBytes = sizeof(Stored);

  static std::int64_t at(std::int64_t i, int r) {
    return ((i / kPair * kGroupRows + r) * kPair + i % kPair) * kBytes;
  }
  static std::int64_t group_bytes(std::int64_t k) {
    return round_up(round_up(k, kPair) * kGroupRows * kBytes, 64);
  }

  static void dequantize(const std::byte* row, std::int64_t n, float* out) {
    for (std::int64_t i = 0; i < n; ++i) out[i] = Codec::to_float(load_as<Stored>(row + i * kBytes));
  }
  static void pack(const std::byte* const* rows, std::int64_t k, std::byte* group) {
    for (int r = 0; r < kGroupRows; ++r)
      for (std::int64_t i = 0; i < round_up(k, kPair); ++i)
        store_as<Stored>(group + at(i, r),
                         rows[r] == nullptr || i >= k ? Stored{} : load_as<Stored>(rows[r] + i * kBytes));
  }
  static void unpack(const std::byte* group, std::int64_t k, float* out) {
    for (std::int64_t i = 0; i < k; ++i)
      for (int r = 0; r < kGroupRows; ++r)
        out[i * kGroupRows + r] = Codec::to_float(load_as<Stored>(group + at(i, r)));
  }
  static WeightFormat format(TypeId type, Activation activation) {
    return {type, activation, dequantize, group_bytes, pack, unpack};
  }
};

}  // namespace deepwell
