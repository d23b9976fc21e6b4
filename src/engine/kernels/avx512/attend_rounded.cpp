// SPDX-License-Identifier: Apache-2.0
// Attention by vdpbf16ps. A page is rounded once for all rows: keys as pairs of elements, values as pairs of
// entries, so that two of a row's elements or weights are one word for every lane.
#include "engine/kernels/attend.h"
#include "engine/kernels/avx512/bfloats.h"
#include "engine/kernels/cache_q8.h"

namespace deepwell {
Kernel kernel_scalar_attend_rounded();
}

DW_AVX512_BF16_BEGIN
namespace deepwell::avx512 {
namespace {
#include "engine/kernels/generic/math.inc"

#include "engine/kernels/generic/softmax_page.inc"

#include "engine/kernels/generic/entries.inc"

#include "engine/kernels/avx512/rounded_rows.inc"
// Here keys are (head_dim / 2, kPageTokens, 2), and values (kPairs, value_dim, 2).

/// Element i of the first in the low half of word i, of the second in its high half.
inline __m512i to_pairs(Vec first, Vec second) {
  const __m512i high = _mm512_set1_epi32(static_cast<int>(0xffff0000U));
  const __m512i both = to_bfloats(first, second);  // the first's 16, then the second's
  const __m512i low = _mm512_cvtepu16_epi32(_mm512_castsi512_si256(both));
  const __m512i up = _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(both, 1)), 16);
  return _mm512_ternarylogic_epi32(high, up, low, 0xca);
}

/// The first `count` entries of a page; a value that fills a pair is zeros, and keys past the end are the
/// page's.
template <class Entry>
void round_page(const AttendArgs& a, int page, int count, const RoundedRows& m) {
  const auto keys = Entry::keys(a.key_pages[page], a.head_dim);
  const auto values = Entry::vectors(a.value_pages[page], a.value_dim);
  for (std::int64_t d = 0; d < a.head_dim; d += 2)
    for (int t = 0; t < count; t += 16)
      _mm512_storeu_si512(m.keys + (d / 2 * kPageTokens + t) * 2,
                          to_pairs(keys.load(d, t), keys.load(d + 1, t)));
  for (int t = 0; t < count; t += 2)
    for (std::int64_t d = 0; d < a.value_dim; d += 16)
      _mm512_storeu_si512(m.values + (t / 2 * a.value_dim + d) * 2,
                          to_pairs(values.load(t, d), t + 1 < count ? values.load(t + 1, d) : Vec::set(0)));
}

/// Scores of R rows against kVecs vectors of entries from `first`.
template <int R, int kVecs>
[[gnu::always_inline]] inline void score_rows(const AttendArgs& a, const RoundedRows& m, int row, int first) {
  __m512 sum[R][kVecs];
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < kVecs; ++v) sum[r][v] = _mm512_setzero_ps();
  const auto* q = reinterpret_cast<const std::int32_t*>(m.q + row * a.head_dim);
  const std::int64_t pairs = a.head_dim / 2;
  for (std::int64_t p = 0; p < pairs; ++p) {
    __m512bh key[kVecs];
#pragma GCC unroll 4
    for (int v = 0; v < kVecs; ++v) key[v] = bfloats_at(m.keys + (p * kPageTokens + first + v * 16) * 2);
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r) {
      const auto x = pair_everywhere(q[r * pairs + p]);
#pragma GCC unroll 4
      for (int v = 0; v < kVecs; ++v) sum[r][v] = _mm512_dpbf16_ps(sum[r][v], key[v], x);
    }
  }
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < kVecs; ++v)
      _mm512_storeu_ps(m.scores + std::int64_t{row + r} * kPageTokens + first + v * 16,
                       _mm512_mul_ps(sum[r][v], _mm512_set1_ps(a.scale)));
}

/// out (R rows) = out * keep + weights x values, kVecs vectors from element d.
template <int R, int kVecs>
[[gnu::always_inline]] inline void add_values(const AttendArgs& a, const RoundedRows& m, int row,
                                              std::int64_t d, int pairs) {
  float* out = a.out + row * a.out_stride + d;
  __m512 sum[R][kVecs];
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < kVecs; ++v)
      sum[r][v] =
          _mm512_mul_ps(_mm512_loadu_ps(out + r * a.out_stride + v * 16), _mm512_set1_ps(m.keep[row + r]));
  const auto* weights = reinterpret_cast<const std::int32_t*>(m.weights + std::int64_t{row} * kPageTokens);
  for (int p = 0; p < pairs; ++p) {
    __m512bh value[kVecs];
#pragma GCC unroll 4
    for (int v = 0; v < kVecs; ++v) value[v] = bfloats_at(m.values + (p * a.value_dim + d + v * 16) * 2);
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r) {
      const auto w = pair_everywhere(weights[r * kPairs + p]);
#pragma GCC unroll 4
      for (int v = 0; v < kVecs; ++v) sum[r][v] = _mm512_dpbf16_ps(sum[r][v], value[v], w);
    }
  }
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < kVecs; ++v) _mm512_storeu_ps(out + r * a.out_stride + v * 16, sum[r][v]);
}

/// R rows at a time against one page, as far as they go.
template <int R>
void attend_rows(const AttendArgs& a, const RoundedRows& m, int& row, int page, int count) {
  for (; row + R <= a.rows; row += R) {
    std::int32_t most = 0;
    for (int r = row; r < row + R; ++r) most = a.limits[r] > most ? a.limits[r] : most;
    if (most <= page * kPageTokens) continue;  // earlier rows of a prompt
    int t = 0;
    for (; t + 48 < count; t += 64) score_rows<R, 4>(a, m, row, t);
    for (; t < count; t += 16) score_rows<R, 1>(a, m, row, t);
    weigh_rows(m, row, row + R, a.limits, page, count, page == 0);
    std::int64_t d = 0;
    for (; d + 64 <= a.value_dim; d += 64) add_values<R, 4>(a, m, row, d, (count + 1) / 2);
    for (; d < a.value_dim; d += 16) add_values<R, 1>(a, m, row, d, (count + 1) / 2);
  }
}

template <class Entry>
struct Attend {
  static void run(const AttendArgs& a) {
    const RoundedRows m(a.scratch, a.rows, a.head_dim, a.value_dim);
    std::int32_t most = 0;
    for (int r = 0; r < a.rows; ++r) {
      m.highest[r] = -3.0e38F;
      m.total[r] = 0;
      most = a.limits[r] > most ? a.limits[r] : most;
      for (std::int64_t d = 0; d < a.head_dim; d += 16)
        _mm256_storeu_si256(
            reinterpret_cast<__m256i*>(m.q + r * a.head_dim + d),
            reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(_mm512_loadu_ps(a.q + r * a.q_stride + d))));
      for (std::int64_t d = 0; d < a.value_dim; ++d) a.out[r * a.out_stride + d] = 0;
    }
    for (int page = 0; page * kPageTokens < most; ++page) {
      const int count = most - page * kPageTokens < kPageTokens ? most - page * kPageTokens : kPageTokens;
      round_page<Entry>(a, page, count, m);
      int row = 0;
      attend_rows<6>(a, m, row, page, count);
      attend_rows<4>(a, m, row, page, count);
      attend_rows<1>(a, m, row, page, count);
    }
    divide_rows(m, a.rows, a.out, a.out_stride, a.value_dim, a.softmax);
  }
};

void run(const AttendArgs& args, CacheType type) {
  if (args.head_dim % 16 != 0 || args.value_dim % 16 != 0)  // no released model; tiny test models
    return reinterpret_cast<AttendRounded::Fn*>(kernel_scalar_attend_rounded().fn)(args, type);
  attend_cache<Attend>(args, type);
}
}  // namespace
}  // namespace deepwell::avx512
DW_ISA_END

namespace deepwell {
Kernel kernel_avx512_attend_rounded() {
  return kernel_of<AttendRounded>(Isa::kAvx512, avx512::run, has_avx512_bf16);
}
}  // namespace deepwell
