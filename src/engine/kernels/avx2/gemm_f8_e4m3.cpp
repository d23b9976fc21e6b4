// SPDX-License-Identifier: Apache-2.0
// FP8 weights times BF16 activations, both made floats: a run of 128 k of 16 rows is decoded once, then up to
// three columns at a time are multiplied by it.
#include <algorithm>

#include "engine/kernels/fetch_next_group.h"
#include "engine/kernels/gemm.h"
#include "engine/kernels/isa_region.h"
#include "engine/quant/f8_e4m3.h"

DW_AVX2_BEGIN
namespace deepwell {
namespace {

constexpr int kRun = F8E4M3::kBlock;

inline __m256i table(long long low, long long high) {
  return _mm256_broadcastsi128_si256(_mm_set_epi64x(high, low));
}

/// 32 codes as bfloat16, exactly: of each its lower and its upper byte. With e and m its bits of exponent and
/// mantissa, the upper byte of 2^(e-7) * (1 + m/8) depends on the first three bits of e alone, and the lower
/// is the last one before m. Where the first three are zero, m alone says all of the subnormal codes.
inline void bytes_of(__m256i codes, __m256i& low, __m256i& high) {
  const __m256i nibble = _mm256_set1_epi8(15), magnitude = _mm256_set1_epi8(0x7f);
  const __m256i first = _mm256_and_si256(_mm256_srli_epi16(codes, 4), _mm256_set1_epi8(7));
  const __m256i last = _mm256_and_si256(codes, nibble);
  const __m256i is_tiny = _mm256_cmpeq_epi8(first, _mm256_setzero_si256());
  const __m256i upper = table(0x43424140'3f3e3d3c, 0);
  const __m256i tiny_upper = table(0x3c3c3c3c'3b3b3b00, 0x3c3c3c3c'3c3c3c3c);
  const __m256i tiny_lower =
      table(static_cast<long long>(0x60402000'c0800000), static_cast<long long>(0xf0e0d0c0'b0a09080));
  const __m256i plain_low = _mm256_andnot_si256(nibble, _mm256_slli_epi16(codes, 4));
  low = _mm256_blendv_epi8(plain_low, _mm256_shuffle_epi8(tiny_lower, last), is_tiny);
  high =
      _mm256_blendv_epi8(_mm256_shuffle_epi8(upper, first), _mm256_shuffle_epi8(tiny_upper, last), is_tiny);
  const __m256i is_nan = _mm256_cmpeq_epi8(_mm256_and_si256(codes, magnitude), magnitude);
  high = _mm256_or_si256(_mm256_or_si256(high, _mm256_and_si256(is_nan, magnitude)),
                         _mm256_andnot_si256(magnitude, codes));
}

/// A run of 16 rows as floats (kRun, 16).
inline void decode(const std::byte* codes, float* to) {
  const __m256i upper_half = _mm256_set1_epi32(static_cast<int>(0xffff0000));
  for (int i = 0; i < kRun; i += 4)
    for (int half = 0; half < 2; ++half, codes += 32) {
      __m256i low, high;
      bytes_of(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes)), low, high);
      const __m256i pairs[2] = {_mm256_unpacklo_epi8(low, high), _mm256_unpackhi_epi8(low, high)};
#pragma GCC unroll 2
      for (int p = 0; p < 2; ++p) {
        float* const at = to + (i + 2 * p) * kGroupRows + 8 * half;
        _mm256_store_ps(at, _mm256_castsi256_ps(_mm256_slli_epi32(pairs[p], 16)));
        _mm256_store_ps(at + kGroupRows, _mm256_castsi256_ps(_mm256_and_si256(pairs[p], upper_half)));
      }
    }
}

/// totals[c] += scale * (run . columns c of N), even and odd k apart.
template <int N>
void add_run(const float* weights, const std::uint32_t* pairs, int width, const std::byte* scales,
             float (*totals)[kGroupRows]) {
  __m256 sum[2][N][2];
  for (int i = 0; i < 2; ++i)
    for (int c = 0; c < N; ++c)
      for (int half = 0; half < 2; ++half) sum[i][c][half] = _mm256_setzero_ps();
  for (int i = 0; i < kRun / 2; ++i, weights += 2 * kGroupRows, pairs += width) {
#pragma GCC unroll 3
    for (int c = 0; c < N; ++c) {
      const __m256i pair = _mm256_set1_epi32(static_cast<int>(pairs[c]));
      const __m256 even = _mm256_castsi256_ps(_mm256_slli_epi32(pair, 16));
      const __m256 odd =
          _mm256_castsi256_ps(_mm256_and_si256(pair, _mm256_set1_epi32(static_cast<int>(0xffff0000))));
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) {
        const float* const w = weights + 8 * half;
        sum[0][c][half] = _mm256_fmadd_ps(_mm256_load_ps(w), even, sum[0][c][half]);
        sum[1][c][half] = _mm256_fmadd_ps(_mm256_load_ps(w + kGroupRows), odd, sum[1][c][half]);
      }
    }
  }
  for (int c = 0; c < N; ++c)
    for (int half = 0; half < 2; ++half) {
      float* const total = totals[c] + 8 * half;
      const __m256 scale = _mm256_loadu_ps(reinterpret_cast<const float*>(scales) + 8 * half);
      const __m256 both = _mm256_add_ps(sum[0][c][half], sum[1][c][half]);
      _mm256_store_ps(total, _mm256_fmadd_ps(both, scale, _mm256_load_ps(total)));
    }
}

void run(const GemmArgs& a) {
  const ActivationTile& x = *a.tile;
  const std::int64_t k = x.k, runs = k / kRun, stride = F8E4M3::group_bytes(k);
  alignas(64) float weights[kRun * kGroupRows];
  alignas(64) float totals[kMaxTileWidth][kGroupRows];
  for (std::int64_t g = 0; g < a.group_count; ++g) {
    const std::byte* const group = a.groups + g * stride;
    std::fill_n(&totals[0][0], x.width * kGroupRows, 0.0F);
    for (std::int64_t b = 0; b < runs; ++b) {
      if (a.from_memory) fetch_next_group(group, stride, b, runs);
      decode(group + b * kRun * kGroupRows, weights);
      const std::uint32_t* const pairs = x.bf16 + b * kRun / 2 * x.width;
      const std::byte* const scales = group + F8E4M3::scale_offset(k) + b * kGroupRows * 4;
      int c = 0;
      for (; c + 3 <= x.width; c += 3) add_run<3>(weights, pairs + c, x.width, scales, totals + c);
      for (; c < x.width; ++c) add_run<1>(weights, pairs + c, x.width, scales, totals + c);
    }
    for (int c = 0; c < a.columns; ++c) {
      float* const y = a.y + c * a.y_stride + g * kGroupRows;
      for (int r = 0; r < kGroupRows && g * kGroupRows + r < a.rows; ++r)
        y[r] = a.accumulate ? y[r] + totals[c][r] : totals[c][r];
    }
  }
}

}  // namespace
}  // namespace deepwell
DW_ISA_END

namespace deepwell {
Kernel kernel_avx2_gemm_f8_e4m3() {
  return {"gemm_f8_e4m3", Isa::kAvx2, reinterpret_cast<Kernel::AnyFn>(run)};
}
}  // namespace deepwell
