// SPDX-License-Identifier: Apache-2.0
// Goal: every attention variant stays within the bound of attend.h.
// Method: 1 to 13 rows, head sizes around the vector widths, limits inside, at and past page borders.
#include "engine/kernels/attend.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "random_weights.h"

namespace deepwell {
namespace {

template <class Op>
void every_variant(int element_bytes, float (*round)(float), void (*put)(float, std::byte*)) {
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
        const std::int64_t key_page = head_dim * kPageTokens, value_page = value_dim * kPageTokens;
        const auto elements = [&](std::int64_t count, std::uint32_t seed) {
          const auto floats = random_floats(count, seed);
          std::vector<std::byte> bytes(floats.size() * static_cast<std::size_t>(element_bytes));
          for (std::size_t i = 0; i < floats.size(); ++i)
            put(round(floats[i]), bytes.data() + i * static_cast<std::size_t>(element_bytes));
          return bytes;
        };
        const auto key_bytes = elements(kPages * key_page, 1), value_bytes = elements(kPages * value_page, 2);
        std::vector<const std::byte*> key_pages, value_pages;
        for (int p = 0; p < kPages; ++p) {
          key_pages.push_back(key_bytes.data() + p * key_page * element_bytes);
          value_pages.push_back(value_bytes.data() + p * value_page * element_bytes);
        }
        const auto q = random_floats(rows * head_dim, 3);
        const int limits_of[] = {1, 64, 65, 150, 192, 63, 2};
        std::vector<std::int32_t> limits;
        for (int r = 0; r < rows; ++r) limits.push_back(limits_of[r % 7]);
        std::vector<float> want(static_cast<std::size_t>(rows * value_dim)), got(want.size(), NAN),
            scratch(static_cast<std::size_t>(attend_scratch_floats(rows)));
        AttendArgs args{q.data(),           head_dim,    rows,          head_dim,
                        value_dim,          0.35F,       limits.data(), key_pages.data(),
                        value_pages.data(), want.data(), value_dim,     scratch.data()};
        best_kernel<Op>(Isa::kScalar)(args);
        args.out = got.data();
        reinterpret_cast<typename Op::Fn*>(kernel.fn)(args);
        for (std::size_t i = 0; i < want.size(); ++i) ASSERT_NEAR(got[i], want[i], 4e-5F) << i;
      }
    }
  }
}

TEST(Attend, F16) {
  every_variant<AttendF16>(
      2, [](float x) { return x; },
      [](float x, std::byte* to) {
        const std::uint16_t half = float_to_half(x);
        std::memcpy(to, &half, 2);
      });
}
TEST(Attend, Bf16) {
  every_variant<AttendBf16>(
      2, [](float x) { return x; },
      [](float x, std::byte* to) {
        const std::uint16_t value = float_to_bfloat(x);
        std::memcpy(to, &value, 2);
      });
}
TEST(Attend, F32) {
  every_variant<AttendF32>(
      4, [](float x) { return x; }, [](float x, std::byte* to) { std::memcpy(to, &x, 4); });
}

}  // namespace
}  // namespace deepwell
