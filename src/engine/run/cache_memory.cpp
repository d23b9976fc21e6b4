// SPDX-License-Identifier: Apache-2.0
#include "engine/run/cache_memory.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace deepwell {
namespace {
// A rolling state can be as large as several pages: while an answer grows it is copied at every so many.
constexpr std::int64_t kPagesPerState = 8;
/// Of those read from disk between two steps: everybody's next token waits meanwhile.
constexpr int kPagesReadAtOnce = 32;

void forget(Sequence& sequence) {
  sequence.done = 0;
  sequence.draft.reset();  // some of what it knew was in the pages
}

std::span<const std::byte> bytes_of(const CacheState& state) {
  return state == nullptr ? std::span<const std::byte>() : std::span<const std::byte>(*state);
}
}  // namespace

CacheMemory::CacheMemory(PagePool& pool, const EngineOptions& options, std::unique_ptr<PrefixDisk> disk)
    : pool_(pool),
      prefixes_(options.prefix_cache),
      page_tokens_(pool.layout().page_tokens),
      disk_(std::move(disk)),
      tree_(pool),
      swap_(options.swap_bytes >= 0 ? options.swap_bytes : pool.pages() * pool.layout().bytes_per_page(),
            options.swap_dir) {
  if (disk_ == nullptr) return;
  tree_.root()->digest = disk_->root();
  tree_.on_evict = [this](const PrefixTree::Node& node) {
    if (!node.saved) disk_->store(node.digest, pool_.bytes(node.page()), bytes_of(node.state()));
  };
}

bool CacheMemory::make_free(std::int64_t pages) {
  if (pages > available_pages()) return false;
  while (pool_.free_pages() < pages)
    if (!tree_.evict()) return false;
  return true;
}

void CacheMemory::open(Sequence& sequence) { sequence.cache.emplace(pool_); }

bool CacheMemory::grow(Sequence& sequence, std::int64_t tokens) {
  if (!make_free(sequence.cache->missing(tokens))) return false;
  sequence.cache->grow(tokens);
  return true;
}

void CacheMemory::close(Sequence& sequence) {
  sequence.cache.reset();
  swap_.drop(sequence.swapped);
  sequence.kept = nullptr;
  sequence.kept_pages = 0;
}

void CacheMemory::adopt_prefix(Sequence& sequence) {
  if (!prefixes_ || sequence.done % page_tokens_ != 0 ||
      sequence.kept_pages * page_tokens_ != sequence.done ||
      static_cast<std::int64_t>(sequence.cache->pages().size()) != sequence.kept_pages)
    return;
  const std::int64_t most =
      std::min(static_cast<std::int64_t>(sequence.tokens.size()) - 1, shared_tokens(sequence)) / page_tokens_;
  if (!std::exchange(sequence.asked, true)) asked_tokens_ += sequence.prompt_tokens;
  const bool stateful = pool_.rolling_bytes() > 0;
  SequenceCache& cache = *sequence.cache;
  PrefixTree::Node* last = at(sequence);
  std::int64_t pages = sequence.kept_pages, usable = 0;
  for (int read_pages = 0; pages < most; ++pages) {
    const std::span<const std::int32_t> run = run_of(sequence, pages);
    PrefixTree::Node* node = find(sequence, last, run);
    if (node == nullptr && read_pages < kPagesReadAtOnce) {
      node = read(sequence, last, run);
      ++read_pages;
    }
    if (node == nullptr) break;
    cache.adopt(node->page());  // at once: what is shared cannot be evicted by what is read next
    last = node;
    if (stateful && node->state() == nullptr) continue;
    usable = pages + 1 - sequence.kept_pages;
    sequence.kept = node;
  }
  sequence.kept_pages += usable;
  cache.shrink(static_cast<std::size_t>(sequence.kept_pages));
  if (usable == 0) return;
  if (stateful)
    std::memcpy(cache.rolling().data(), sequence.kept->state()->data(), sequence.kept->state()->size());
  const std::int64_t tokens = usable * page_tokens_;
  const std::int64_t of_prompt = std::clamp<std::int64_t>(sequence.prompt_tokens - sequence.done, 0, tokens);
  sequence.done += tokens;
  if (sequence.generated > 0) return;  // computed before: what is found again was never a saving for its user
  sequence.cached += of_prompt;
  found_tokens_ += of_prompt;
}

std::int64_t CacheMemory::known_tokens(std::span<const std::int32_t> prompt, const std::string& space) {
  if (!prefixes_) return 0;
  const auto page = static_cast<std::size_t>(page_tokens_);
  std::size_t known = 0, usable = 0;
  for (PrefixTree::Node* last = tree_.root(); known + page < prompt.size(); known += page) {
    last = tree_.find(last, space, prompt.subspan(known, page));
    if (last == nullptr) break;
    if (pool_.rolling_bytes() == 0 || last->state() != nullptr) usable = known + page;
  }
  return static_cast<std::int64_t>(usable);
}

PrefixTree::Node* CacheMemory::find(Sequence& sequence, PrefixTree::Node* before,
                                    std::span<const std::int32_t> run) {
  PrefixTree::Node* const node = tree_.find(before, sequence.request.prefix_space, run);
  if (node != nullptr) save(*node);  // wanted a second time: worth a place on disk
  return node;
}

PrefixTree::Node* CacheMemory::insert(Sequence& sequence, PrefixTree::Node* before,
                                      std::span<const std::int32_t> run, std::int32_t page) {
  PrefixTree::Node* const node = tree_.insert(before, sequence.request.prefix_space, run, page);
  if (disk_ != nullptr) node->digest = PrefixDisk::after(before->digest, node->key());
  return node;
}

void CacheMemory::save(PrefixTree::Node& node) {
  if (disk_ == nullptr || node.saved) return;
  node.saved = true;
  disk_->store(node.digest, pool_.bytes(node.page()), bytes_of(node.state()));
}

PrefixTree::Node* CacheMemory::read(Sequence& sequence, PrefixTree::Node* before,
                                    std::span<const std::int32_t> run) {
  if (disk_ == nullptr) return nullptr;
  const std::string_view space =
      before == tree_.root() ? std::string_view(sequence.request.prefix_space) : std::string_view();
  const PrefixDisk::Digest name = PrefixDisk::after(before->digest, PrefixTree::key_of(space, run));
  if (!disk_->has(name) || !make_free(1)) return nullptr;
  const std::int32_t page = pool_.allocate();
  std::vector<std::byte> state;
  PrefixTree::Node* node = nullptr;
  if (disk_->load(name, pool_.bytes(page), state)) {
    node = insert(sequence, before, run, page);
    node->saved = true;
    if (!state.empty()) node->set_state(std::make_shared<std::vector<std::byte>>(std::move(state)));
    read_tokens_ += page_tokens_;
  }
  pool_.release(page);
  return node;
}

CacheState CacheMemory::state_of(const Sequence& sequence) {
  const std::span<const std::byte> rolling = sequence.cache->rolling();
  const std::int64_t pages = sequence.done / page_tokens_;
  if (rolling.empty() || sequence.done % page_tokens_ != 0) return nullptr;
  if (sequence.done > sequence.prompt_tokens && pages % kPagesPerState != 0) return nullptr;
  return std::make_shared<std::vector<std::byte>>(rolling.begin(), rolling.end());
}

std::int64_t CacheMemory::shared_tokens(const Sequence& sequence) const {
  return pool_.layout().drawn_apart ? sequence.prompt_tokens
                                    : static_cast<std::int64_t>(sequence.tokens.size());
}

void CacheMemory::keep_prefix(Sequence& sequence) {
  if (!prefixes_) return;
  const std::int64_t tokens = std::min(sequence.done, shared_tokens(sequence));
  while ((sequence.kept_pages + 1) * page_tokens_ <= tokens) {
    const std::span<const std::int32_t> run = run_of(sequence, sequence.kept_pages);
    const auto index = static_cast<std::size_t>(sequence.kept_pages);
    PrefixTree::Node* node = tree_.find(at(sequence), sequence.request.prefix_space, run);
    if (node == nullptr) {
      node = insert(sequence, at(sequence), run, sequence.cache->pages()[index]);
    } else if (node->page() != sequence.cache->pages()[index]) {
      sequence.cache->replace(index, node->page());  // another computed the same: once is enough
    }
    sequence.kept = node;
    ++sequence.kept_pages;
  }
  if (sequence.kept != nullptr && sequence.kept->state() == nullptr &&
      sequence.kept_pages * page_tokens_ == sequence.done)
    sequence.kept->set_state(state_of(sequence));
}

std::int64_t CacheMemory::chunk(const Sequence& sequence, std::int64_t count) const {
  if (!prefixes_ || pool_.rolling_bytes() == 0) return count;
  const std::int64_t border = (sequence.done + count) / page_tokens_ * page_tokens_;
  return border > sequence.done ? border - sequence.done : count;
}

void CacheMemory::swap_out(Sequence& sequence) {
  if (swap_.store(*sequence.cache, sequence.swapped)) {
    swapped_bytes_ +=
        static_cast<std::int64_t>(sequence.swapped.pages.size()) * pool_.layout().bytes_per_page();
  } else {
    forget(sequence);
  }
  sequence.cache.reset();
  sequence.kept = nullptr;
  sequence.kept_pages = 0;
}

void CacheMemory::swap_in(Sequence& sequence) {
  open(sequence);
  if (sequence.swapped.empty()) return;
  const bool room = grow(sequence, static_cast<std::int64_t>(sequence.swapped.pages.size()) * page_tokens_);
  DW_CHECK(room);
  if (swap_.load(sequence.swapped, *sequence.cache)) return;
  open(sequence);  // the disk failed: the tokens are all there, and give the same again
  forget(sequence);
}

void CacheMemory::describe(EngineStats& stats) const {
  stats.pages_total = pool_.pages();
  stats.pages_used = pool_.used_pages();
  stats.pages_spare = pool_.spare_pages();
  stats.prefix_asked_tokens = asked_tokens_;
  stats.prefix_found_tokens = found_tokens_;
  stats.swapped_bytes = swapped_bytes_;
  stats.prefix_disk_found_tokens = read_tokens_;
}

void CacheMemory::describe_disk(EngineStats& stats) const {
  if (disk_ == nullptr) return;
  stats.prefix_disk_bytes = disk_->bytes();
  stats.prefix_disk_written_bytes = disk_->written_bytes();
}

}  // namespace deepwell
