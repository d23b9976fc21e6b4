// SPDX-License-Identifier: Apache-2.0
// Goal: every attention variant stays within the bound of attend.h.
// Method: 1 to 13 rows, head sizes around the vector widths, limits inside, at and past page borders.
#include "engine/kernels/attend.h"

#include <gtest/gtest.h>

#include <cmath>

#include "cache_pages.h"

namespace deepwell {
namespace {

template <class Op>
void every_variant(MakePages make_keys, MakePages make_values) {
  for (const Kernel& kernel : usable_kernels(Op::kName, cpu_isa())) {
    struct Dims {
      std::int64_t head, value;
    };
    for (const auto& [head_dim, value_dim] :
         {Dims{8, 8}, {32, 32}, {64, 64}, {80, 80}, {128, 128}, {192, 128}, {24, 16}, {32, 8}}) {
      for (int rows : {1, 2, 3, 5, 6, 13}) {
        SCOPED_TRACE(testing::Message() << Op::kName << " " << isa_name(kernel.isa) << " d=" << head_dim
                                        << "/" << value_dim << " rows=" << rows);
        constexpr int kPages = 3;
        const CachePages keys = make_keys(head_dim, kPageTokens, kPages, 1);
        const CachePages values = make_values(value_dim, kPageTokens, kPages, 2);
        const auto q = random_floats(rows * head_dim, 3);
        const int limits_of[] = {1, 64, 65, 150, 192, 63, 2};
        std::vector<std::int32_t> limits;
        for (int r = 0; r < rows; ++r) limits.push_back(limits_of[r % 7]);
        std::vector<float> want(static_cast<std::size_t>(rows * value_dim)), got(want.size(), NAN),
            scratch(static_cast<std::size_t>(attend_scratch_floats(rows)));
        AttendArgs args{q.data(),      head_dim,          rows,
                        head_dim,      value_dim,         0.35F,
                        limits.data(), keys.pages.data(), values.pages.data(),
                        want.data(),   value_dim,         scratch.data()};
        std::vector<float> want_softmax(static_cast<std::size_t>(rows * 2)),
            softmax(want_softmax.size(), NAN);
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

// Weights are rounded, and those at a step's border may be rounded apart.
TEST(Attend, RoundedStaysWithinItsBound) {
  struct Dims {
    std::int64_t head, value;
  };
  MakePages* const keys_of[] = {f16_pages, bf16_pages, f32_pages, q8_key_pages};  // by CacheType
  MakePages* const values_of[] = {f16_pages, bf16_pages, f32_pages, q8_pages};
  for (const Kernel& kernel : usable_kernels(AttendRounded::kName, cpu_isa()))
    for (const auto& [head_dim, value_dim] :
         {Dims{8, 8}, {32, 48}, {64, 64}, {80, 80}, {128, 128}, {192, 128}})
      for (const int rows : {1, 2, 4, 5, 6, 13})
        for (std::size_t type = 0; type < std::size(keys_of); ++type) {
          SCOPED_TRACE(testing::Message() << isa_name(kernel.isa) << " d=" << head_dim << "/" << value_dim
                                          << " rows=" << rows << " " << kCacheTypeNames[type]);
          const CachePages keys = keys_of[type](head_dim, kPageTokens, 3, 1);
          const CachePages values = values_of[type](value_dim, kPageTokens, 3, 2);
          const auto q = random_floats(rows * head_dim, 3);
          const int limits_of[] = {1, 64, 65, 150, 192, 63, 2};
          std::vector<std::int32_t> limits;
          for (int r = 0; r < rows; ++r) limits.push_back(limits_of[(r + rows) % 7]);
          const float largest = largest_element(static_cast<CacheType>(type), values, value_dim);
          std::vector<float> want(static_cast<std::size_t>(rows * value_dim)), got(want.size(), NAN);
          std::vector<float> scratch(
              static_cast<std::size_t>(attend_rounded_floats(rows, head_dim, value_dim)), NAN);
          AttendArgs args{q.data(),      head_dim,          rows,
                          head_dim,      value_dim,         0.35F,
                          limits.data(), keys.pages.data(), values.pages.data(),
                          want.data(),   value_dim,         scratch.data()};
          best_kernel<AttendRounded>(Isa::kScalar)(args, static_cast<CacheType>(type));
          args.out = got.data();
          reinterpret_cast<AttendRounded::Fn*>(kernel.fn)(args, static_cast<CacheType>(type));
          for (std::size_t i = 0; i < want.size(); ++i) ASSERT_NEAR(got[i], want[i], largest / 256) << i;
        }
}

// A row's result must not depend on the rows beside it: answers are the same alone and in a crowd.
TEST(Attend, RoundedRowsDoNotDependOnEachOther) {
  constexpr std::int64_t kHead = 192, kValue = 128;
  constexpr int kRows = 21;
  const CachePages keys = f16_pages(kHead, kPageTokens, 3, 1), values = f16_pages(kValue, kPageTokens, 3, 2);
  const auto q = random_floats(kRows * kHead, 3);
  std::vector<std::int32_t> limits;
  for (int r = 0; r < kRows; ++r) limits.push_back(1 + r * 9);
  std::vector<float> together(kRows * kValue), alone(kValue),
      scratch(static_cast<std::size_t>(attend_rounded_floats(kRows, kHead, kValue)));
  for (const Kernel& kernel : usable_kernels(AttendRounded::kName, cpu_isa())) {
    const auto run = reinterpret_cast<AttendRounded::Fn*>(kernel.fn);
    AttendArgs args{q.data(),
                    kHead,
                    kRows,
                    kHead,
                    kValue,
                    0.1F,
                    limits.data(),
                    keys.pages.data(),
                    values.pages.data(),
                    together.data(),
                    kValue,
                    scratch.data()};
    run(args, CacheType::kF16);
    for (int r = 0; r < kRows; ++r) {
      args.q = q.data() + r * kHead;
      args.rows = 1;
      args.limits = limits.data() + r;
      args.out = alone.data();
      run(args, CacheType::kF16);
      EXPECT_EQ(std::memcmp(alone.data(), together.data() + r * kValue, kValue * sizeof(float)), 0)
          << isa_name(kernel.isa) << " row " << r;
    }
  }
}

TEST(Attend, F16) { every_variant<AttendF16>(f16_pages, f16_pages); }
TEST(Attend, Bf16) { every_variant<AttendBf16>(bf16_pages, bf16_pages); }
TEST(Attend, F32) { every_variant<AttendF32>(f32_pages, f32_pages); }
TEST(Attend, Q8) { every_variant<AttendQ8>(q8_key_pages, q8_pages); }

}  // namespace
}  // namespace deepwell
