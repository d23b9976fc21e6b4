// SPDX-License-Identifier: Apache-2.0
// Goal: rotations are by position * frequency in double, of the right elements, and leave the rest alone.
#include "engine/nn/rope.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace deepwell {
namespace {

TEST(Rope, TurnsEachPairByItsAngleInBothLayouts) {
  ThreadPool pool(2);
  Scratch scratch;
  Context context{pool, scratch};
  for (const std::int64_t pairs : {1, 2, 3, 8, 16, 20, 64}) {
    std::vector<double> frequencies;
    for (std::int64_t i = 0; i < pairs; ++i)
      frequencies.push_back(std::pow(10000.0, -static_cast<double>(i) / static_cast<double>(pairs)));
    for (const RopeLayout layout : {RopeLayout::kPairs, RopeLayout::kHalves}) {
      const Rope rope(layout, frequencies, 1.25F);
      std::vector<std::int32_t> positions;
      for (std::int32_t t = 0; t < 20; ++t) positions.push_back(t * t * 400);  // up to 144,400
      const ScratchScope scope(scratch);
      const Rope::Table table = rope.table(positions, context);
      for (std::size_t t = 0; t < positions.size(); ++t) {
        std::vector<float> head(static_cast<std::size_t>(2 * pairs + 5));
        for (std::size_t i = 0; i < head.size(); ++i) head[i] = std::sin(static_cast<float>(i + t));
        const std::vector<float> before = head;
        rope.rotate(head.data(), table, static_cast<std::int64_t>(t));
        for (std::int64_t i = 0; i < pairs; ++i) {
          const auto a = static_cast<std::size_t>(layout == RopeLayout::kPairs ? 2 * i : i);
          const auto b = static_cast<std::size_t>(layout == RopeLayout::kPairs ? 2 * i + 1 : i + pairs);
          const double angle = frequencies[static_cast<std::size_t>(i)] * positions[t];
          const double c = std::cos(angle) * 1.25, s = std::sin(angle) * 1.25;
          ASSERT_NEAR(head[a], before[a] * c - before[b] * s, 1e-6) << pairs << " pairs, " << i;
          ASSERT_NEAR(head[b], before[a] * s + before[b] * c, 1e-6) << pairs << " pairs, " << i;
        }
        for (auto i = static_cast<std::size_t>(2 * pairs); i < head.size(); ++i)
          ASSERT_EQ(head[i], before[i]) << "an element that is not rotated changed";
      }
    }
  }
}

TEST(Rope, FewAndManyPositionsMakeTheSameTable) {
  ThreadPool pool(3);
  Scratch scratch;
  Context context{pool, scratch};
  const Rope rope(RopeLayout::kHalves, {1.0, 0.1, 0.001}, 1.0F);
  std::vector<std::int32_t> positions;
  for (std::int32_t t = 0; t < 40; ++t) positions.push_back(7 * t + 3);
  const Rope::Table many = rope.table(positions, context);
  for (std::size_t t = 0; t < positions.size(); ++t) {
    const Rope::Table one = rope.table({&positions[t], 1}, context);
    for (std::size_t i = 0; i < 3; ++i) {
      ASSERT_EQ(one.cosine[i], many.cosine[t * 3 + i]);
      ASSERT_EQ(one.sine[i], many.sine[t * 3 + i]);
    }
  }
}

}  // namespace
}  // namespace deepwell
