// SPDX-License-Identifier: Apache-2.0
// Goal: every variant of attention over latents stays within the bound of attend.h.
// Method: row counts around the row blocks, widths around the vector widths, limits inside, at and past page
// borders.
#include "engine/kernels/attend_latent.h"

#include <gtest/gtest.h>

#include <cmath>

#include "cache_pages.h"

namespace deepwell {
namespace {

template <class Op>
void every_variant(MakePages make_pages) {
  struct Widths {
    std::int64_t width, value;
  };
  for (const Kernel& kernel : usable_kernels(Op::kName, cpu_isa())) {
    for (const auto [width, value] : {Widths{12, 8}, Widths{48, 32}, Widths{576, 512}}) {
      for (int rows : {1, 2, 3, 4, 5, 16}) {
        SCOPED_TRACE(testing::Message()
                     << Op::kName << " " << isa_name(kernel.isa) << " " << width << " rows " << rows);
        constexpr int kPages = 3;
        const CachePages entries = make_pages(width, kPageTokens, kPages, 1);
        const auto q = random_floats(rows * width, 3);
        const int limits_of[] = {1, 64, 65, 150, 192, 63, 2};
        std::vector<std::int32_t> limits;
        for (int r = 0; r < rows; ++r) limits.push_back(limits_of[r % 7]);
        std::vector<float> want(static_cast<std::size_t>(rows * value)), got(want.size(), NAN);
        std::vector<float> scratch(static_cast<std::size_t>(attend_scratch_floats(rows)));
        AttendLatentArgs args{
            q.data(),    rows,          width, value, 0.1F, limits.data(), entries.pages.data(),
            want.data(), scratch.data()};
        std::vector<float> sinks;  // below, among and far above the scores
        for (int r = 0; r < rows; ++r) sinks.push_back(static_cast<float>(r % 3) * 20 - 20);
        for (const float* given :
             {static_cast<const float*>(nullptr), static_cast<const float*>(sinks.data())}) {
          args.sinks = given;
          args.out = want.data();
          best_kernel<Op>(Isa::kScalar)(args);
          args.out = got.data();
          reinterpret_cast<typename Op::Fn*>(kernel.fn)(args);
          for (std::size_t i = 0; i < want.size(); ++i) ASSERT_NEAR(got[i], want[i], 4e-5F) << i;
        }
      }
    }
  }
}

// Two entries of equal score and a sink of that score: a third goes to each, and one is lost.
TEST(AttendLatent, ASinkTakesItsShare) {
  std::vector<float> entries(kPageTokens * 16, 0.0F), q(16, 0.0F), out(16), scratch(attend_scratch_floats(1));
  for (std::size_t i = 0; i < 16; ++i) entries[i] = 3, entries[16 + i] = 6;
  const std::byte* page = reinterpret_cast<const std::byte*>(entries.data());
  const std::int32_t limit = 2;
  const float sink = 0;
  for (const Kernel& kernel : usable_kernels(AttendLatentF32::kName, cpu_isa())) {
    reinterpret_cast<AttendLatentF32::Fn*>(kernel.fn)(
        {q.data(), 1, 16, 16, 1.0F, &limit, &page, out.data(), scratch.data(), &sink});
    for (const float value : out) EXPECT_NEAR(value, 3.0F, 1e-5F) << isa_name(kernel.isa);
  }
}

TEST(AttendLatent, F16) { every_variant<AttendLatentF16>(f16_pages); }
TEST(AttendLatent, Bf16) { every_variant<AttendLatentBf16>(bf16_pages); }
TEST(AttendLatent, F32) { every_variant<AttendLatentF32>(f32_pages); }
TEST(AttendLatent, Q8) { every_variant<AttendLatentQ8>(q8_pages); }

}  // namespace
}  // namespace deepwell
