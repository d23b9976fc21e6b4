// SPDX-License-Identifier: Apache-2.0
// Goal: remember() and attend() together are causal softmax attention with grouped heads, across page
// borders, for prompts in any chunks and for several sequences side by side. Method: against a plain
// computation in double on the values as the cache rounds them.
#include "engine/nn/attention.h"

#include <gtest/gtest.h>

#include <cmath>

#include "../kernels/random_weights.h"

namespace deepwell {
namespace {

/// Vectors of `dim` elements as the cache rounds them: 8-bit ones in blocks of 64 under one scale.
std::vector<float> rounded(CacheType type, std::vector<float> x, std::int64_t dim) {
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (type == CacheType::kF16) x[i] = half_to_float(float_to_half(x[i]));
    if (type == CacheType::kBF16) x[i] = bfloat_to_float(float_to_bfloat(x[i]));
  }
  if (type != CacheType::kQ8) return x;
  for (auto vector = x.begin(); vector != x.end(); vector += dim)
    for (std::int64_t from = 0; from < dim; from += 64) {
      const auto begin = vector + from, end = vector + std::min(dim, from + 64);
      float largest = 0;
      for (auto i = begin; i != end; ++i) largest = std::max(largest, std::fabs(*i));
      for (auto i = begin; i != end; ++i) *i = std::nearbyint(*i * (127 / largest)) * (largest / 127);
    }
  return x;
}

/// One sequence's projections: q (tokens, heads, head_dim), k and v (tokens, kv_heads, head_dim).
struct Story {
  Story(const Attention& a, std::int64_t count, unsigned seed)
      : tokens(count),
        q(random_floats(count * a.heads * a.head_dim, seed)),
        k(random_floats(count * a.kv_heads * a.head_dim, seed + 1)),
        v(random_floats(count * a.kv_heads * a.head_dim, seed + 2)) {}
  std::int64_t tokens;
  std::vector<float> q, k, v;
};

std::vector<double> naive(const Attention& a, const Story& story, CacheType type) {
  const std::int64_t group = a.heads / a.kv_heads, d = a.head_dim;
  std::vector<double> out(story.q.size(), 0.0);
  const std::vector<float> k = rounded(type, story.k, d), v = rounded(type, story.v, d);
  for (std::int64_t t = 0; t < story.tokens; ++t) {
    for (std::int64_t h = 0; h < a.heads; ++h) {
      const auto kv = [&](const std::vector<float>& x, std::int64_t s, std::int64_t i) {
        return double{x[static_cast<std::size_t>((s * a.kv_heads + h / group) * d + i)]};
      };
      std::vector<double> weights;
      double total = 0;
      for (std::int64_t s = 0; s <= t; ++s) {
        double score = 0;
        for (std::int64_t i = 0; i < d; ++i)
          score += double{story.q[static_cast<std::size_t>((t * a.heads + h) * d + i)]} * kv(k, s, i);
        weights.push_back(std::exp(score * double{a.scale}));
        total += weights.back();
      }
      for (std::int64_t s = 0; s <= t; ++s)
        for (std::int64_t i = 0; i < d; ++i)
          out[static_cast<std::size_t>((t * a.heads + h) * d + i)] +=
              weights[static_cast<std::size_t>(s)] / total * kv(v, s, i);
    }
  }
  return out;
}

std::unique_ptr<PagePool> pool_of(const Attention& a, CacheType type, std::int64_t pages) {
  CacheLayout layout;
  layout.layers = {a.streams(), a.streams()};
  layout.type = type;
  auto pool = PagePool::make(std::move(layout), pages);
  DW_CHECK(pool.ok());
  return std::move(pool).value();
}

/// Runs rows [from, to) of each story as one batch, layer 1 of two. to is cut at the story's end.
void run_rows(const Attention& a, const std::vector<const Story*>& stories,
              std::vector<SequenceCache>& caches, std::int64_t from, std::int64_t to,
              std::vector<std::vector<float>>& outs, Context& context) {
  std::vector<float> q, k, v;
  std::vector<std::int32_t> positions;
  std::vector<BatchSequence> sequences;
  std::vector<std::int64_t> counts;
  for (std::size_t i = 0; i < stories.size(); ++i) {
    const Story& story = *stories[i];
    const std::int64_t begin = std::min(from, story.tokens), end = std::min(to, story.tokens);
    counts.push_back(end - begin);
    if (begin == end) continue;
    const auto append = [&](std::vector<float>& all, const std::vector<float>& one, std::int64_t width) {
      all.insert(all.end(), one.begin() + begin * width, one.begin() + end * width);
    };
    sequences.push_back({static_cast<std::int64_t>(positions.size()), end - begin, &caches[i]});
    append(q, story.q, a.heads * a.head_dim);
    append(k, story.k, a.kv_heads * a.head_dim);
    append(v, story.v, a.kv_heads * a.head_dim);
    for (std::int64_t t = begin; t < end; ++t) positions.push_back(static_cast<std::int32_t>(t));
    caches[i].grow(end);
  }
  const std::vector<std::int32_t> tokens(positions.size(), 0);
  const Batch batch{tokens, positions, sequences, {}};
  std::vector<float> out(q.size(), NAN);
  const ScratchScope scope(context.scratch);
  a.remember(k.data(), v.data(), batch, 1, context);
  a.attend(q.data(), batch, 1, out.data(), context);
  std::size_t at = 0;
  for (std::size_t i = 0; i < stories.size(); ++i) {
    const auto size = static_cast<std::size_t>(counts[i] * a.heads * a.head_dim);
    outs[i].insert(outs[i].end(), out.begin() + static_cast<std::ptrdiff_t>(at),
                   out.begin() + static_cast<std::ptrdiff_t>(at + size));
    at += size;
  }
}

/// Rounded to bfloat16, scores here move by some hundredths, and the weights with them.
constexpr double kRoundedBound = 0.06;

class AttentionTest : public testing::TestWithParam<CacheType> {};

TEST_P(AttentionTest, EqualsTheDefinitionInChunksOfAnySize) {
  ThreadPool threads(3);
  Scratch scratch;
  struct Shape {
    std::int64_t heads, kv_heads, head_dim;
  };
  std::vector<std::pair<std::int64_t, bool>> chunks_exact_or_not;
  for (const std::int64_t chunk : {1, 7, 64, 100, 150})
    for (const bool exact : {true, false}) chunks_exact_or_not.emplace_back(chunk, exact);
  for (const auto [heads, kv_heads, head_dim] : {Shape{4, 2, 32}, Shape{6, 1, 16}, Shape{3, 3, 8},
                                                 Shape{2, 2, 20}, Shape{64, 1, 16}, Shape{2, 1, 80}}) {
    const Attention a{heads, kv_heads, head_dim, 0.3F};
    const Story story(a, 150, 7);
    const auto want = naive(a, story, GetParam());
    std::vector<float> first[2];
    for (const auto& [chunk, exact] : chunks_exact_or_not) {
      SCOPED_TRACE(testing::Message() << heads << "/" << kv_heads << " heads of " << head_dim
                                      << ", chunks of " << chunk << (exact ? ", exact" : ""));
      Context context{threads, scratch, exact};
      const auto pool = pool_of(a, GetParam(), 4);
      std::vector<SequenceCache> caches;
      caches.emplace_back(*pool);
      std::vector<std::vector<float>> out(1);
      for (std::int64_t from = 0; from < story.tokens; from += chunk)
        run_rows(a, {&story}, caches, from, from + chunk, out, context);
      ASSERT_EQ(out[0].size(), want.size());
      for (std::size_t i = 0; i < want.size(); ++i)
        ASSERT_NEAR(out[0][i], want[i], exact ? 5e-5 : kRoundedBound) << i;
      if (first[exact].empty()) first[exact] = out[0];
      EXPECT_TRUE(out[0] == first[exact]) << "the same bits in chunks of any size";
    }
  }
}

TEST_P(AttentionTest, SequencesSideBySideAreTheSameBitsAsAlone) {
  ThreadPool threads(2);
  Scratch scratch;
  Context context{threads, scratch};
  const Attention a{16, 2, 32, 0.3F};
  const Story stories[] = {{a, 1, 10}, {a, 130, 20}, {a, 70, 30}, {a, 64, 40}};
  const auto pool = pool_of(a, GetParam(), 40);
  for (const std::int64_t chunk : {1, 33, 130}) {
    std::vector<SequenceCache> caches;
    for (int i = 0; i < 4; ++i) caches.emplace_back(*pool);
    std::vector<std::vector<float>> together(4);
    for (std::int64_t from = 0; from < 130; from += chunk)
      run_rows(a, {&stories[0], &stories[1], &stories[2], &stories[3]}, caches, from, from + chunk, together,
               context);
    for (std::size_t i = 0; i < 4; ++i) {
      std::vector<SequenceCache> cache;
      cache.emplace_back(*pool);
      std::vector<std::vector<float>> alone(1);
      for (std::int64_t from = 0; from < stories[i].tokens; ++from)
        run_rows(a, {&stories[i]}, cache, from, from + 1, alone, context);
      ASSERT_EQ(together[i], alone[0]) << "sequence " << i << ", chunks of " << chunk;
    }
  }
}

TEST_P(AttentionTest, SegmentsOfALongSequenceAreTheSameBitsOnAnyThreadsAndInAnyChunks) {
  for (const bool exact : {true, false}) {
    Attention a{16, 2, 32, 0.3F};
    a.segment_tokens = 64;
    const Story story(a, 300, 50);
    const auto want = naive(a, story, GetParam());
    std::vector<float> first;
    for (const int threads : {1, 2, 9})  // from a tile that goes through every segment to a tile for each
      for (const std::int64_t chunk : {1, 5, 90, 300}) {
        SCOPED_TRACE(testing::Message() << threads << " threads, chunks of " << chunk << ", exact " << exact);
        ThreadPool pool_of_threads(threads);
        Scratch scratch;
        Context context{pool_of_threads, scratch, exact};
        const auto pool = pool_of(a, GetParam(), 8);
        std::vector<SequenceCache> caches;
        caches.emplace_back(*pool);
        std::vector<std::vector<float>> out(1);
        for (std::int64_t from = 0; from < story.tokens; from += chunk)
          run_rows(a, {&story}, caches, from, from + chunk, out, context);
        for (std::size_t i = 0; i < want.size(); ++i)
          ASSERT_NEAR(out[0][i], want[i], exact ? 5e-5 : kRoundedBound) << i;
        if (first.empty()) first = out[0];
        EXPECT_TRUE(out[0] == first);
      }
  }
}

TEST_P(AttentionTest, SequencesThatOwnTheSamePagesAreTheSameBitsAsAlone) {
  Attention a{6, 2, 32, 0.3F};
  a.segment_tokens = 64;
  constexpr std::int64_t kCommon = 192;  // three segments of one page
  // The same beginning, ends of their own; the third parts after the first segment, the fourth is another.
  std::vector<Story> stories;
  for (unsigned i = 0; i < 5; ++i) {
    stories.emplace_back(a, 205 + i, 60 + 10 * i);
    const std::int64_t common = i == 0 || i == 3 ? 0 : i == 2 ? 64 : kCommon;
    for (auto member : {&Story::q, &Story::k, &Story::v}) {
      const std::int64_t width = (member == &Story::q ? a.heads : a.kv_heads) * a.head_dim;
      std::copy_n((stories[0].*member).begin(), common * width, (stories[i].*member).begin());
    }
  }
  ThreadPool threads(3);
  Scratch scratch;
  Context context{threads, scratch};
  const auto pool = pool_of(a, GetParam(), 40);
  std::vector<std::vector<float>> alone(5);
  for (std::size_t i = 0; i < 5; ++i) {
    std::vector<SequenceCache> cache;
    cache.emplace_back(*pool);
    std::vector<std::vector<float>> out(1);
    run_rows(a, {&stories[i]}, cache, 0, stories[i].tokens, out, context);
    alone[i] = {out[0].begin() + kCommon * a.heads * a.head_dim, out[0].end()};
  }
  std::vector<std::vector<SequenceCache>> each(5);
  for (std::size_t i = 0; i < 5; ++i) {
    each[i].emplace_back(*pool);
    const std::int64_t common = i == 0 || i == 3 ? 0 : i == 2 ? 1 : 3;
    for (std::int64_t p = 0; p < common; ++p)
      each[i][0].adopt(each[0][0].pages()[static_cast<std::size_t>(p)]);
    std::vector<std::vector<float>> out(1);
    if (common < 3) run_rows(a, {&stories[i]}, each[i], common * 64, kCommon, out, context);
  }
  constexpr std::size_t kOrder[] = {3, 1, 0, 4, 2};  // those that share are not side by side
  std::vector<const Story*> all;
  std::vector<SequenceCache> caches;
  for (const std::size_t i : kOrder) {
    all.push_back(&stories[i]);
    caches.push_back(std::move(each[i][0]));
  }
  for (const std::int64_t chunk : {1, 4}) {
    std::vector<std::vector<float>> together(5);
    for (std::int64_t from = kCommon; from < 209; from += chunk)
      run_rows(a, all, caches, from, from + chunk, together, context);
    for (std::size_t i = 0; i < 5; ++i)
      EXPECT_TRUE(together[i] == alone[kOrder[i]]) << "sequence " << kOrder[i] << ", chunks of " << chunk;
  }
}

INSTANTIATE_TEST_SUITE_P(EveryCacheType, AttentionTest,
                         testing::Values(CacheType::kF16, CacheType::kBF16, CacheType::kF32, CacheType::kQ8),
                         [](const auto& test) {
                           return std::string(kCacheTypeNames[static_cast<std::size_t>(test.param)]);
                         });

}  // namespace
}  // namespace deepwell
