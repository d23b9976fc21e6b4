// SPDX-License-Identifier: Apache-2.0
#include "engine/run/places.h"

#include <algorithm>

namespace deepwell {
namespace {
/// Of sequences that must go, the last by this goes first.
auto seniority(const Sequence& sequence) { return std::pair(sequence.request.priority, sequence.started); }
}  // namespace

bool Places::runs(const Sequence& sequence) const {
  return std::find(running_.begin(), running_.end(), &sequence) != running_.end();
}

Sequence* Places::next() {
  Sequence* best = nullptr;
  Sequence* displaced = nullptr;
  {
    const std::lock_guard lock(shared_.mutex);
    best = shared_.queue.best();
    if (best == nullptr) return nullptr;
    if (static_cast<int>(running_.size()) >= parallel_) {
      displaced = displaced_by(*best);
      if (displaced == nullptr) return nullptr;
    }
  }
  if (displaced != nullptr) put_aside(*displaced);
  return make_room(*best) ? best : nullptr;
}

// Whoever is put aside meanwhile keeps its pages: the step goes on with them.
Sequence* Places::next_amid_step() {
  Sequence* best = nullptr;
  Sequence* displaced = nullptr;
  {
    const std::lock_guard lock(shared_.mutex);
    best = shared_.queue.best();
    if (best == nullptr || best->has_started() || !shared_.queue.is_owed(*best)) return nullptr;
    const auto goes_before = [&](const Sequence* other) {
      return other->request.priority < best->request.priority;
    };
    if (std::ranges::any_of(running_, goes_before)) return nullptr;
    if (static_cast<int>(running_.size()) >= parallel_) {
      displaced = displaced_by(*best);
      if (displaced == nullptr) return nullptr;
    }
  }
  if (memory_.available_pages() < pages_needed_with(*best)) return nullptr;
  if (displaced != nullptr) put_aside(*displaced);
  return best;
}

/// With the lock held: whose place a waiting request may have. Of those it has the better claim than, the one
/// of the account with the most, started last.
Sequence* Places::displaced_by(const Sequence& waiting) const {
  Sequence* worst = nullptr;
  const auto key = [&](const Sequence* s) {
    return std::pair(s->request.priority, shared_.queue.running(s->request.account));
  };
  for (Sequence* sequence : running_)
    if (shared_.queue.may_displace(waiting, *sequence) && (worst == nullptr || key(worst) <= key(sequence)))
      worst = sequence;
  return worst;
}

/// For what it has and one token more.
std::int64_t Places::pages_needed(const Sequence& sequence) const {
  const auto held = sequence.cache ? static_cast<std::int64_t>(sequence.cache->pages().size()) : 0;
  return std::max<std::int64_t>(
      0, memory_.pages_for(static_cast<std::int64_t>(sequence.tokens.size()) + 1) - held);
}

/// Also for what those that run have not yet taken.
std::int64_t Places::pages_needed_with(const Sequence& sequence) const {
  std::int64_t needed = std::min(pages_needed(sequence), memory_.pool().pages());
  for (const Sequence* other : running_) needed += pages_needed(*other);
  return needed;
}

bool Places::make_room(const Sequence& sequence) {
  std::int64_t needed = pages_needed_with(sequence);
  while (memory_.available_pages() < needed) {
    if (swap_out_one(sequence)) continue;
    Sequence* displaced = nullptr;
    {
      const std::lock_guard lock(shared_.mutex);
      displaced = displaced_by(sequence);
    }
    if (displaced == nullptr) return false;
    needed -= pages_needed(*displaced);
    put_aside(*displaced);
  }
  return true;
}

// Of those put aside with pages in the pool, the one that will go on last.
bool Places::swap_out_one(const Sequence& except) {
  Sequence* last = nullptr;
  for (Sequence* sequence : aside_) {
    if (!sequence->cache || sequence->cache->pages().empty() || sequence == &except) continue;
    if (last == nullptr || seniority(*last) <= seniority(*sequence)) last = sequence;
  }
  if (last == nullptr) return false;
  memory_.swap_out(*last);
  return true;
}

void Places::take(Sequence& sequence) {
  std::erase(aside_, &sequence);
  running_.push_back(&sequence);
  const std::lock_guard lock(shared_.mutex);
  shared_.queue.start(&sequence);  // first: those that have started have another place in the queue
  if (!sequence.has_started()) {
    sequence.started = Clock::now();
    shared_.forecast.note_start(sequence, seconds_between(sequence.submitted, sequence.started));
  }
  shared_.stats.running = static_cast<int>(running_.size());
}

void Places::put_aside(Sequence& sequence) {
  std::erase(running_, &sequence);
  aside_.push_back(&sequence);
  speculation_.put_aside(sequence);
  const std::lock_guard lock(shared_.mutex);
  shared_.queue.add(&sequence);  // first, so that its account never looks idle
  shared_.queue.stop(&sequence);
  ++shared_.stats.preemptions;
  shared_.stats.running = static_cast<int>(running_.size());
}

// From those put aside, then from those that started later.
bool Places::grow(Sequence& sequence, std::int64_t tokens) {
  while (!memory_.grow(sequence, tokens)) {
    if (swap_out_one(sequence)) continue;
    Sequence* last = &sequence;
    for (Sequence* other : running_)
      if (seniority(*last) < seniority(*other)) last = other;
    put_aside(*last);
    if (last == &sequence) return false;
  }
  return true;
}

void Places::leave(Sequence& sequence) {
  const bool running = std::erase(running_, &sequence) > 0;
  std::erase(aside_, &sequence);
  if (running)
    shared_.queue.stop(&sequence);
  else
    shared_.queue.remove(&sequence);
  shared_.stats.running = static_cast<int>(running_.size());
}

}  // namespace deepwell
