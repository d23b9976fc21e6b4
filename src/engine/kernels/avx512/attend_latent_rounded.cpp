// SPDX-License-Identifier: Apache-2.0
// Attention over latents by vdpbf16ps. A page is rounded once for all rows, in two layouts: whole entries,
// along which scores are summed, and pairs of entries element by element, for which a row's two weights are
// one word.
#include "engine/kernels/attend_latent.h"
#include "engine/kernels/avx512/bfloats.h"
#include "engine/kernels/cache_q8.h"

namespace deepwell {
Kernel kernel_scalar_attend_latent_rounded();
}

DW_AVX512_BF16_BEGIN
namespace deepwell::avx512 {
namespace {
#include "engine/kernels/generic/math.inc"

#include "engine/kernels/generic/softmax_page.inc"

#include "engine/kernels/generic/entries.inc"

#include "engine/kernels/avx512/rounded_rows.inc"

constexpr int kChunk = 32;  // elements of a latent that lie together in the layout of pairs
// Here keys are (kPageTokens, width), and values (value_width / kChunk, kPairs, kChunk, 2).
// Rows and entries of a block of scores: 16 sums are folded together.
constexpr int kRows = 4, kEntries = 4;

/// The first `count` entries of a page in both layouts; those that fill a block or a pair are zeros.
template <class Entry>
void round_page(const AttendLatentArgs& a, const std::byte* page, int count, const RoundedRows& m) {
  const auto entries = Entry::vectors(page, a.width);
  const int padded = (count + kEntries - 1) / kEntries * kEntries;
  for (int t = 0; t < count; ++t)
    for (std::int64_t d = 0; d < a.width; d += 32)
      _mm512_storeu_si512(m.keys + t * a.width + d, to_bfloats(entries.load(t, d), entries.load(t, d + 16)));
  for (int t = count; t < padded; ++t)
    for (std::int64_t d = 0; d < a.width; d += 32)
      _mm512_storeu_si512(m.keys + t * a.width + d, _mm512_setzero_si512());
  alignas(64) std::uint16_t order[2][32];
  for (int i = 0; i < 32; ++i) {
    order[0][i] = static_cast<std::uint16_t>(i / 2 + i % 2 * 32);
    order[1][i] = static_cast<std::uint16_t>(i / 2 + i % 2 * 32 + 16);
  }
  const __m512i low = _mm512_load_si512(order[0]), high = _mm512_load_si512(order[1]);
  for (int t = 0; t < padded; t += 2) {
    const std::uint16_t* even = m.keys + t * a.width;
    std::uint16_t* to = m.values + t / 2 * (2 * kChunk);
    for (std::int64_t d = 0; d < a.value_width; d += kChunk, to += kPairs * 2 * kChunk) {
      const __m512i x = _mm512_loadu_si512(even + d), y = _mm512_loadu_si512(even + a.width + d);
      _mm512_storeu_si512(to, _mm512_permutex2var_epi16(x, low, y));
      _mm512_storeu_si512(to + 32, _mm512_permutex2var_epi16(x, high, y));
    }
  }
}

inline __m512 halve(__m512 x, __m512 y) {
  return _mm512_add_ps(_mm512_shuffle_f32x4(x, y, 0x88), _mm512_shuffle_f32x4(x, y, 0xdd));
}

/// Lane i of the result is the sum of sums[i]'s lanes.
inline __m512 fold(const __m512 (&sums)[16]) {
  __m512 two[8], four[4];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i)
    two[i] = _mm512_add_ps(_mm512_unpacklo_ps(sums[2 * i], sums[2 * i + 1]),
                           _mm512_unpackhi_ps(sums[2 * i], sums[2 * i + 1]));
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const __m512d x = _mm512_castps_pd(two[2 * i]), y = _mm512_castps_pd(two[2 * i + 1]);
    four[i] =
        _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(x, y)), _mm512_castpd_ps(_mm512_unpackhi_pd(x, y)));
  }
  return halve(halve(four[0], four[1]), halve(four[2], four[3]));
}

/// Scores of rows[0..3] against four entries from `first`; a row may stand there twice.
inline void score_block(const AttendLatentArgs& a, const RoundedRows& m, const int (&rows)[kRows],
                        int first) {
  __m512 sum[kRows * kEntries];
#pragma GCC unroll 16
  for (__m512& s : sum) s = _mm512_setzero_ps();
  const std::uint16_t* q[kRows];
  for (int r = 0; r < kRows; ++r) q[r] = m.q + rows[r] * a.width;
  const std::uint16_t* keys = m.keys + first * a.width;
  for (std::int64_t d = 0; d < a.width; d += 32) {
    __m512bh key[kEntries];
#pragma GCC unroll 4
    for (int t = 0; t < kEntries; ++t) key[t] = bfloats_at(keys + t * a.width + d);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const __m512bh x = bfloats_at(q[r] + d);
#pragma GCC unroll 4
      for (int t = 0; t < kEntries; ++t)
        sum[r * kEntries + t] = _mm512_dpbf16_ps(sum[r * kEntries + t], x, key[t]);
    }
  }
  const __m512 scores = _mm512_mul_ps(fold(sum), _mm512_set1_ps(a.scale));
  float* to = m.scores + first;
  _mm_storeu_ps(to + rows[0] * kPageTokens, _mm512_extractf32x4_ps(scores, 0));
  _mm_storeu_ps(to + rows[1] * kPageTokens, _mm512_extractf32x4_ps(scores, 1));
  _mm_storeu_ps(to + rows[2] * kPageTokens, _mm512_extractf32x4_ps(scores, 2));
  _mm_storeu_ps(to + rows[3] * kPageTokens, _mm512_extractf32x4_ps(scores, 3));
}

/// out (R rows) = out * keep + weights x values, kVecs vectors from element d of the latents.
template <int R, int kVecs>
[[gnu::always_inline]] inline void add_values(const AttendLatentArgs& a, const RoundedRows& m, int row,
                                              std::int64_t d, int pairs) {
  float* out = a.out + row * a.value_width + d;
  __m512 sum[R][kVecs];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < kVecs; ++v)
      sum[r][v] =
          _mm512_mul_ps(_mm512_loadu_ps(out + r * a.value_width + v * 16), _mm512_set1_ps(m.keep[row + r]));
  const std::uint16_t* values = m.values + d / kChunk * (kPairs * 2 * kChunk);
  const auto* weights = reinterpret_cast<const std::int32_t*>(m.weights + row * kPageTokens);
  for (int p = 0; p < pairs; ++p) {
    __m512bh value[kVecs];
#pragma GCC unroll 2
    for (int v = 0; v < kVecs; ++v) value[v] = bfloats_at(values + p * 2 * kChunk + v * 32);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const auto w = pair_everywhere(weights[r * kPairs + p]);
#pragma GCC unroll 2
      for (int v = 0; v < kVecs; ++v) sum[r][v] = _mm512_dpbf16_ps(sum[r][v], w, value[v]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 2
    for (int v = 0; v < kVecs; ++v) _mm512_storeu_ps(out + r * a.value_width + v * 16, sum[r][v]);
}

template <int R>
void add_rows(const AttendLatentArgs& a, const RoundedRows& m, int& row, int pairs) {
  for (; row + R <= a.rows; row += R)
    for (std::int64_t d = 0; d < a.value_width; d += kChunk) add_values<R, 2>(a, m, row, d, pairs);
}

/// All rows; one that sees none of the page has weights of zero there.
void attend_page(const AttendLatentArgs& a, const RoundedRows& m, int page, int count) {
  for (int row = 0; row < a.rows; row += kRows) {
    int rows[kRows];
    for (int r = 0; r < kRows; ++r) rows[r] = row + r < a.rows ? row + r : a.rows - 1;
    for (int t = 0; t < count; t += kEntries) score_block(a, m, rows, t);
  }
  weigh_rows(m, 0, a.rows, a.limits, page, count, page == 0 && a.sinks == nullptr);
  int row = 0;
  add_rows<8>(a, m, row, (count + 1) / 2);
  add_rows<4>(a, m, row, (count + 1) / 2);
  add_rows<1>(a, m, row, (count + 1) / 2);
}

template <class Entry>
struct Attend {
  static void run(const AttendLatentArgs& a) {
    const RoundedRows m(a.scratch, a.rows, a.width, a.value_width);
    std::int32_t most = 0;
    for (int r = 0; r < a.rows; ++r) {
      m.highest[r] = a.sinks == nullptr ? -3.0e38F : a.sinks[r];
      m.total[r] = a.sinks == nullptr ? 0.0F : 1.0F;
      most = a.limits[r] > most ? a.limits[r] : most;
    }
    for (std::int64_t i = 0; i < a.rows * a.width; i += 32)
      _mm512_storeu_si512(m.q + i, to_bfloats(Vec::load(a.q + i), Vec::load(a.q + i + 16)));
    for (std::int64_t i = 0; i < a.rows * a.value_width; ++i) a.out[i] = 0;
    for (int page = 0; page * kPageTokens < most; ++page) {
      const int count = most - page * kPageTokens < kPageTokens ? most - page * kPageTokens : kPageTokens;
      round_page<Entry>(a, a.pages[page], count, m);
      attend_page(a, m, page, count);
    }
    divide_rows(m, a.rows, a.out, a.value_width, a.value_width, a.softmax);
  }
};

void run(const AttendLatentArgs& args, CacheType type) {
  if (args.width % kChunk != 0 || args.value_width % kChunk != 0)  // no released model; tiny test models
    return reinterpret_cast<AttendLatentRounded::Fn*>(kernel_scalar_attend_latent_rounded().fn)(args, type);
  attend_cache<Attend>(args, type);
}
}  // namespace
}  // namespace deepwell::avx512
DW_ISA_END

namespace deepwell {
Kernel kernel_avx512_attend_latent_rounded() {
  return kernel_of<AttendLatentRounded>(Isa::kAvx512, avx512::run, has_avx512_bf16);
}
}  // namespace deepwell
