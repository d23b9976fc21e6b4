// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/kv/prefix_disk.h"
#include "engine/kv/prefix_tree.h"
#include "engine/run/sequence.h"
#include "engine/run/swap_space.h"

namespace deepwell {

/// The KV pool as the scheduler sees it: pages for sequences, prefixes found again, sequences swapped out and
/// back. What it never does is choose whose pages go.
///
/// Threads   one, the engine's.
class CacheMemory {
 public:
  /// `disk`: where prefixes outlive the process, or nullptr.
  CacheMemory(PagePool& pool, const EngineOptions& options, std::unique_ptr<PrefixDisk> disk);

  std::int64_t pages_for(std::int64_t tokens) const { return (tokens + page_tokens_ - 1) / page_tokens_; }
  std::int64_t page_tokens() const { return page_tokens_; }
  std::int64_t available_pages() const { return pool_.free_pages() + pool_.spare_pages(); }
  const PagePool& pool() const { return pool_; }

  /// Gives a sequence that starts its cache.
  void open(Sequence& sequence);
  /// Room for `tokens` tokens in all, from free and spare pages; false (and nothing changed) without them.
  bool grow(Sequence& sequence, std::int64_t tokens);
  /// Gives all back: pages, swap, the place in the tree.
  void close(Sequence& sequence);

  /// Where the sequence stands at a page border: goes on over pages that are known already, leaving at least
  /// one token of it to compute.
  void adopt_prefix(Sequence& sequence);
  /// How many of a prompt's first tokens adopt_prefix() would find in memory.
  std::int64_t known_tokens(std::span<const std::int32_t> prompt, const std::string& space);
  /// Lets complete pages that were computed since be found by others.
  void keep_prefix(Sequence& sequence);
  /// How many tokens of the next `count` to compute, so that the sequence then stands where its rolling state
  /// is worth a copy.
  std::int64_t chunk(const Sequence& sequence, std::int64_t count) const;

  /// Out of the pool. Where there is no room for it the cache is forgotten and computed again later.
  void swap_out(Sequence& sequence);
  /// Requires that available_pages() are enough for what it had.
  void swap_in(Sequence& sequence);

  void describe(EngineStats& stats) const;
  /// What is on the disk, which takes it in meanwhile. Any thread.
  void describe_disk(EngineStats& stats) const;

 private:
  bool make_free(std::int64_t pages);
  PrefixTree::Node* find(Sequence& sequence, PrefixTree::Node* before, std::span<const std::int32_t> run);
  PrefixTree::Node* insert(Sequence& sequence, PrefixTree::Node* before, std::span<const std::int32_t> run,
                           std::int32_t page);
  PrefixTree::Node* read(Sequence& sequence, PrefixTree::Node* before, std::span<const std::int32_t> run);
  void save(PrefixTree::Node& node);
  PrefixTree::Node* at(const Sequence& sequence) {
    return sequence.kept == nullptr ? tree_.root() : sequence.kept;
  }
  std::span<const std::int32_t> run_of(const Sequence& sequence, std::int64_t page) const {
    return std::span(sequence.tokens)
        .subspan(static_cast<std::size_t>(page * page_tokens_), static_cast<std::size_t>(page_tokens_));
  }
  /// How many of its tokens leave the same in the cache as they would in a prompt.
  std::int64_t shared_tokens(const Sequence& sequence) const;
  CacheState state_of(const Sequence& sequence);

  PagePool& pool_;
  const bool prefixes_;
  const std::int64_t page_tokens_;
  std::unique_ptr<PrefixDisk> disk_;
  PrefixTree tree_;
  SwapSpace swap_;
  std::int64_t asked_tokens_ = 0, found_tokens_ = 0, read_tokens_ = 0, swapped_bytes_ = 0;
};

}  // namespace deepwell
