// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/kv/page_pool.h"

namespace deepwell {

/// What a model keeps of a sequence beside its pages, as it was after a page's last token. Empty for most.
using CacheState = std::shared_ptr<const std::vector<std::byte>>;

/// Pages worth keeping, found again by the tokens they stand for: a node is one full page, its path from the
/// root is the text before it. Below the root the first step also names a space, so that who must not learn
/// of each other's prompts never meet. The tree keeps its pages in the pool (PagePool::keep): spare memory,
/// given back page by page, the longest unused leaf first.
///
/// Threads   one, the pool's.
class PrefixTree {
 public:
  class Node {
   public:
    std::int32_t page() const { return page_; }
    /// What one who continues here needs beside the pages; nullptr: nobody left it, or nobody needs it.
    const CacheState& state() const { return state_; }
    void set_state(CacheState state) { state_ = std::move(state); }
    const std::string& key() const { return key_; }  ///< its tokens and, below the root, its space

    // For a tier below this one.
    std::array<unsigned char, 32> digest{};  ///< of the path
    bool saved = false;                      ///< the tier was given it

   private:
    friend class PrefixTree;
    Node* parent_ = nullptr;
    std::string key_;
    std::int32_t page_ = -1;
    CacheState state_;
    std::uint64_t used_ = 0;
    std::unordered_map<std::string, std::unique_ptr<Node>> children_;
  };

  explicit PrefixTree(PagePool& pool) : pool_(&pool) {}
  ~PrefixTree() { clear(); }
  PrefixTree(const PrefixTree&) = delete;
  PrefixTree& operator=(const PrefixTree&) = delete;

  /// A node's key; `space` counts below the root only.
  static std::string key_of(std::string_view space, std::span<const std::int32_t> tokens);
  Node* root() { return &root_; }
  /// The page after `parent` that holds these tokens (a page's worth), or nullptr. A node stays where it is
  /// for as long as anybody shares its page.
  Node* find(Node* parent, std::string_view space, std::span<const std::int32_t> tokens);
  /// Keeps `page`, which must be complete and not kept yet. Requires that find() gives nullptr.
  Node* insert(Node* parent, std::string_view space, std::span<const std::int32_t> tokens, std::int32_t page);
  /// Gives the longest unused page back to the pool; false when all are in use.
  bool evict();
  /// Called with every node that evict() is about to give up.
  std::function<void(const Node&)> on_evict;
  void clear();  ///< pages in use stay with those who share them
  std::int64_t size() const { return size_; }

 private:
  void touch(Node* node);
  void remove(Node* leaf);

  PagePool* pool_;
  Node root_;
  std::set<std::pair<std::uint64_t, Node*>> leaves_;  // by last use
  std::uint64_t clock_ = 0;
  std::int64_t size_ = 0;
};

}  // namespace deepwell
