// SPDX-License-Identifier: Apache-2.0
#include "engine/kv/page_pool.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

namespace deepwell {
namespace {

constexpr std::int64_t kAlign = 64;
std::int64_t aligned(std::int64_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

}  // namespace

std::int64_t CacheLayout::bytes_per_page() const {
  std::int64_t bytes = 0;
  for (const auto& streams : layers)
    for (const StreamSpec& stream : streams) bytes += bytes_per_page(stream);
  return bytes;
}

std::int64_t CacheLayout::rolling_bytes() const {
  std::int64_t bytes = 0;
  for (const auto& states : rolling)
    for (const RollingSpec& state : states) bytes += aligned(state.bytes);
  return bytes;
}

Result<std::unique_ptr<PagePool>> PagePool::make(CacheLayout layout, std::int64_t pages) {
  DW_CHECK(pages > 0);
  std::int64_t product = 0;
  if (__builtin_mul_overflow(layout.bytes_per_page(), pages, &product) || pages > INT32_MAX)
    return Error{ErrorCode::kInvalid,
                 fmt::format("a cache of {} pages of {} bytes is more than can be addressed; use a "
                             "smaller --context or --parallel",
                             pages, layout.bytes_per_page())};
  // A model may have no streams at all: its pages are then numbers only.
  const auto bytes = static_cast<std::size_t>(std::max<std::int64_t>(1, product));
  void* memory =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED)
    return Error{ErrorCode::kIo,
                 fmt::format("no address space for a cache of {} bytes ({}); use a smaller --context "
                             "or --parallel",
                             bytes, std::strerror(errno))};
  return std::unique_ptr<PagePool>(new PagePool(std::move(layout), pages, static_cast<std::byte*>(memory)));
}

PagePool::PagePool(CacheLayout layout, std::int64_t pages, std::byte* memory)
    : layout_(std::move(layout)), page_bytes_(layout_.bytes_per_page()), rolling_bytes_(0), memory_(memory) {
  std::int64_t offset = 0;
  for (const auto& streams : layout_.layers) {
    offsets_.emplace_back();
    for (const StreamSpec& stream : streams) {
      offsets_.back().push_back(offset);
      offset += layout_.bytes_per_page(stream);
    }
  }
  for (const auto& states : layout_.rolling) {
    rolling_offsets_.emplace_back();
    for (const RollingSpec& state : states) {
      rolling_offsets_.back().push_back(rolling_bytes_);
      rolling_bytes_ += aligned(state.bytes);
    }
  }
  owners_.assign(static_cast<std::size_t>(pages), 0);
  kept_.assign(static_cast<std::size_t>(pages), false);
  for (std::int64_t page = pages; page-- > 0;) free_.push_back(static_cast<std::int32_t>(page));
}

PagePool::~PagePool() {
  ::munmap(memory_, std::max<std::size_t>(1, static_cast<std::size_t>(page_bytes_) * owners_.size()));
}

std::int32_t PagePool::allocate() {
  DW_CHECK(!free_.empty());
  const std::int32_t page = free_.back();
  free_.pop_back();
  owners_[static_cast<std::size_t>(page)] = 1;
  return page;
}

void PagePool::share(std::int32_t page) {
  DW_CHECK(owners_[static_cast<std::size_t>(page)] > 0);
  if (spare(page)) --spare_;
  ++owners_[static_cast<std::size_t>(page)];
}

void PagePool::release(std::int32_t page) {
  const auto at = static_cast<std::size_t>(page);
  DW_CHECK(owners_[at] > (kept_[at] ? 1 : 0));
  if (--owners_[at] == 0) free_.push_back(page);
  if (spare(page)) ++spare_;
}

void PagePool::keep(std::int32_t page) {
  const auto at = static_cast<std::size_t>(page);
  DW_CHECK(owners_[at] > 0 && !kept_[at]);
  ++owners_[at];
  kept_[at] = true;
}

void PagePool::unkeep(std::int32_t page) {
  const auto at = static_cast<std::size_t>(page);
  DW_CHECK(kept_[at]);
  if (spare(page)) --spare_;
  kept_[at] = false;
  release(page);
}

SequenceCache::SequenceCache(PagePool& pool) : pool_(&pool) {
  const auto bytes = static_cast<std::size_t>(pool.rolling_bytes());
  if (bytes == 0) return;
  // A large block from the system takes memory only when it is written: a waiting sequence costs nothing.
  rolling_.reset(static_cast<std::byte*>(std::aligned_alloc(kAlign, bytes)));
  if (rolling_ == nullptr) throw std::bad_alloc();
}

std::byte* SequenceCache::entry(std::int64_t layer, std::int64_t stream, std::int64_t position) const {
  const CacheLayout& layout = pool_->layout();
  const StreamSpec& spec = layout.layers[static_cast<std::size_t>(layer)][static_cast<std::size_t>(stream)];
  const std::int64_t entries = layout.entries_per_page(spec);
  return pool_->stream(pages_[static_cast<std::size_t>(position / layout.page_tokens)], layer, stream) +
         position / spec.tokens_per_entry % entries * (layout.bytes_per_page(spec) / entries);
}

std::int64_t SequenceCache::missing(std::int64_t tokens) const {
  const std::int64_t page_tokens = pool_->layout().page_tokens;
  return std::max<std::int64_t>(
      0, (tokens + page_tokens - 1) / page_tokens - static_cast<std::int64_t>(pages_.size()));
}

void SequenceCache::grow(std::int64_t tokens) {
  for (std::int64_t left = missing(tokens); left > 0; --left) pages_.push_back(pool_->allocate());
}

void SequenceCache::adopt(std::int32_t page) {
  pool_->share(page);
  pages_.push_back(page);
}

void SequenceCache::shrink(std::size_t pages) {
  for (; pages_.size() > pages; pages_.pop_back()) pool_->release(pages_.back());
}

void SequenceCache::replace(std::size_t index, std::int32_t page) {
  pool_->share(page);
  pool_->release(std::exchange(pages_[index], page));
}

void SequenceCache::clear() { shrink(0); }

}  // namespace deepwell
