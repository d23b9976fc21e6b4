// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/kernels/cache_type.h"

namespace deepwell {

/// One thing a layer remembers of the past: `vectors` times `width` elements for every entry, an entry for
/// every `tokens_per_entry` tokens. Full attention has two such streams (keys, values), MLA one. An entry of
/// more tokens than a page is in the page where it is complete; every page has a place for one.
struct StreamSpec {
  std::string_view name;
  std::int64_t width;
  int tokens_per_entry = 1;
  std::int64_t vectors = 1;
};

/// One thing a layer keeps of a sequence's latest tokens, and overwrites as they come: a window's ring, an
/// unfinished block. A sequence has one, whatever its length.
struct RollingSpec {
  std::string_view name;
  std::int64_t bytes;
};

/// What a model caches: the streams of each layer, all of one element type, and its rolling states.
struct CacheLayout {
  std::vector<std::vector<StreamSpec>> layers;
  std::vector<std::vector<RollingSpec>> rolling;  ///< of each layer; empty where no layer has any
  CacheType type = CacheType::kF16;
  int page_tokens = 64;
  /// Drawn tokens are computed in another way than those of a prompt, so what they leave differs in rounding:
  /// a later prompt that contains them must not find it.
  bool drawn_apart = false;

  std::int64_t entries_per_page(const StreamSpec& stream) const {
    return stream.tokens_per_entry < page_tokens ? page_tokens / stream.tokens_per_entry : 1;
  }
  std::int64_t bytes_per_page(const StreamSpec& stream) const {
    return entries_per_page(stream) * stream.vectors * cache_vector_bytes(type, stream.width);
  }
  std::int64_t bytes_per_page() const;  ///< of all streams
  std::int64_t bytes_per_token() const { return bytes_per_page() / page_tokens; }
  /// Of a sequence, beside its pages; each state is 64-byte aligned.
  std::int64_t rolling_bytes() const;
};

/// Cache memory in pages of page_tokens tokens; a page holds every stream of every layer for its tokens, so
/// one number names all that a model knows of them. Address space is reserved at once, memory is used when a
/// page is first written. Pages are counted: a shared prefix is one page with several owners. One of the
/// owners may be a keeper, who holds a page only in case it is wanted again: a page that nobody else owns is
/// spare.
///
/// Threads   one thread allocates and frees; any thread reads and writes pages it owns.
class PagePool {
 public:
  static Result<std::unique_ptr<PagePool>> make(CacheLayout layout, std::int64_t pages);
  ~PagePool();
  PagePool(const PagePool&) = delete;
  PagePool& operator=(const PagePool&) = delete;

  const CacheLayout& layout() const { return layout_; }
  std::int64_t pages() const { return static_cast<std::int64_t>(owners_.size()); }
  std::int64_t free_pages() const { return static_cast<std::int64_t>(free_.size()); }
  std::int64_t spare_pages() const { return spare_; }  ///< those whose keeper is the only owner
  std::int64_t used_pages() const { return pages() - free_pages() - spare_pages(); }

  std::int32_t allocate();          ///< requires free_pages() > 0; one owner
  void share(std::int32_t page);    ///< one owner more
  void release(std::int32_t page);  ///< one owner less; free when none is left
  void keep(std::int32_t page);     ///< one owner more, the page's keeper; a page has one at most
  void unkeep(std::int32_t page);   ///< the keeper lets go
  bool spare(std::int32_t page) const {
    return kept_[static_cast<std::size_t>(page)] && owners_[static_cast<std::size_t>(page)] == 1;
  }
  /// All that a page holds, to be copied as it is.
  std::span<std::byte> bytes(std::int32_t page) const {
    return {memory_ + page * page_bytes_, static_cast<std::size_t>(page_bytes_)};
  }
  /// The block of one stream of one layer: entries_per_page entries, laid out as the operator that owns the
  /// stream likes. 64-byte aligned where the width allows.
  std::byte* stream(std::int32_t page, std::int64_t layer, std::int64_t stream_index) const {
    return memory_ + page * page_bytes_ +
           offsets_[static_cast<std::size_t>(layer)][static_cast<std::size_t>(stream_index)];
  }
  std::int64_t rolling_offset(std::int64_t layer, std::int64_t index) const {
    return rolling_offsets_[static_cast<std::size_t>(layer)][static_cast<std::size_t>(index)];
  }
  std::int64_t rolling_bytes() const { return rolling_bytes_; }

 private:
  PagePool(CacheLayout layout, std::int64_t pages, std::byte* memory);
  CacheLayout layout_;
  std::int64_t page_bytes_, rolling_bytes_;
  std::vector<std::vector<std::int64_t>> offsets_, rolling_offsets_;
  std::byte* memory_;
  std::vector<std::int32_t> free_;
  std::vector<std::int32_t> owners_;
  std::vector<bool> kept_;
  std::int64_t spare_ = 0;
};

/// What one sequence remembers: its pages, first to last, and its rolling state.
///
/// To continue from a position that was computed before (a shared prefix, a rejected draft), the pages up to
/// it are not enough where the layout has rolling states: they must also be what they were at that position.
/// Copy rolling() when the sequence stands there, and copy it back.
class SequenceCache {
 public:
  explicit SequenceCache(PagePool& pool);
  ~SequenceCache() { clear(); }
  SequenceCache(SequenceCache&& other) noexcept
      : pool_(other.pool_), pages_(std::move(other.pages_)), rolling_(std::move(other.rolling_)) {
    other.pages_.clear();
  }
  SequenceCache& operator=(SequenceCache&&) = delete;
  SequenceCache(const SequenceCache&) = delete;
  SequenceCache& operator=(const SequenceCache&) = delete;

  const std::vector<std::int32_t>& pages() const { return pages_; }
  PagePool& pool() const { return *pool_; }
  /// All rolling states; what they hold at position 0 does not matter. Like the pages, the forward pass
  /// writes them.
  std::span<std::byte> rolling() const {
    return {rolling_.get(), static_cast<std::size_t>(pool_->rolling_bytes())};
  }
  std::byte* rolling(std::int64_t layer, std::int64_t index) const {
    return rolling_.get() + pool_->rolling_offset(layer, index);
  }
  /// Where a stream of vectors keeps the entry that the token at `position` completes.
  std::byte* entry(std::int64_t layer, std::int64_t stream, std::int64_t position) const;
  /// Pages still missing for `tokens` tokens.
  std::int64_t missing(std::int64_t tokens) const;
  /// Makes room for `tokens` tokens in all; requires that the pool has the missing pages.
  void grow(std::int64_t tokens);
  /// The next page is one that others own too; this sequence may read it, not write.
  void adopt(std::int32_t page);
  /// Gives back all but the first `pages`.
  void shrink(std::size_t pages);
  /// Exchanges page number `index` for one with the same content.
  void replace(std::size_t index, std::int32_t page);
  void clear();

 private:
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  PagePool* pool_;
  std::vector<std::int32_t> pages_;
  std::unique_ptr<std::byte, Free> rolling_;
};

}  // namespace deepwell
