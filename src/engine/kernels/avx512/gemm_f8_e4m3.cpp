// SPDX-License-Identifier: Apache-2.0
// FP8 weights times BF16 activations. Every E4M3 code is a bfloat16; its two bytes are looked up in tables of
// 128 and go into vdpbf16ps, four k of 16 rows by two. A run of 128 is added before its scale comes in.
#include <array>
#include <bit>

#include "engine/kernels/avx512/gemm_int8.h"
#include "engine/quant/f8_e4m3.h"

namespace deepwell {
namespace {

/// The bfloat16 of a code without its sign: 3 bits of mantissa and an exponent, which a subnormal one has
/// not.
constexpr unsigned bfloat_of(unsigned code) {
  const unsigned exponent = code >> 3, mantissa = code & 7U;
  if (code == 0x7f) return 0x7fc0;  // NaN
  if (exponent > 0) return (exponent + 120) << 7 | mantissa << 4;
  return std::bit_cast<std::uint32_t>(static_cast<float>(mantissa) * 0x1p-9F) >> 16;
}

/// One byte of each.
template <int kByte>
constexpr auto kBytes = [] {
  std::array<std::uint8_t, 128> bytes{};
  for (unsigned code = 0; code < bytes.size(); ++code)
    bytes[code] = static_cast<std::uint8_t>(bfloat_of(code) >> (8 * kByte) & 0xffU);
  return bytes;
}();

}  // namespace
}  // namespace deepwell

DW_ISA_BEGIN("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bf16,avx512vbmi")
namespace deepwell {
namespace {

template <int kByte>
[[gnu::always_inline]] inline __m512i bytes_of(__m512i codes) {
  return _mm512_permutex2var_epi8(_mm512_loadu_si512(kBytes<kByte>.data()), codes,
                                  _mm512_loadu_si512(kBytes<kByte>.data() + 64));
}

/// sum[c] += w . the pair of activations of column c.
template <int C>
[[gnu::always_inline]] inline void multiply_pairs(__m512 (&sum)[C], __m512i w, const std::uint32_t* pairs) {
#pragma GCC unroll 12
  for (int c = 0; c < C; ++c) {
    const __m512i x = _mm512_set1_epi32(static_cast<int>(pairs[c]));
    sum[c] = _mm512_dpbf16_ps(sum[c], reinterpret_cast<__m512bh>(w), reinterpret_cast<__m512bh>(x));
  }
}

struct F8Gemm {
  template <int C, bool kFetch>
  static void pass(const GemmArgs& a, std::int64_t g) {
    const ActivationTile& x = *a.tile;
    const std::int64_t k = x.k, stride = F8E4M3::group_bytes(k), runs = k / F8E4M3::kBlock;
    const std::byte* group = a.groups + g * stride;
    const __m512i sign = _mm512_set1_epi8(-128);
    alignas(64) float totals[C][kGroupRows] = {};
    for (std::int64_t b = 0; b < runs; ++b) {
      if constexpr (kFetch) fetch_next_group(group, stride, b, runs);
      const std::byte* codes_at = group + b * F8E4M3::kBlock * kGroupRows;
      const std::uint32_t* pairs = x.bf16 + b * F8E4M3::kBlock / 2 * C;
      __m512 sum[2][C];  // of the first and the second pairs
      for (int i = 0; i < 2; ++i)
        for (int c = 0; c < C; ++c) sum[i][c] = _mm512_setzero_ps();
#pragma GCC unroll 2
      for (int i = 0; i < F8E4M3::kBlock; i += 4, codes_at += 4 * kGroupRows, pairs += 2 * C) {
        const __m512i codes = _mm512_loadu_si512(codes_at);
        const __m512i low = bytes_of<0>(codes);
        const __m512i high = _mm512_ternarylogic_epi32(bytes_of<1>(codes), codes, sign, 0xf8);
        multiply_pairs<C>(sum[0], _mm512_unpacklo_epi8(low, high), pairs);
        multiply_pairs<C>(sum[1], _mm512_unpackhi_epi8(low, high), pairs + C);
      }
      const __m512 scale = _mm512_loadu_ps(group + F8E4M3::scale_offset(k) + b * 64);
#pragma GCC unroll 12
      for (int c = 0; c < C; ++c) {
        const __m512 both = _mm512_add_ps(sum[0][c], sum[1][c]);
        _mm512_store_ps(totals[c], _mm512_fmadd_ps(both, scale, _mm512_load_ps(totals[c])));
      }
    }
    avx512::store_totals<C>(a, g, totals);
  }
};

void run(const GemmArgs& a) { avx512::run_gemm<F8Gemm>(a); }
bool usable() { return has_avx512_bf16() && has_avx512_vbmi(); }

}  // namespace
}  // namespace deepwell
DW_ISA_END

namespace deepwell {
Kernel kernel_avx512_gemm_f8_e4m3() {
  return {"gemm_f8_e4m3", Isa::kAvx512, reinterpret_cast<Kernel::AnyFn>(run), usable};
}
}  // namespace deepwell
