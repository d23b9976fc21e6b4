// SPDX-License-Identifier: Apache-2.0
// Goal: weights give the same bits before, while and after they are packed, in every type; late packing takes
// matrices that all tokens pass first, as much as asked, and says what of the file is free. `make tsan` runs
// this, too: packing and multiplying take turns on the same threads.
#include "engine/nn/late_packing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "engine/nn/linear.h"
#include "random_rows.h"

namespace deepwell {
namespace {

std::shared_ptr<PackedMatrix> unpacked(const RandomMatrix& from, TypeId type, std::int64_t rows,
                                       std::int64_t k, std::int64_t slabs) {
  return std::make_shared<PackedMatrix>(
      PackedMatrix::unpacked(*find_weight_format(type), rows, k, from.bytes, slabs));
}

class UnpackedTest : public testing::TestWithParam<WeightFormat> {
 protected:
  ThreadPool pool_{4};
  Scratch scratch_;
};

TEST_P(UnpackedTest, GivesTheBitsOfPackedWeights) {
  constexpr std::int64_t kRows = 75, k = 512, kTokens = 14;  // a last group that is not full, two tiles
  const TypeId type = GetParam().type;
  RandomMatrix random(type, kRows, k, 1, pool_);
  const Linear packed(std::move(random.packed), {});
  const Linear later(PackedMatrix::unpacked(GetParam(), kRows, k, random.bytes), {});
  LatePacking late;
  late.add(later.product().shared_weights(), [](std::span<const std::byte>) {});
  const auto x = random_floats(kTokens * k, 3);
  for (const bool exact : {false, true}) {
    Context context{pool_, scratch_, exact};
    const auto product = [&](const Linear& linear) {
      const ScratchScope scope(scratch_);
      Input input(x.data(), kTokens, k, k, context);
      std::vector<float> y(static_cast<std::size_t>(kTokens * kRows));
      multiply(input, {{&linear, y.data(), kRows}}, context);
      return y;
    };
    const std::vector<float> want = product(packed);
    EXPECT_EQ(product(later), want) << (exact ? "exact" : "fast");
    late.pack(1, pool_);  // the second round reads what this wrote
    EXPECT_TRUE(later.weights().is_packed(0));
    EXPECT_EQ(product(later), want) << "packed later";
  }
}

INSTANTIATE_TEST_SUITE_P(EveryType, UnpackedTest, testing::ValuesIn(all_weight_formats()),
                         [](const auto& one) { return std::string(type_info(one.param.type).name); });

TEST(LatePackingTest, TakesWhatEveryTokenPassesFirstAndTellsWhatIsFree) {
  ThreadPool pool(3);
  constexpr std::int64_t kRows = 32, k = 256, kSlabs = 5;
  const RandomMatrix experts(TypeId::kQ4_K, kSlabs * kRows, k, 1, pool);
  const RandomMatrix plain(TypeId::kQ8_0, kRows, k, 2, pool);
  const auto stack = unpacked(experts, TypeId::kQ4_K, kRows, k, kSlabs);
  const auto matrix = unpacked(plain, TypeId::kQ8_0, kRows, k, 1);
  LatePacking late;
  std::vector<std::pair<const std::byte*, std::size_t>> freed;
  const auto release = [&](std::span<const std::byte> bytes) {
    freed.emplace_back(bytes.data(), bytes.size());
  };
  late.add(stack, release);
  late.add(matrix, release);
  late.pack(0, pool);
  EXPECT_TRUE(freed.empty());
  late.pack(1, pool);
  EXPECT_TRUE(matrix->is_packed(0));
  EXPECT_FALSE(stack->is_packed(0));
  late.pack(2 * stack->slab_bytes(), pool);
  EXPECT_TRUE(stack->is_packed(1));
  EXPECT_FALSE(stack->is_packed(2));
  EXPECT_FALSE(late.done());
  late.pack(std::int64_t{1} << 40, pool);
  EXPECT_TRUE(late.done());
  ASSERT_EQ(freed.size(), 1U + kSlabs);
  EXPECT_EQ(freed[0], std::pair(plain.bytes.data(), plain.bytes.size()));
  const std::size_t slab = experts.bytes.size() / kSlabs;
  for (std::size_t i = 0; i < kSlabs; ++i)
    EXPECT_EQ(freed[1 + i], std::pair(experts.bytes.data() + i * slab, slab));
}

TEST(LatePackingTest, SlabsOfAStackTurnOneByOneWithoutAChange) {
  ThreadPool pool(4);
  constexpr std::int64_t kRows = 48, k = 256, kSlabs = 6;
  const RandomMatrix random(TypeId::kQ5_K, kSlabs * kRows, k, 4, pool);
  const auto stack = unpacked(random, TypeId::kQ5_K, kRows, k, kSlabs);
  const PackedMatrix whole(*find_weight_format(TypeId::kQ5_K), kRows, k,
                           std::span<const std::byte>(random.bytes), pool, kSlabs);
  LatePacking late;
  late.add(stack, [](std::span<const std::byte>) {});
  const auto size = static_cast<std::size_t>(stack->group_bytes());
  for (std::int64_t packed = 0; packed <= kSlabs; ++packed) {
    std::vector<int> same(static_cast<std::size_t>(kSlabs * stack->groups()));
    pool.run(kSlabs * stack->groups(), [&](std::int64_t task, int) {
      const std::int64_t slab = task / stack->groups(), g = task % stack->groups();
      same[static_cast<std::size_t>(task)] =
          std::memcmp(stack->groups(slab, g, 1), whole.groups(slab, g, 1), size) == 0 ? 1 : 0;
    });
    EXPECT_EQ(std::count(same.begin(), same.end(), 1), std::ssize(same)) << packed << " packed";
    late.pack(1, pool);
  }
}

}  // namespace
}  // namespace deepwell
