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
          std::vector<float> want_softmax(static_cast<std::size_t>(rows * 2)),
              softmax(want_softmax.size(), NAN);
          args.sinks = given;
          args.out = want.data();
          args.softmax = want_softmax.data();
          best_kernel<Op>(Isa::kScalar)(args);
          args.out = got.data();
          args.softmax = softmax.data();
          reinterpret_cast<typename Op::Fn*>(kernel.fn)(args);
          for (std::size_t i = 0; i < want.size(); ++i) ASSERT_NEAR(got[i], want[i], 4e-5F) << i;
          for (std::size_t i = 0; i < softmax.size(); ++i)
            ASSERT_NEAR(softmax[i], want_softmax[i], 1e-4F * want_softmax[i | 1]) << i;
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

// Weights are rounded, and those at a step's border may be rounded apart.
TEST(AttendLatent, RoundedStaysWithinItsBound) {
  struct Widths {
    std::int64_t width, value;
  };
  MakePages* const makers[] = {f16_pages, bf16_pages, f32_pages, q8_pages};  // by CacheType
  for (const Kernel& kernel : usable_kernels(AttendLatentRounded::kName, cpu_isa()))
    for (const auto [width, value] : {Widths{12, 8}, Widths{64, 32}, Widths{576, 512}})
      for (const int rows : {1, 2, 4, 5, 8, 13, 16})
        for (std::size_t type = 0; type < std::size(makers); ++type) {
          SCOPED_TRACE(testing::Message() << isa_name(kernel.isa) << " " << width << " rows " << rows << " "
                                          << kCacheTypeNames[type]);
          const CachePages entries = makers[type](width, kPageTokens, 3, 1);
          const auto q = random_floats(rows * width, 3);
          const int limits_of[] = {1, 64, 65, 150, 192, 63, 2};
          std::vector<std::int32_t> limits;
          std::vector<float> sinks;
          for (int r = 0; r < rows; ++r) limits.push_back(limits_of[(r + rows) % 7]);
          for (int r = 0; r < rows; ++r) sinks.push_back(static_cast<float>(r % 3) * 20 - 20);
          const float largest = largest_element(static_cast<CacheType>(type), entries, width);
          std::vector<float> want(static_cast<std::size_t>(rows * value)), got(want.size(), NAN);
          std::vector<float> scratch(static_cast<std::size_t>(attend_rounded_floats(rows, width, value)),
                                     NAN);
          for (const float* given :
               {static_cast<const float*>(nullptr), static_cast<const float*>(sinks.data())}) {
            AttendLatentArgs args{
                q.data(),    rows,           width, value, 0.1F, limits.data(), entries.pages.data(),
                want.data(), scratch.data(), given};
            best_kernel<AttendLatentRounded>(Isa::kScalar)(args, static_cast<CacheType>(type));
            args.out = got.data();
            reinterpret_cast<AttendLatentRounded::Fn*>(kernel.fn)(args, static_cast<CacheType>(type));
            for (std::size_t i = 0; i < want.size(); ++i) ASSERT_NEAR(got[i], want[i], largest / 256) << i;
          }
        }
}

// A row's result must not depend on the rows beside it: answers are the same alone and in a crowd.
TEST(AttendLatent, RoundedRowsDoNotDependOnEachOther) {
  constexpr std::int64_t kWidth = 576, kValue = 512;
  constexpr int kRows = 21;
  const CachePages entries = f16_pages(kWidth, kPageTokens, 3, 1);
  const auto q = random_floats(kRows * kWidth, 3);
  std::vector<std::int32_t> limits;
  for (int r = 0; r < kRows; ++r) limits.push_back(1 + r * 9);
  std::vector<float> together(kRows * kValue), alone(kValue),
      scratch(static_cast<std::size_t>(attend_rounded_floats(kRows, kWidth, kValue)));
  for (const Kernel& kernel : usable_kernels(AttendLatentRounded::kName, cpu_isa())) {
    const auto run = reinterpret_cast<AttendLatentRounded::Fn*>(kernel.fn);
    run({q.data(), kRows, kWidth, kValue, 0.1F, limits.data(), entries.pages.data(), together.data(),
         scratch.data()},
        CacheType::kF16);
    for (int r = 0; r < kRows; ++r) {
      run({q.data() + r * kWidth, 1, kWidth, kValue, 0.1F, limits.data() + r, entries.pages.data(),
           alone.data(), scratch.data()},
          CacheType::kF16);
      EXPECT_EQ(std::memcmp(alone.data(), together.data() + r * kValue, kValue * sizeof(float)), 0)
          << isa_name(kernel.isa) << " row " << r;
    }
  }
}

TEST(AttendLatent, F16) { every_variant<AttendLatentF16>(f16_pages); }
TEST(AttendLatent, Bf16) { every_variant<AttendLatentBf16>(bf16_pages); }
TEST(AttendLatent, F32) { every_variant<AttendLatentF32>(f32_pages); }
TEST(AttendLatent, Q8) { every_variant<AttendLatentQ8>(q8_pages); }

}  // namespace
}  // namespace deepwell
