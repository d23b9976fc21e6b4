// SPDX-License-Identifier: Apache-2.0
// Goal: scratch memory is aligned, never handed out twice at once, and a step like the one before allocates
// nothing.
#include "engine/nn/scratch.h"

#include <gtest/gtest.h>

#include <cstring>
#include <new>
#include <vector>

namespace deepwell {
namespace {

TEST(Scratch, PiecesAreAlignedAndApart) {
  Scratch scratch;
  std::vector<std::pair<char*, std::int64_t>> pieces;
  for (const std::int64_t size : {1, 63, 64, 65, 100000, 1 << 20, 3, (1 << 20) + 1, 0, 5000000, 1}) {
    char* at = scratch.take<char>(size);
    ASSERT_EQ(reinterpret_cast<std::uintptr_t>(at) % 64, 0U);
    std::memset(at, static_cast<int>(pieces.size()) + 1, static_cast<std::size_t>(size));
    pieces.emplace_back(at, size);
  }
  for (std::size_t i = 0; i < pieces.size(); ++i)
    for (std::int64_t b = 0; b < pieces[i].second; ++b)
      ASSERT_EQ(pieces[i].first[b], static_cast<char>(i + 1)) << "piece " << i << " was written over";
}

TEST(Scratch, TheSecondStepFindsTheMemoryOfTheFirst) {
  Scratch scratch;
  const auto step = [&] {
    const ScratchScope scope(scratch);
    for (int i = 0; i < 100; ++i) {
      const ScratchScope inner(scratch);
      scratch.take<float>(10000 + i);
      scratch.take<float>(700000);
    }
    scratch.take<double>(1234567);
  };
  step();
  const std::size_t bytes = scratch.bytes();
  EXPECT_GT(bytes, 1234567U * 8);
  for (int i = 0; i < 20; ++i) step();
  EXPECT_EQ(scratch.bytes(), bytes);
}

TEST(Scratch, StepsThatGrowLittleByLittleKeepNoMoreThanTheLargest) {
  Scratch scratch;
  constexpr std::int64_t kRow = 44 * 1024, kMostRows = 512;
  for (std::int64_t rows = 1; rows <= kMostRows; ++rows) {
    const ScratchScope scope(scratch);
    scratch.take<char>(rows * kRow);
    scratch.take<char>(rows * kRow);
  }
  EXPECT_LE(scratch.bytes(), static_cast<std::size_t>(2 * kMostRows * kRow) + (std::size_t{4} << 20));
}

TEST(Scratch, AScopeGivesBackOnlyWhatItTook) {
  Scratch scratch;
  int* kept = scratch.take<int>(1);
  *kept = 42;
  int* first = nullptr;
  {
    const ScratchScope scope(scratch);
    first = scratch.take<int>(100);
    std::fill(first, first + 100, 1);
  }
  EXPECT_EQ(scratch.take<int>(100), first);
  EXPECT_EQ(*kept, 42);
}

TEST(Scratch, WhatCannotBeHadThrowsAndTheRestStays) {
  Scratch scratch;
  int* kept = scratch.take<int>(1);
  *kept = 42;
  EXPECT_THROW(scratch.take<char>(std::int64_t{1} << 50), std::bad_alloc);
  EXPECT_EQ(*kept, 42);
  EXPECT_NE(scratch.take<int>(100), nullptr);
}

}  // namespace
}  // namespace deepwell
