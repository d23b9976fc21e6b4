// SPDX-License-Identifier: Apache-2.0
// Goal: runs of tokens are found where numpy finds them in tables of the released size, whose rows are asked
// for before they are read; the value is added as far as keys and streams agree, whatever type the rows have,
// with the same bits in any batch. Method: scripts/golden_engram.py; the formula in double.
#include "engine/nn/engram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>

#include "random_rows.h"

namespace deepwell {
namespace {

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

/// Any number of rows of four floats, their own number among them; knows which were asked for.
class NumberedRows final : public RowSource {
 public:
  static float value(std::int64_t row, std::int64_t i) {
    return static_cast<float>((row % 1021 + 31 * i) % 512 - 256) / 128;
  }
  const std::byte* row(std::int64_t row, std::byte* memory) const override {
    EXPECT_TRUE(expected.contains(row)) << row;
    for (std::int64_t i = 0; i < 4; ++i) {
      const float made = value(row, i);
      std::memcpy(memory + 4 * i, &made, 4);
    }
    return memory;
  }
  std::vector<std::span<const std::byte>> parts() const override { return {}; }
  void expect(std::int64_t row) const override { expected.insert(row); }
  mutable std::set<std::int64_t> expected;
};

struct GoldenLine {
  std::string name;
  int layer = 0;
  std::vector<std::int64_t> numbers;
  static std::vector<GoldenLine> read() {
    std::ifstream file(std::string(DEEPWELL_SOURCE_DIR) + "/tests/golden/engine/engram.txt");
    std::vector<GoldenLine> lines;
    for (std::string text; std::getline(file, text);) {
      std::istringstream words(text);
      GoldenLine line;
      words >> line.name >> line.layer;
      for (std::int64_t number = 0; words >> number;) line.numbers.push_back(number);
      lines.push_back(std::move(line));
    }
    return lines;
  }
};

class EngramTest : public testing::Test {
 protected:
  /// A small layer: two hashes of 2 and 3 tokens each, rows of 32 in `type`.
  Engram small(TypeId type) {
    Engram engram;
    engram.length = 3;
    engram.heads = 2;
    engram.streams = kStreams;
    engram.width = kWidth;
    engram.eps = 1e-20F;
    auto tokens = std::make_shared<EngramTokens>();
    for (std::int32_t i = 0; i < 50; ++i) tokens->ids.push_back(i * 7 % 23);
    tokens->pad = 2;
    engram.tokens = tokens;
    engram.multipliers = {0x123456789abcdefU, 0x2468ace013579bdU, 0x3ffffffffffffffU};
    engram.primes = {11, 13, 17, 19};
    engram.offsets = {0, 11, 24, 41};
    bytes_ = random_rows(type, kRows, kLength, 5);
    engram.table = Embedding(*find_weight_format(type), std::span<const std::byte>(bytes_), kLength);
    RandomMatrix matrix(TypeId::kF32, (kStreams + 1) * kWidth, 4 * kLength, 6, pool_);
    matrix_ = matrix.floats;
    engram.key_value = Linear(std::move(matrix.packed), {});
    engram.agreement = random_floats(kStreams * kWidth, 7);
    return engram;
  }
  /// What the layer makes of the streams of some runs, in one batch or in many.
  std::vector<float> added(const Engram& engram, std::vector<float> x, std::int64_t at_once) {
    const std::int64_t all = std::ssize(runs_) / engram.length;
    for (std::int64_t row = 0; row < all; row += at_once) {
      const ScratchScope scope(scratch_);
      const std::int64_t count = std::min(at_once, all - row);
      const std::int32_t* places = engram.find(runs_.data() + row * engram.length, count, context_);
      engram.add_to(places, count, x.data() + row * kStreams * kWidth, context_);
    }
    return x;
  }
  static constexpr std::int64_t kStreams = 4, kWidth = 72, kLength = 256, kRows = 60;
  ThreadPool pool_{2};
  Scratch scratch_;
  Context context_{pool_, scratch_, /*exact=*/true};
  std::vector<std::byte> bytes_;
  std::vector<float> matrix_;
  std::vector<std::int32_t> runs_;  // of small()
};

TEST_F(EngramTest, RunsAreFoundWhereNumpyFindsThemInTheReleasedTables) {
  Engram engram;
  auto tokens = std::make_shared<EngramTokens>();
  for (std::int32_t id = 0; id < 99092; ++id) tokens->ids.push_back(id);
  tokens->pad = 2;
  engram.tokens = tokens;
  engram.length = 4;
  engram.heads = 8;
  const auto source = std::make_shared<NumberedRows>();
  engram.table = Embedding(*find_weight_format(TypeId::kF32), TensorRows(source), 4);
  std::vector<std::int32_t> run;
  int runs = 0;
  const auto unsigned_of = [](const std::vector<std::int64_t>& numbers) {
    return std::vector<std::uint64_t>(numbers.begin(), numbers.end());
  };
  for (const GoldenLine& line : GoldenLine::read()) {
    if (line.name == "multipliers") engram.multipliers = unsigned_of(line.numbers);
    if (line.name == "primes") engram.primes = unsigned_of(line.numbers);
    if (line.name == "offsets") engram.offsets = unsigned_of(line.numbers);
    if (line.name == "run") run.assign(line.numbers.begin(), line.numbers.end());
    if (line.name != "places") continue;
    source->expected.clear();
    const std::int32_t* places = engram.find(run.data(), 1, context_);
    EXPECT_EQ(std::vector<std::int64_t>(places, places + 24), line.numbers) << "run " << runs;
    EXPECT_EQ(source->expected, std::set<std::int64_t>(line.numbers.begin(), line.numbers.end()));
    std::vector<float> found(24 * 4);
    engram.table.lookup({places, 24}, found.data(), context_);
    EXPECT_EQ(found[95], NumberedRows::value(places[23], 3));
    ++runs;
  }
  EXPECT_EQ(runs, 12);
}

TEST_F(EngramTest, TheValueIsAddedAsFarAsKeysAgree) {
  for (const TypeId type : {TypeId::kF32, TypeId::kF16, TypeId::kBF16, TypeId::kQ8_0}) {
    const Engram engram = small(type);
    runs_ = {4, 9, 33, 9, 33, -1, 33, -1, -1, 0, 49, 49};
    const std::int64_t rows = 4, k = 4 * kLength;
    const auto x = random_floats(rows * kStreams * kWidth, 8);
    const std::vector<float> got = added(engram, x, rows);
    for (std::int64_t row = 0; row < rows; ++row) {
      std::vector<float> memory(at(k));
      std::uint64_t hash = 0;
      for (std::int64_t i = 0; i < 3; ++i) {
        const std::int32_t token = runs_[at(row * 3 + i)];
        hash ^= static_cast<std::uint64_t>(token < 0 ? 2 : token * 7 % 23) * engram.multipliers[at(i)];
        for (std::int64_t head = 0; i > 0 && head < 2; ++head) {
          const std::int64_t column = (i - 1) * 2 + head;
          const auto place = static_cast<std::int64_t>(hash % engram.primes[at(column)]) +
                             static_cast<std::int64_t>(engram.offsets[at(column)]);
          const std::size_t row_bytes = bytes_.size() / kRows;
          find_weight_format(type)->dequantize(bytes_.data() + at(place) * row_bytes, kLength,
                                               memory.data() + column * kLength);
        }
      }
      double terms = 0;  // the sum of the sizes of the last product's terms
      const auto product = [&](std::int64_t r) {
        double sum = terms = 0;
        for (std::int64_t i = 0; i < k; ++i) {
          const double term = double{matrix_[at(r * k + i)]} * double{memory[at(i)]};
          sum += term;
          terms += std::abs(term);
        }
        return sum;
      };
      for (std::int64_t stream = 0; stream < kStreams; ++stream) {
        const std::int64_t from = (row * kStreams + stream) * kWidth;
        double agreement = 0, squares = 0, key_squares = 0;
        for (std::int64_t i = 0; i < kWidth; ++i) {
          const double key = product(stream * kWidth + i), value = double{x[at(from + i)]};
          agreement += value * key * double{engram.agreement[at(stream * kWidth + i)]};
          squares += value * value;
          key_squares += key * key;
        }
        const double d = agreement / std::sqrt(squares / kWidth) / std::sqrt(key_squares / kWidth) /
                         std::sqrt(static_cast<double>(kWidth));
        const double gate = 1 / (1 + std::exp(-std::copysign(std::sqrt(std::max(std::abs(d), 1e-6)), d)));
        for (std::int64_t i = 0; i < kWidth; ++i) {
          const double value = product(kStreams * kWidth + i);
          EXPECT_NEAR(double{got[at(from + i)]}, double{x[at(from + i)]} + gate * value, 1e-6 * (1 + terms))
              << type_info(type).name << " row " << row << " stream " << stream << " element " << i;
        }
      }
    }
  }
}

TEST_F(EngramTest, BitsDoNotDependOnTheBatch) {
  const Engram engram = small(TypeId::kQ8_0);
  for (std::int32_t i = 0; i < 600 * 3; ++i) runs_.push_back(i * i % 50);
  const auto x = random_floats(600 * kStreams * kWidth, 9);
  for (const bool exact : {true, false}) {
    context_.exact = exact;
    const std::vector<float> together = added(engram, x, 600);
    for (const std::int64_t at_once : {1, 7, 64}) EXPECT_EQ(added(engram, x, at_once), together) << at_once;
  }
}

TEST_F(EngramTest, StreamsThatAreZeroGetHalfTheValue) {
  const Engram engram = small(TypeId::kF32);
  runs_ = {1, 2, 3};
  const std::vector<float> got = added(engram, std::vector<float>(at(kStreams * kWidth), 0.0F), 1);
  std::vector<float> memory(4 * kLength), value((kStreams + 1) * kWidth);
  const std::int32_t* places = engram.find(runs_.data(), 1, context_);
  engram.table.lookup({places, 4}, memory.data(), context_);
  Input input(memory.data(), 1, 4 * kLength, 4 * kLength, context_);
  multiply(input, {{&engram.key_value, value.data(), std::ssize(value)}}, context_);
  const float gate = 1 / (1 + std::exp(-std::sqrt(1e-6F)));  // as copysign has it
  for (std::int64_t i = 0; i < kWidth; ++i)
    EXPECT_NEAR(got[at(i)], gate * value[at(kStreams * kWidth + i)], 1e-6F * std::abs(got[at(i)]) + 1e-9F);
}

}  // namespace
}  // namespace deepwell
