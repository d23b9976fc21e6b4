// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <bit>

#include "engine/quant/packing.h"

namespace deepwell {

/// A group widened to bytes for one product: what int8 kernels read of types whose bits they cannot multiply
/// as they lie (codebooks). For each block of 256, weight = scale * step:
///   steps    (64 words, 16 rows) words of 4 bytes 64 + step, |step| < 64
///   scales   (256 / run, 16 rows) floats
struct WideRows {
  static constexpr int kBlock = 256, kOffset = 64;
  static constexpr std::int64_t kStepBytes = kBlock * kGroupRows;

  static constexpr int run(Wide form) { return form == Wide::kRuns32 ? 32 : 16; }
  static constexpr std::int64_t table_bytes(Wide form) {
    return kBlock / run(form) * kGroupRows * static_cast<std::int64_t>(sizeof(float));
  }
  static constexpr std::int64_t block_bytes(Wide form) { return kStepBytes + table_bytes(form); }
  static constexpr std::int64_t group_bytes(Wide form, std::int64_t k) {
    return k / kBlock * block_bytes(form);
  }
};

/// Bytes of ones where a bit is set: bit i is byte i.
inline constexpr auto kByteMasks = [] {
  std::array<std::uint64_t, 256> masks{};
  for (unsigned bits = 0; bits < 256; ++bits)
    for (unsigned i = 0; i < 8; ++i)
      if ((bits >> i & 1U) != 0) masks[bits] |= std::uint64_t{0xff} << (8 * i);
  return masks;
}();

/// Takes the weights of a block one after another, as a type's Codec finds them, and makes floats of them.
class FloatSink {
 public:
  explicit FloatSink(float* out) : out_(out) {}

  /// A run begins: what its levels are multiplied by.
  void begin(float scale) { scale_ = scale; }
  /// The same where shifted_levels follow.
  void begin_shifted(float scale) { begin(scale); }
  /// Levels above 0, negative where bit i of `signs` is set.
  template <std::size_t kValues>
  void signed_levels(const std::array<std::int8_t, kValues>& levels, unsigned signs) {
    for (std::size_t i = 0; i < kValues; ++i) {
      const float value = scale_ * static_cast<float>(levels[i]);
      *out_++ = std::bit_cast<float>(std::bit_cast<std::uint32_t>(value) ^ (signs >> i & 1U) << 31);
    }
  }
  /// Levels of -1, 0 and 1, an eighth up or down.
  void shifted_levels(const std::array<std::int8_t, 8>& levels, bool down) {
    const float shift = down ? -0.125F : 0.125F;
    for (const std::int8_t level : levels) *out_++ = scale_ * (static_cast<float>(level) + shift);
  }

 private:
  float* out_;
  float scale_ = 0;
};

/// The same as one row of WideRows. Eight bytes are computed at a time: no sum leaves its byte.
class WideSink {
 public:
  WideSink(std::byte* block, int row)
      : steps_(block + 4 * row), scales_(block + WideRows::kStepBytes + 4 * row) {}

  void begin(float scale) { put(scales_, scale); }
  void begin_shifted(float scale) { begin(scale / 8); }
  void signed_levels(const std::array<std::int8_t, 8>& levels, unsigned signs) {
    const auto x = std::bit_cast<std::uint64_t>(levels);
    put_eight(kOnes * WideRows::kOffset + x - ((x << 1) & kByteMasks[signs]));
  }
  void signed_levels(const std::array<std::int8_t, 4>& levels, unsigned signs) {
    const auto x = std::bit_cast<std::uint32_t>(levels);
    const auto mask = static_cast<std::uint32_t>(kByteMasks[signs & 15U]);
    put(steps_, static_cast<std::uint32_t>(kOnes * WideRows::kOffset) + x - ((x << 1) & mask));
  }
  void shifted_levels(const std::array<std::int8_t, 8>& levels, bool down) {
    // Each byte is -1, 0 or 1: adding 1 to 0xff must not carry, so the sign is taken apart.
    const auto x = std::bit_cast<std::uint64_t>(levels);
    const std::uint64_t negative = x >> 7 & kOnes, positive = x & kOnes & ~negative;
    put_eight(kOnes * WideRows::kOffset + 8 * positive - 8 * negative +
              (down ? std::uint64_t{0} - kOnes : kOnes));
  }

 private:
  static constexpr std::uint64_t kOnes = 0x0101010101010101;

  template <class T>
  static void put(std::byte*& to, T value) {
    store_as(to, value);
    to += 4 * kGroupRows;
  }
  void put_eight(std::uint64_t bytes) {
    put(steps_, static_cast<std::uint32_t>(bytes));
    put(steps_, static_cast<std::uint32_t>(bytes >> 32));
  }

  std::byte *steps_, *scales_;
};

}  // namespace deepwell
