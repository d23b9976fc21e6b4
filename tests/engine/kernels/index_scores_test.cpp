// SPDX-License-Identifier: Apache-2.0
// Goal: every variant of the lightning indexer stays within the bound of index_scores.h.
// Method: head and key counts around the blocks, widths around the vector widths, a count inside a page.
#include "engine/kernels/index_scores.h"

#include <gtest/gtest.h>

#include <cmath>

#include "cache_pages.h"

namespace deepwell {
namespace {

template <class Op>
void every_variant(MakePages make_pages) {
  for (const Kernel& kernel : usable_kernels(Op::kName, cpu_isa())) {
    for (const std::int64_t width : {10, 32, 128}) {
      for (const int heads : {1, 3, 4, 9, 64}) {
        SCOPED_TRACE(testing::Message()
                     << Op::kName << " " << isa_name(kernel.isa) << " " << width << " x " << heads);
        const int page_entries = heads == 4 ? 16 : kPageTokens;
        constexpr std::int32_t kCount = kPageTokens + 13;
        const int pages_used = kCount / page_entries + 1;
        const CachePages keys = make_pages(width, page_entries, pages_used, 1);
        const auto q = random_floats(heads * width, 2), weights = random_floats(heads, 3);
        std::vector<float> want(kCount), got(kCount, NAN);
        IndexScoresArgs args{q.data(),          weights.data(), heads,       width,
                             keys.pages.data(), kCount,         want.data(), page_entries};
        best_kernel<Op>(Isa::kScalar)(args);
        args.out = got.data();
        reinterpret_cast<typename Op::Fn*>(kernel.fn)(args);
        const double magnitude = 4.0 * static_cast<double>(width) * heads;  // sum |w| sum |q k|, generously
        for (int i = 0; i < kCount; ++i)
          ASSERT_NEAR(got[static_cast<std::size_t>(i)], want[static_cast<std::size_t>(i)],
                      static_cast<double>(width) * 0x1p-22 * magnitude)
              << i;
      }
    }
  }
}

TEST(IndexScores, F16) { every_variant<IndexScoresF16>(f16_pages); }
TEST(IndexScores, Bf16) { every_variant<IndexScoresBf16>(bf16_pages); }
TEST(IndexScores, F32) { every_variant<IndexScoresF32>(f32_pages); }
TEST(IndexScores, Q8) { every_variant<IndexScoresQ8>(q8_pages); }

}  // namespace
}  // namespace deepwell
