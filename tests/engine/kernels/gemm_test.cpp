// SPDX-License-Identifier: Apache-2.0
// Goal: every GEMM variant this CPU can run stays within the bound stated in gemm.h.
// Method: seeded random weights of every bit pattern and activations; each tile width, odd row counts, one
// block and a real layer's width, columns fewer than the width, accumulation. The bound is computed from the
// very weights and tile values.
#include "engine/kernels/gemm.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/quant/wide_rows.h"
#include "odd_scales.h"

namespace deepwell {
namespace {

/// The kernel that multiplies a type: its own, or that of what it is widened to.
std::string op_of(const WeightFormat& format) {
  return format.wide == Wide::kNone ? Gemm::name(format.type) : std::string(GemmWide::kName);
}

struct Case {
  const WeightFormat* format;
  Kernel kernel;

  void multiply(const GemmArgs& args) const {
    if (format->wide == Wide::kNone) return reinterpret_cast<Gemm::Fn*>(kernel.fn)(args);
    const std::int64_t k = args.tile->k, bytes = WideRows::group_bytes(format->wide, k);
    std::vector<std::byte> memory(static_cast<std::size_t>(args.group_count * bytes + 64));
    std::byte* wide = memory.data() + (64 - reinterpret_cast<std::uintptr_t>(memory.data()) % 64) % 64;
    for (std::int64_t g = 0; g < args.group_count; ++g)
      format->widen(args.groups + g * format->group_bytes(k), k, wide + g * bytes);
    GemmArgs widened = args;
    widened.groups = wide;
    reinterpret_cast<GemmWide::Fn*>(kernel.fn)(widened);
  }
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const WeightFormat& format : all_weight_formats())
    for (const Kernel& kernel : all_kernels())
      if (kernel.op == op_of(format) && kernel.isa <= cpu_isa() &&
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

/// A tile of as many columns as there are pointers, and its memory.
struct PreparedTile {
  PreparedTile(const WeightFormat& format, std::int64_t k, const std::vector<const float*>& columns)
      : memory(tile_bytes(format.activation, k, static_cast<int>(columns.size())) + 64) {
    std::byte* aligned = memory.data() + (64 - reinterpret_cast<std::uintptr_t>(memory.data()) % 64) % 64;
    tile = tile_over(format.activation, k, static_cast<int>(columns.size()), aligned);
    prepare(tile, columns);
  }
  std::vector<std::byte> memory;
  ActivationTile tile;
};

/// What the tile holds for element i of column c, exactly.
double tile_value(const ActivationTile& tile, std::int64_t i, int c) {
  if (tile.kind == Activation::kF32) return double{tile.floats[i * tile.width + c]};
  if (tile.kind == Activation::kBf16) {
    const std::uint32_t pair = tile.bf16[i / 2 * tile.width + c];
    return double{bfloat_to_float(static_cast<std::uint16_t>(i % 2 == 0 ? pair & 0xffffU : pair >> 16))};
  }
  const std::int64_t run = tile.kind == Activation::kQ8x32 ? 32 : 256;
  const auto word = static_cast<std::uint32_t>(tile.steps[i / 4 * tile.width + c]);
  return double{tile.scales[i / run * tile.width + c]} *
         static_cast<std::int8_t>(word >> (8 * (i % 4)) & 0xffU);
}

bool has_minima(const WeightFormat& format) {
  return format.type == TypeId::kQ4_1 || format.type == TypeId::kQ5_1 || format.type == TypeId::kQ4_K ||
         format.type == TypeId::kQ5_K || format.type == TypeId::kQ2_K;
}

/// |step part| + |minimum| of each weight of a row: a block with its minimum, then its scale set to zero.
std::vector<double> magnitudes(const WeightFormat& format, const std::vector<std::byte>& file,
                               std::int64_t row, std::int64_t k) {
  const TypeInfo& info = type_info(format.type);
  const std::int64_t row_bytes = k / info.block_elements * info.block_bytes;
  const std::vector<std::byte> bytes(file.begin() + row * row_bytes, file.begin() + (row + 1) * row_bytes);
  std::vector<double> sums(static_cast<std::size_t>(k), 0.0);
  std::vector<float> values(sums.size());
  const auto add_without_half_at = [&](std::int64_t at) {
    std::vector<std::byte> changed = bytes;
    if (at >= 0)
      for (std::int64_t b = at; b < row_bytes; b += info.block_bytes)
        changed[static_cast<std::size_t>(b)] = changed[static_cast<std::size_t>(b + 1)] = std::byte{0};
    format.dequantize(changed.data(), k, values.data());
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += std::fabs(double{values[i]});
  };
  if (!has_minima(format)) {
    add_without_half_at(-1);
  } else {
    const std::int64_t d = format.type == TypeId::kQ2_K ? 80 : 0;
    add_without_half_at(d);
    add_without_half_at(d + 2);
  }
  return sums;
}

/// n of the accuracy note in gemm.h.
double chain(const WeightFormat& format, std::int64_t k) {
  const auto length = static_cast<double>(k);
  if (format.activation == Activation::kQ8x32) return length / 32 * (has_minima(format) ? 2 : 1);
  if (format.activation == Activation::kQ8x256) return length / 256 + 24;
  return length / 2;
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
        const PreparedTile prepared(*format, k, pointers);
        const ActivationTile& tile = prepared.tile;

        const std::int64_t stride = rows + 3;
        std::vector<float> want(static_cast<std::size_t>(columns * stride), 0.5F), got(want);
        const std::int64_t groups = (rows + kGroupRows - 1) / kGroupRows;
        GemmArgs args{format, packed_bytes.data(), groups, rows, &tile, columns, want.data(), stride, true};
        gemm_reference(args);
        args.y = got.data();
        GetParam().multiply(args);

        for (std::int64_t r = 0; r < rows; ++r) {
          const std::vector<double> weights = magnitudes(*format, file, r, k);
          for (int c = 0; c < columns; ++c) {
            double sum = 0.5;  // what y held before
            for (std::int64_t i = 0; i < k; ++i)
              sum += weights[static_cast<std::size_t>(i)] * std::fabs(tile_value(tile, i, c));
            const std::size_t at = static_cast<std::size_t>(c * stride + r);
            ASSERT_NEAR(got[at], want[at], (chain(*format, k) + 8) * 0x1p-24 * sum)
                << "row " << r << " column " << c;
          }
        }
        for (int c = 0; c < columns; ++c)
          for (std::int64_t r = rows; r < stride; ++r)
            ASSERT_EQ(got[static_cast<std::size_t>(c * stride + r)], 0.5F) << "wrote past the last row";
      }
    }
  }
}

// Broken or odd files: a scale of infinity or NaN makes its row no number and no other; zero, the smallest
// and the largest are numbers like others.
TEST_P(GemmTest, OddScalesStayInTheirRow) {
  const auto& [format, kernel] = GetParam();
  constexpr std::int64_t kRows = 32;
  const std::int64_t block = type_info(format->type).block_elements;
  const std::int64_t k = block * std::max<std::int64_t>(3, 192 / block);
  auto file = random_rows(format->type, kRows, k, 21);
  plant_odd_scales(format->type, kRows, k, file);
  const auto packed = pack_rows(*format, file, kRows, k);
  const auto x = random_floats(4 * k, 22);
  const PreparedTile prepared(*format, k, {x.data(), x.data() + k, x.data() + 2 * k, x.data() + 3 * k});
  std::vector<float> want(4 * kRows), got(want);
  GemmArgs args{format, packed.data(), kRows / kGroupRows, kRows, &prepared.tile, 4, want.data(),
                kRows,  false};
  gemm_reference(args);
  args.y = got.data();
  GetParam().multiply(args);
  for (std::int64_t r = 0; r < kRows; ++r) {
    const std::vector<double> weights = magnitudes(*format, file, r, k);
    for (int c = 0; c < 4; ++c) {
      const auto at = static_cast<std::size_t>(c * kRows + r);
      ASSERT_EQ(std::isfinite(got[at]), std::isfinite(want[at])) << "row " << r << ": " << got[at];
      if (!std::isfinite(want[at])) continue;
      double sum = 0;
      for (std::int64_t i = 0; i < k; ++i)
        sum += weights[static_cast<std::size_t>(i)] * std::fabs(tile_value(prepared.tile, i, c));
      ASSERT_NEAR(got[at], want[at], (chain(*format, k) + 8) * 0x1p-24 * sum)
          << "row " << r << " column " << c;
    }
  }
}

// A token's result must not depend on what else is in its batch.
TEST_P(GemmTest, AColumnIsTheSameBitsInEveryTileAndPlace) {
  const auto& [format, kernel] = GetParam();
  const std::int64_t block = type_info(format->type).block_elements;
  for (const std::int64_t k : {block * std::max<std::int64_t>(1, 768 / block), block == 1 ? 37 : 3 * block}) {
    constexpr std::int64_t kRows = 21;
    const auto packed = pack_rows(*format, random_rows(format->type, kRows, k, 11), kRows, k);
    const auto x = random_floats(k, 12), others = random_floats(k * kMaxTileWidth, 13);
    std::vector<float> alone(kRows);
    const auto run = [&](const ActivationTile& tile, std::vector<float>& y) {
      const GemmArgs args{format, packed.data(), 2, kRows, &tile, tile.width, y.data(), kRows, false};
      GetParam().multiply(args);
    };
    run(PreparedTile(*format, k, {x.data()}).tile, alone);
    for (int width : kTileWidths) {
      for (int place = 0; place < width; ++place) {
        std::vector<const float*> columns;
        for (int c = 0; c < width; ++c) columns.push_back(c == place ? x.data() : others.data() + c * k);
        std::vector<float> y(static_cast<std::size_t>(kRows * width));
        run(PreparedTile(*format, k, columns).tile, y);
        ASSERT_EQ(std::memcmp(y.data() + place * kRows, alone.data(), alone.size() * sizeof(float)), 0)
            << "k " << k << ", column " << place << " of " << width;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(EveryVariant, GemmTest, testing::ValuesIn(cases()), [](const auto& test) {
  return Gemm::name(test.param.format->type) + "_" + std::string(isa_name(test.param.kernel.isa));
});

TEST(GemmVariants, ThisBuildHasOneForEveryInt8TypeAndIsa) {
  for (const WeightFormat& format : all_weight_formats()) {
    if (format.activation != Activation::kQ8x32 && format.activation != Activation::kQ8x256) continue;
    for (Isa isa : {Isa::kAvx2, Isa::kAvx512}) {
      bool found = false;
      for (const Kernel& kernel : all_kernels()) found |= kernel.op == op_of(format) && kernel.isa == isa;
      EXPECT_TRUE(found) << Gemm::name(format.type) << " for " << isa_name(isa);
    }
  }
}

// A tile with the rows as they lie, and widened: the same bits, whatever the scales.
TEST(GemmWidened, TheKernelsOfOneTileAreTheSameBits) {
  const std::vector<Kernel> wide = usable_kernels(GemmWide::kName, cpu_isa());
  for (const WeightFormat& format : all_weight_formats()) {
    if (format.wide == Wide::kNone || wide.empty()) continue;
    for (const Kernel& kernel : usable_kernels(Gemm::name(format.type), cpu_isa()))
      for (const bool odd : {false, true}) {
        constexpr std::int64_t kRows = 45, k = 1536, kStride = kRows + 3;
        auto file = random_rows(format.type, kRows, k, 41);
        if (odd) plant_odd_scales(format.type, kRows, k, file);
        const auto packed = pack_rows(format, file, kRows, k);
        for (const int width : kTileWidths) {
          SCOPED_TRACE(testing::Message() << kernel.op << " " << isa_name(kernel.isa) << (odd ? ", odd" : "")
                                          << ", " << width << " columns");
          const auto x = random_floats(k * width, 42);
          std::vector<const float*> columns;
          for (int c = 0; c < width; ++c) columns.push_back(x.data() + c * k);
          const PreparedTile prepared(format, k, columns);
          std::vector<float> want(static_cast<std::size_t>(kStride * width), 0.5F), got(want);
          GemmArgs args{&format, packed.data(), 3, kRows, &prepared.tile, width, want.data(), kStride, true};
          Case{&format, wide.back()}.multiply(args);
          args.y = got.data();
          reinterpret_cast<Gemm::Fn*>(kernel.fn)(args);
          for (std::size_t i = 0; i < want.size(); ++i)
            ASSERT_TRUE(got[i] == want[i] || (std::isnan(got[i]) && std::isnan(want[i])))
                << i << ": " << got[i] << " for " << want[i];
        }
      }
  }
}

// What is widened are the same weights: steps and scales of every bit pattern, in rows of their own.
TEST(GemmWidened, IsTheTypeItselfBitForBit) {
  for (const WeightFormat& format : all_weight_formats()) {
    if (format.wide == Wide::kNone) continue;
    constexpr std::int64_t kRows = 11, k = 1024;  // five rows are missing
    const auto packed = pack_rows(format, random_rows(format.type, kRows, k, 31), kRows, k);
    std::vector<float> want(static_cast<std::size_t>(k * kGroupRows));
    format.unpack(packed.data(), k, want.data());
    std::vector<std::byte> wide(static_cast<std::size_t>(WideRows::group_bytes(format.wide, k)));
    format.widen(packed.data(), k, wide.data());
    const int run = WideRows::run(format.wide);
    const auto number = [](const std::byte* at) {
      float value;
      std::memcpy(&value, at, sizeof value);
      return value;
    };
    for (std::int64_t i = 0; i < k; ++i)
      for (std::int64_t r = 0; r < kGroupRows; ++r) {
        const std::byte* block = wide.data() + i / 256 * WideRows::block_bytes(format.wide);
        const std::int64_t in = i % 256;
        const int step =
            std::to_integer<int>(block[(in / 4 * kGroupRows + r) * 4 + in % 4]) - WideRows::kOffset;
        const std::byte* table = block + WideRows::kStepBytes + (in / run * kGroupRows + r) * 4;
        ASSERT_EQ(number(table) * static_cast<float>(step),
                  want[static_cast<std::size_t>(i * kGroupRows + r)])
            << Gemm::name(format.type) << " weight " << i << " row " << r;
      }
  }
}

}  // namespace
}  // namespace deepwell
