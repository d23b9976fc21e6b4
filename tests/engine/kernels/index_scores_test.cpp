// SPDX-License-Identifier: Apache-2.0
// Goal: every variant of the lightning indexer stays within the bound of index_scores.h.
// Method: head and key counts around the blocks, widths around the vector widths, a count inside a page.
#include "engine/kernels/index_scores.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "random_weights.h"

namespace deepwell {
namespace {

template <class Op>
void every_variant(std::size_t element_bytes, void (*put)(float, std::byte*)) {
  for (const Kernel& kernel : usable_kernels(Op::kName, cpu_isa())) {
    for (const std::int64_t width : {10, 32, 128}) {
      for (const int heads : {1, 3, 4, 9, 64}) {
        SCOPED_TRACE(testing::Message()
                     << Op::kName << " " << isa_name(kernel.isa) << " " << width << " x " << heads);
        const int page_entries = heads == 4 ? 16 : kPageTokens;
        constexpr std::int32_t kCount = kPageTokens + 13;
        const int pages_used = kCount / page_entries + 1;
        const auto keys = random_floats(pages_used * width * page_entries, 1);
        std::vector<std::byte> bytes(keys.size() * element_bytes);
        for (std::size_t i = 0; i < keys.size(); ++i) put(keys[i], bytes.data() + i * element_bytes);
        std::vector<const std::byte*> pages;
        for (int p = 0; p < pages_used; ++p)
          pages.push_back(bytes.data() + static_cast<std::size_t>(p * width * page_entries) * element_bytes);
        const auto q = random_floats(heads * width, 2), weights = random_floats(heads, 3);
        std::vector<float> want(kCount), got(kCount, NAN);
        IndexScoresArgs args{q.data(),     weights.data(), heads,       width,
                             pages.data(), kCount,         want.data(), page_entries};
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

TEST(IndexScores, F16) {
  every_variant<IndexScoresF16>(2, [](float x, std::byte* to) {
    const std::uint16_t half = float_to_half(x);
    std::memcpy(to, &half, 2);
  });
}
TEST(IndexScores, Bf16) {
  every_variant<IndexScoresBf16>(2, [](float x, std::byte* to) {
    const std::uint16_t value = float_to_bfloat(x);
    std::memcpy(to, &value, 2);
  });
}
TEST(IndexScores, F32) {
  every_variant<IndexScoresF32>(4, [](float x, std::byte* to) { std::memcpy(to, &x, 4); });
}

}  // namespace
}  // namespace deepwell
