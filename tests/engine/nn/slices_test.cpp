// SPDX-License-Identifier: Apache-2.0
// Goal: weights sliced over NUMA nodes lie where their node's memory is asked for, all slabs' slices of a
// node together, and give the same bits as on one node, packed at once, late, or not at all. Method: a pool
// that believes in two or three nodes; where pages really come from is the system's business.
#include "engine/nn/slices.h"

#include <gtest/gtest.h>

#include "engine/nn/experts.h"
#include "engine/nn/late_packing.h"
#include "random_rows.h"

namespace deepwell {
namespace {

ThreadPlan plan_of(std::vector<int> memory_nodes) {
  ThreadPlan plan{.threads = 3};
  for (int i = 0; i < plan.threads; ++i) plan.nodes.push_back(i % static_cast<int>(memory_nodes.size()));
  plan.memory_nodes = std::move(memory_nodes);
  return plan;
}

TEST(Slices, CoverEveryGroupOnceWhateverTheNumbers) {
  for (const std::int64_t groups : {1, 3, 4, 9, 100, 4097}) {
    for (const int nodes : {1, 2, 3, kMostNodes}) {
      const Slices slices{groups, nodes};
      std::int64_t next = 0;
      for (int n = 0; n < nodes; ++n) {
        const SliceChunks chunks(slices, n, 7);
        EXPECT_EQ(slices.first(n), next);
        for (std::int64_t i = 0; i < chunks.count(); ++i) {
          EXPECT_EQ(chunks.first_of(i), next);
          EXPECT_EQ(slices.node_of(next), n);
          next += chunks.size_of(i);
        }
        EXPECT_EQ(next, slices.first(n + 1));
      }
      EXPECT_EQ(next, groups);
    }
  }
  EXPECT_NEAR(static_cast<double>(Slices{1000, 3}.size(1)), 333, 8) << "even";
}

TEST(Slices, TasksOfANodeAreItsOwnSlicesOfEveryMatrix) {
  for (const std::int64_t groups : {1, 7, 40})
    for (const int nodes : {1, 2, 5})
      for (const std::int64_t chunk : {1, 4}) {
        const Slices slices{groups, nodes};
        const SliceTasks tasks(slices, 3, chunk);
        ASSERT_EQ(std::ssize(tasks.bounds()), nodes + 1);
        std::vector<int> done(static_cast<std::size_t>(3 * groups), 0);
        for (int n = 0; n < nodes; ++n)
          for (std::int64_t task = tasks.bounds()[static_cast<std::size_t>(n)];
               task < tasks.bounds()[static_cast<std::size_t>(n) + 1]; ++task) {
            const auto [matrix, first, count] = tasks[task];
            EXPECT_EQ(slices.node_of(first), n);
            EXPECT_EQ(slices.node_of(first + count - 1), n);
            for (std::int64_t g = first; g < first + count; ++g)
              ++done[static_cast<std::size_t>(matrix * groups + g)];
          }
        EXPECT_EQ(std::count(done.begin(), done.end(), 1), 3 * groups);
      }
}

TEST(Slices, OfOneNodeLieTogetherAtAPage) {
  ThreadPool pool(plan_of({0, 1}));
  constexpr std::int64_t kRows = 16 * 19, k = 256, kSlabs = 3;
  const RandomMatrix random(TypeId::kQ4_K, kSlabs * kRows, k, 1, pool);
  const PackedMatrix matrix(*find_weight_format(TypeId::kQ4_K), kRows, k,
                            std::span<const std::byte>(random.bytes), pool, kSlabs, pool.memory_nodes());
  const Slices slices = matrix.slices();
  EXPECT_EQ(slices.first(1), 8);
  const std::byte* const second = matrix.groups(0, 8, 1);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(second) % 4096, 0U);
  for (std::int64_t slab = 0; slab < kSlabs; ++slab) {
    EXPECT_EQ(matrix.groups(slab, 0, 8) - matrix.groups(0, 0, 8), slab * 8 * matrix.group_bytes());
    EXPECT_EQ(matrix.groups(slab, 8, 11) - second, slab * 11 * matrix.group_bytes());
    EXPECT_LE(matrix.groups(slab, 7, 1) + matrix.group_bytes(), second);
  }
}

class SlicedTest : public testing::TestWithParam<WeightFormat> {};

TEST_P(SlicedTest, ProductsHaveTheBitsOfOneNode) {
  constexpr std::int64_t kRows = 16 * 21 - 5, k = 512, kTokens = 14;
  ThreadPool one(2), several(plan_of({0, 1, 2}));
  RandomMatrix random(GetParam().type, kRows, k, 1, one);
  const std::span<const std::byte> bytes(random.bytes);
  const Linear whole(std::move(random.packed), {});
  const Linear sliced(PackedMatrix(GetParam(), kRows, k, bytes, several, 1, several.memory_nodes()), {});
  const Linear later(PackedMatrix::unpacked(GetParam(), kRows, k, bytes, 1, several.memory_nodes()), {});
  LatePacking late;
  late.add(later.product().shared_weights(), [](std::span<const std::byte>) {});
  const auto x = random_floats(kTokens * k, 3);
  Scratch scratch;
  const auto product = [&](const Linear& linear, ThreadPool& pool) {
    Context context{pool, scratch, false};
    const ScratchScope scope(scratch);
    Input input(x.data(), kTokens, k, k, context);
    std::vector<float> y(static_cast<std::size_t>(2 * kTokens * kRows));
    multiply(input, {{&linear, y.data(), 2 * kRows}, {&linear, y.data() + kRows, 2 * kRows}}, context);
    return y;
  };
  const std::vector<float> want = product(whole, one);
  EXPECT_EQ(product(sliced, several), want);
  EXPECT_EQ(product(whole, several), want) << "a matrix that is not sliced";
  EXPECT_EQ(product(later, several), want) << "not packed";
  late.pack(1, several);
  EXPECT_TRUE(later.weights().is_packed(0));
  EXPECT_EQ(product(later, several), want) << "packed late";
}

INSTANTIATE_TEST_SUITE_P(EveryType, SlicedTest, testing::ValuesIn(all_weight_formats()),
                         [](const auto& one) { return std::string(type_info(one.param.type).name); });

TEST(SlicedExperts, HaveTheBitsOfOneNode) {
  constexpr std::int64_t kWidth = 256, kFfn = 512, kExperts = 5, kTokens = 9, kUsed = 2;
  ThreadPool one(2), several(plan_of({0, 1}));
  const RandomMatrix gate(TypeId::kQ4_K, kExperts * kFfn, kWidth, 1, one);
  const RandomMatrix up(TypeId::kQ4_K, kExperts * kFfn, kWidth, 2, one);
  const RandomMatrix down(TypeId::kQ6_K, kExperts * kWidth, kFfn, 3, one);
  const auto x = random_floats(kTokens * kWidth, 4);
  std::vector<std::int32_t> ids;
  for (std::int32_t i = 0; i < kTokens * kUsed; ++i)
    ids.push_back(static_cast<std::int32_t>(i * 7 % kExperts));
  const std::vector<float> weights(ids.size(), 0.5F);
  Scratch scratch;
  const auto compute = [&](ThreadPool& pool, bool late) {
    const auto part = [&](const RandomMatrix& from, TypeId type, std::int64_t rows, std::int64_t k) {
      const WeightFormat& format = *find_weight_format(type);
      const std::span<const std::byte> bytes(from.bytes);
      return PackedProduct(late
                               ? PackedMatrix::unpacked(format, rows, k, bytes, kExperts, pool.memory_nodes())
                               : PackedMatrix(format, rows, k, bytes, pool, kExperts, pool.memory_nodes()));
    };
    const Experts experts(part(gate, TypeId::kQ4_K, kFfn, kWidth), part(up, TypeId::kQ4_K, kFfn, kWidth),
                          part(down, TypeId::kQ6_K, kWidth, kFfn));
    Context context{pool, scratch, false};
    std::vector<float> y(static_cast<std::size_t>(kTokens * kWidth));
    experts.add_to(x.data(), kTokens, {ids.data(), weights.data(), kUsed}, y.data(), context);
    return y;
  };
  const std::vector<float> want = compute(one, false);
  EXPECT_EQ(compute(several, false), want);
  EXPECT_EQ(compute(several, true), want);
}

}  // namespace
}  // namespace deepwell
