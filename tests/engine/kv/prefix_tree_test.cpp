// SPDX-License-Identifier: Apache-2.0
// Goal: the tree finds what was inserted, in the space it was inserted in, and nothing else; it gives back
// the longest unused page first and never one in use. Method: hand-made paths, and a random walk beside a
// plain map from texts to pages.
#include "engine/kv/prefix_tree.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace deepwell {
namespace {

using Tokens = std::vector<std::int32_t>;
using Node = PrefixTree::Node;

std::unique_ptr<PagePool> pool_of(std::int64_t pages) {
  CacheLayout layout;
  layout.layers = {{{"keys", 2}}};
  auto pool = PagePool::make(std::move(layout), pages);
  DW_CHECK(pool.ok());
  return std::move(pool).value();
}

Tokens run_of(std::int32_t seed) {
  Tokens tokens(64);
  for (std::int32_t i = 0; i < 64; ++i) tokens[static_cast<std::size_t>(i)] = seed * 1000 + i;
  return tokens;
}

/// As a sequence does it: allocates a page, lets the tree keep it, leaves.
Node* add(PrefixTree& tree, PagePool& pool, Node* parent, std::string_view space, const Tokens& tokens) {
  const std::int32_t page = pool.allocate();
  Node* const node = tree.insert(parent, space, tokens, page);
  pool.release(page);
  return node;
}

TEST(PrefixTree, FindsPathsAndKeepsSpacesApart) {
  const auto pool = pool_of(10);
  PrefixTree tree(*pool);
  Node* const a = add(tree, *pool, tree.root(), "ann", run_of(1));
  Node* const b = add(tree, *pool, a, "ann", run_of(2));
  EXPECT_EQ(tree.find(tree.root(), "ann", run_of(1)), a);
  EXPECT_EQ(tree.find(a, "ann", run_of(2)), b);
  EXPECT_EQ(tree.find(tree.root(), "ann", run_of(2)), nullptr) << "only after the first";
  EXPECT_EQ(tree.find(tree.root(), "bob", run_of(1)), nullptr);
  EXPECT_EQ(tree.find(tree.root(), "", run_of(1)), nullptr);
  Node* const other = add(tree, *pool, tree.root(), "bob", run_of(1));
  EXPECT_NE(other->page(), a->page());
  EXPECT_EQ(tree.size(), 3);
  EXPECT_EQ(pool->free_pages(), 7);
  EXPECT_EQ(pool->spare_pages(), 3);
  EXPECT_EQ(pool->used_pages(), 0);
  tree.clear();
  EXPECT_EQ(pool->free_pages(), 10);
}

TEST(PrefixTree, GivesTheLongestUnusedLeafBackFirst) {
  const auto pool = pool_of(10);
  PrefixTree tree(*pool);
  Node* const a = add(tree, *pool, tree.root(), "", run_of(1));
  add(tree, *pool, a, "", run_of(2));
  add(tree, *pool, tree.root(), "", run_of(3));
  ASSERT_NE(tree.find(a, "", run_of(2)), nullptr);  // now used after 3
  EXPECT_TRUE(tree.evict());
  EXPECT_EQ(tree.find(tree.root(), "", run_of(3)), nullptr);
  EXPECT_TRUE(tree.evict());
  EXPECT_EQ(tree.find(a, "", run_of(2)), nullptr) << "the leaf before its parent";
  EXPECT_TRUE(tree.evict());
  EXPECT_FALSE(tree.evict());
  EXPECT_EQ(pool->free_pages(), 10);
}

TEST(PrefixTree, NeverGivesBackWhatIsInUse) {
  const auto pool = pool_of(4);
  PrefixTree tree(*pool);
  Node* const a = add(tree, *pool, tree.root(), "", run_of(1));
  Node* const b = add(tree, *pool, a, "", run_of(2));
  add(tree, *pool, b, "", run_of(3));
  SequenceCache reader(*pool);
  reader.adopt(a->page());
  reader.adopt(b->page());
  EXPECT_EQ(pool->spare_pages(), 1);
  EXPECT_EQ(pool->used_pages(), 2);
  EXPECT_TRUE(tree.evict());
  EXPECT_FALSE(tree.evict());
  EXPECT_EQ(tree.size(), 2);
  reader.clear();
  EXPECT_TRUE(tree.evict());
  EXPECT_TRUE(tree.evict());
}

TEST(PrefixTree, ARandomWalkMatchesAMap) {
  const auto pool = pool_of(40);
  PrefixTree tree(*pool);
  std::mt19937 random(3);
  std::map<Tokens, Node*> known;  // by the whole text before and with it
  for (int step = 0; step < 20000; ++step) {
    Node* at = tree.root();
    Tokens text;
    SequenceCache mine(*pool);
    for (auto depth = 1 + random() % 5; depth > 0; --depth) {
      const Tokens run = run_of(static_cast<std::int32_t>(random() % 3));
      text.insert(text.end(), run.begin(), run.end());
      Node* const found = tree.find(at, "", run);
      const auto expected = known.find(text);
      ASSERT_EQ(found, expected == known.end() ? nullptr : expected->second);
      if (found != nullptr) {
        mine.adopt(found->page());
        at = found;
        continue;
      }
      if (pool->free_pages() == 0) {
        tree.clear();  // what this walk holds stays its own
        known.clear();
        break;
      }
      mine.grow(static_cast<std::int64_t>(mine.pages().size() + 1) * 64);
      at = known[text] = tree.insert(at, "", run, mine.pages().back());
    }
    ASSERT_EQ(tree.size(), static_cast<std::int64_t>(known.size()));
  }
}

}  // namespace
}  // namespace deepwell
