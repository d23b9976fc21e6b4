// SPDX-License-Identifier: Apache-2.0
// Goal: every GEMM variant this CPU can run stays within the bound stated in gemm.h.
// Method: seeded random weights of every bit pattern and activations; each tile width, odd row counts, one
// block and a real layer's width, columns fewer than the width, accumulation.
#include "engine/kernels/gemm.h"

#include <gtest/gtest.h>

#include <cmath>

#include "random_weights.h"

namespace deepwell {
namespace {

struct Case {
  const WeightFormat* format;
  Kernel kernel;
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const WeightFormat& format : all_weight_formats())
    for (const Kernel& kernel : all_kernels())
      if (kernel.op == Gemm::name(format.type) && kernel.isa <= cpu_isa() &&
          (kernel.usable == nullptr || kernel.usable()))
        all.push_back({&format, kernel});
  return all;
}

class GemmTest : public testing::TestWithParam<Case> {};

void prepare(const ActivationTile& tile, const std::vector<const float*>& columns) {
  switch (tile.kind) {
    case Activation::kF32:
      return best_kernel<PrepareF32>(Isa::kScalar)(columns.data(), tile);
    case Activation::kBf16:
      return best_kernel<PrepareBf16>(Isa::kScalar)(columns.data(), tile);
    case Activation::kQ8x32:
      return best_kernel<PrepareQ8x32>(Isa::kScalar)(columns.data(), tile);
    case Activation::kQ8x256:
      return best_kernel<PrepareQ8x256>(Isa::kScalar)(columns.data(), tile);
  }
}

TEST_P(GemmTest, StaysWithinItsBoundOnEveryShape) {
  const auto& [format, kernel] = GetParam();
  const std::int64_t block = type_info(format->type).block_elements;
  struct Shape {
    std::int64_t rows, k;
  };
  for (const auto [rows, k] :
       {Shape{1, block}, Shape{17, 3 * block}, Shape{37, block * std::max<std::int64_t>(1, 1536 / block)}}) {
    const auto file = random_rows(format->type, rows, k, static_cast<unsigned>(rows + k));
    std::vector<std::byte> packed_bytes = pack_rows(*format, file, rows, k);
    for (int width : kTileWidths) {
      for (int columns : {width, std::max(1, width - 1)}) {
        SCOPED_TRACE(testing::Message() << rows << " x " << k << ", " << columns << " of " << width);
        const auto x = random_floats(columns * k, static_cast<unsigned>(columns));
        std::vector<const float*> pointers(static_cast<std::size_t>(width), nullptr);
        for (int c = 0; c < columns; ++c) pointers[static_cast<std::size_t>(c)] = x.data() + c * k;
        std::vector<std::byte> memory(tile_bytes(format->activation, k, width) + 64);
        std::byte* aligned = memory.data() + (64 - reinterpret_cast<std::uintptr_t>(memory.data()) % 64) % 64;
        const ActivationTile tile = tile_over(format->activation, k, width, aligned);
        prepare(tile, pointers);

        const std::int64_t stride = rows + 3;
        std::vector<float> want(static_cast<std::size_t>(columns * stride), 0.5F), got(want), magnitude(want);
        const std::int64_t groups = (rows + kGroupRows - 1) / kGroupRows;
        GemmArgs args{format, packed_bytes.data(), groups, rows, &tile, columns, want.data(), stride, true};
        gemm_reference(args);
        args.y = got.data();
        reinterpret_cast<Gemm::Fn*>(kernel.fn)(args);

        // sum |w x|, for the bound
        std::vector<float> weights(static_cast<std::size_t>(k));
        const std::int64_t row_bytes = k / block * type_info(format->type).block_bytes;
        for (std::int64_t r = 0; r < rows; ++r) {
          format->dequantize(file.data() + r * row_bytes, k, weights.data());
          for (int c = 0; c < columns; ++c) {
            double sum = 1;
            for (std::int64_t i = 0; i < k; ++i)
              sum += std::fabs(double{weights[static_cast<std::size_t>(i)]}) *
                     std::fabs(double{x[static_cast<std::size_t>(c * k + i)]});
            // The minimum of a block is added apart from its steps: |d*step| + |min| can exceed |w|.
            const double bound =
                4 * static_cast<double>(k / 2 + 16) * 0x1p-23 * (sum + 40.0 * static_cast<double>(k));
            const std::size_t at = static_cast<std::size_t>(c * stride + r);
            ASSERT_NEAR(got[at], want[at], bound * 1e-1) << "row " << r << " column " << c;
          }
        }
        for (int c = 0; c < columns; ++c)
          for (std::int64_t r = rows; r < stride; ++r)
            ASSERT_EQ(got[static_cast<std::size_t>(c * stride + r)], 0.5F) << "wrote past the last row";
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(EveryVariant, GemmTest, testing::ValuesIn(cases()), [](const auto& test) {
  return std::string(test.param.kernel.op) + "_" + std::string(isa_name(test.param.kernel.isa));
});

TEST(GemmVariants, ThisBuildHasOneForEveryInt8TypeAndIsa) {
  for (const WeightFormat& format : all_weight_formats()) {
    if (format.activation != Activation::kQ8x32 && format.activation != Activation::kQ8x256) continue;
    for (Isa isa : {Isa::kAvx2, Isa::kAvx512}) {
      bool found = false;
      for (const Kernel& kernel : all_kernels())
        found |= kernel.op == Gemm::name(format.type) && kernel.isa == isa;
      EXPECT_TRUE(found) << Gemm::name(format.type) << " for " << isa_name(isa);
    }
  }
}

}  // namespace
}  // namespace deepwell
