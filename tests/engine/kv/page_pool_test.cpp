// SPDX-License-Identifier: Apache-2.0
// Goal: pages are counted right: what is taken, shared and given back adds up, no page has two uses, and
// streams of a page never overlap. Method: small pools, a random walk of allocate, share and release beside a
// model of it, marks in memory.
#include "engine/kv/page_pool.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <random>
#include <set>

namespace deepwell {
namespace {

CacheLayout layout_of(CacheType type) {
  CacheLayout layout;
  layout.layers = {{{"keys", 16}, {"values", 16}}, {{"latent", 24}, {"blocks", 8, 4}}};
  layout.type = type;
  return layout;
}

std::unique_ptr<PagePool> pool_of(std::int64_t pages, CacheType type = CacheType::kF16) {
  auto pool = PagePool::make(layout_of(type), pages);
  DW_CHECK(pool.ok());
  return std::move(pool).value();
}

TEST(CacheLayout, CountsBytesOfEveryStreamAndType) {
  // 16 + 16 + 24 elements a token, 8 for every four tokens.
  EXPECT_EQ(layout_of(CacheType::kF16).bytes_per_token(), (16 + 16 + 24 + 2) * 2);
  EXPECT_EQ(layout_of(CacheType::kBF16).bytes_per_token(), (16 + 16 + 24 + 2) * 2);
  EXPECT_EQ(layout_of(CacheType::kF32).bytes_per_token(), (16 + 16 + 24 + 2) * 4);
  EXPECT_EQ(layout_of(CacheType::kF32).bytes_per_page(), (16 + 16 + 24 + 2) * 4 * 64);
  // A scale of four bytes beside each vector of up to 64.
  EXPECT_EQ(layout_of(CacheType::kQ8).bytes_per_token(), (16 + 4) + (16 + 4) + (24 + 4) + (8 + 4) / 4);
  EXPECT_EQ(cache_vector_bytes(CacheType::kQ8, 576), 576 + 9 * 4);
  EXPECT_EQ(cache_vector_bytes(CacheType::kQ8, 66), 68 + 2 * 4);
}

TEST(CacheLayout, AnEntryOfMoreTokensThanAPageHasAPlaceInEveryPage) {
  CacheLayout layout;
  layout.layers = {{{"entries", 32, 128}, {"keys", 8, 4}}};
  EXPECT_EQ(layout.entries_per_page(layout.layers[0][0]), 1);
  EXPECT_EQ(layout.entries_per_page(layout.layers[0][1]), 16);
  EXPECT_EQ(layout.bytes_per_page(), (32 + 16 * 8) * 2);
}

TEST(SequenceCache, HasARollingStateOfItsOwnThatMovesWithIt) {
  CacheLayout layout = layout_of(CacheType::kF16);
  layout.rolling = {{}, {{"ring", 40}, {"block", 100}}};
  EXPECT_EQ(layout.rolling_bytes(), 192);
  const auto pool = std::move(PagePool::make(layout, 2)).value();
  SequenceCache one(*pool), other(*pool);
  ASSERT_EQ(one.rolling().size(), 192U);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(one.rolling().data()) % 64, 0U);
  std::memset(one.rolling().data(), 1, 192);
  std::memset(other.rolling().data(), 2, 192);
  EXPECT_EQ(one.rolling(1, 1), one.rolling().data() + 64);
  const SequenceCache moved(std::move(one));
  EXPECT_EQ(moved.rolling()[191], std::byte{1});
  EXPECT_EQ(other.rolling()[0], std::byte{2});
  EXPECT_TRUE(SequenceCache(*pool_of(1)).rolling().empty());
}

TEST(PagePool, HandsOutEveryPageOnceAndTakesItBack) {
  const auto pool = pool_of(7);
  EXPECT_EQ(pool->pages(), 7);
  std::set<std::int32_t> pages;
  while (pool->free_pages() > 0) pages.insert(pool->allocate());
  EXPECT_EQ(pages, (std::set<std::int32_t>{0, 1, 2, 3, 4, 5, 6}));
  for (std::int32_t page : pages) pool->release(page);
  EXPECT_EQ(pool->free_pages(), 7);
}

TEST(PagePool, ASharedPageIsFreeWhenItsLastOwnerLeaves) {
  const auto pool = pool_of(2);
  const std::int32_t page = pool->allocate();
  pool->share(page);
  pool->share(page);
  pool->release(page);
  pool->release(page);
  EXPECT_EQ(pool->free_pages(), 1);
  pool->release(page);
  EXPECT_EQ(pool->free_pages(), 2);
}

TEST(PagePool, AKeptPageIsSpareWhenOnlyItsKeeperIsLeft) {
  const auto pool = pool_of(3);
  const std::int32_t page = pool->allocate();
  pool->keep(page);
  EXPECT_EQ(pool->spare_pages(), 0);
  pool->release(page);
  EXPECT_TRUE(pool->spare(page));
  EXPECT_EQ(pool->spare_pages(), 1);
  EXPECT_EQ(pool->free_pages(), 2);
  EXPECT_EQ(pool->used_pages(), 0);
  pool->share(page);
  EXPECT_EQ(pool->spare_pages(), 0);
  EXPECT_EQ(pool->used_pages(), 1);
  pool->unkeep(page);  // the reader goes on
  EXPECT_EQ(pool->used_pages(), 1);
  pool->release(page);
  EXPECT_EQ(pool->free_pages(), 3);
  EXPECT_EQ(pool->spare_pages(), 0);
}

TEST(PagePool, ARandomWalkAddsUp) {
  const auto pool = pool_of(20);
  std::mt19937 random(1);
  std::map<std::int32_t, int> owners;
  for (int step = 0; step < 20000; ++step) {
    const auto some_page = [&] {
      auto at = owners.begin();
      std::advance(at, static_cast<std::ptrdiff_t>(random() % owners.size()));
      return at->first;
    };
    switch (random() % 3) {
      case 0:
        if (pool->free_pages() > 0) {
          const std::int32_t page = pool->allocate();
          ASSERT_EQ(owners.count(page), 0U) << "handed out twice";
          owners[page] = 1;
        }
        break;
      case 1:
        if (!owners.empty()) {
          const std::int32_t page = some_page();
          pool->share(page);
          ++owners[page];
        }
        break;
      default:
        if (!owners.empty()) {
          const std::int32_t page = some_page();
          pool->release(page);
          if (--owners[page] == 0) owners.erase(page);
        }
    }
    ASSERT_EQ(pool->free_pages(), 20 - static_cast<std::int64_t>(owners.size()));
  }
}

TEST(PagePool, StreamsOfAllPagesLieApartAndAreAligned) {
  for (const CacheType type : {CacheType::kF16, CacheType::kF32, CacheType::kQ8}) {
    const auto pool = pool_of(3, type);
    struct Block {
      std::byte* at;
      std::size_t bytes;
    };
    std::vector<Block> blocks;
    for (std::int32_t page = 0; page < 3; ++page) {
      for (std::int64_t layer = 0; layer < 2; ++layer) {
        const auto& streams = pool->layout().layers[static_cast<std::size_t>(layer)];
        for (std::size_t s = 0; s < streams.size(); ++s)
          blocks.push_back({pool->stream(page, layer, static_cast<std::int64_t>(s)),
                            static_cast<std::size_t>(pool->layout().bytes_per_page(streams[s]))});
      }
    }
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(blocks[i].at) % 64, 0U);
      std::memset(blocks[i].at, static_cast<int>(i + 1), blocks[i].bytes);
    }
    for (std::size_t i = 0; i < blocks.size(); ++i)
      for (std::size_t b = 0; b < blocks[i].bytes; ++b)
        ASSERT_EQ(std::to_integer<std::size_t>(blocks[i].at[b]), i + 1) << "block " << i << " byte " << b;
  }
}

TEST(PagePool, ACacheLargerThanTheAddressSpaceIsAnErrorThatSaysSo) {
  const auto pool = PagePool::make(layout_of(CacheType::kF32), std::int64_t{1} << 44);
  ASSERT_FALSE(pool.ok());
  EXPECT_NE(pool.error().message.find("use a smaller --context"), std::string::npos) << pool.error().message;
}

TEST(SequenceCache, GrowsByPagesAndGivesThemBack) {
  const auto pool = pool_of(5);
  {
    SequenceCache cache(*pool);
    EXPECT_EQ(cache.missing(0), 0);
    EXPECT_EQ(cache.missing(1), 1);
    EXPECT_EQ(cache.missing(64), 1);
    EXPECT_EQ(cache.missing(65), 2);
    cache.grow(65);
    EXPECT_EQ(cache.pages().size(), 2U);
    EXPECT_EQ(cache.missing(128), 0);
    EXPECT_EQ(cache.missing(129), 1);
    cache.grow(10);  // never shrinks
    EXPECT_EQ(cache.pages().size(), 2U);
    EXPECT_EQ(pool->free_pages(), 3);
    SequenceCache moved(std::move(cache));
    EXPECT_EQ(moved.pages().size(), 2U);
    EXPECT_EQ(pool->free_pages(), 3);
  }
  EXPECT_EQ(pool->free_pages(), 5);
}

TEST(SequenceCache, AdoptsSharedPagesAndExchangesEqualOnes) {
  const auto pool = pool_of(4);
  SequenceCache first(*pool), second(*pool);
  first.grow(128);
  second.adopt(first.pages()[0]);
  EXPECT_EQ(second.missing(128), 1);
  second.grow(128);
  EXPECT_EQ(pool->free_pages(), 1);
  second.replace(1, first.pages()[1]);
  EXPECT_EQ(second.pages(), first.pages());
  EXPECT_EQ(pool->free_pages(), 2);
  first.clear();
  EXPECT_EQ(pool->free_pages(), 2);
  second.clear();
  EXPECT_EQ(pool->free_pages(), 4);
}

TEST(PagePoolDeathTest, MisuseIsABugThatStopsAtOnce) {
  const auto pool = pool_of(1);
  const std::int32_t page = pool->allocate();
  EXPECT_DEATH(pool->allocate(), "");
  pool->release(page);
  EXPECT_DEATH(pool->release(page), "");
  EXPECT_DEATH(pool->share(page), "");
}

}  // namespace
}  // namespace deepwell
