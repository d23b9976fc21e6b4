// SPDX-License-Identifier: Apache-2.0
#include "engine/run/admission.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace deepwell {

// ---- Any thread.

Status Admission::check(const EngineRequest& request) const {
  const auto prompt = static_cast<std::int64_t>(request.prompt.size());
  if (prompt == 0) return Error{ErrorCode::kInvalid, "the prompt is empty; send at least one token"};
  for (std::int32_t token : request.prompt)
    if (token < 0 || token >= info_.vocabulary)
      return Error{ErrorCode::kInvalid,
                   fmt::format("token {} is outside the vocabulary of {} tokens", token, info_.vocabulary)};
  if (prompt >= info_.context)
    return Error{ErrorCode::kInvalid,
                 fmt::format("the prompt has {} tokens, but the context holds {} with the answer; "
                             "shorten it or raise --context",
                             prompt, info_.context)};
  return Done{};
}

// With the lock held: whether one more may wait. If not, a place is promised for later.
bool Admission::may_wait(const EngineRequest& request) {
  const std::int64_t waiting = shared_.queue.waiting();
  // Those that the next step takes in do not wait: the engine thread only looks between steps.
  const std::int64_t room = options_.queue + std::max(0, options_.parallel - shared_.stats.running);
  const auto now = Clock::now();
  const std::uint64_t hash = Promises::hash_of(request);
  const auto due = promises_.due(hash);
  const std::int64_t others = promises_.outstanding(now) - (due ? 1 : 0);
  // Not all who were sent away come back: what is kept for them never shuts out everybody else.
  const std::int64_t kept = std::min(others, room / 2);
  const bool its_turn = due && now >= *due && waiting < 2 * room;
  if (its_turn || waiting + kept < room) {
    promises_.keep(hash);
    return true;
  }
  auto when = due.value_or(now);
  if (!due || *due < now) {
    const double seconds = shared_.forecast.seconds_until(waiting + others + 1 - room, now);
    when =
        now + std::chrono::milliseconds(static_cast<std::int64_t>(std::clamp(seconds, 0.5, 3600.0) * 1000));
    promises_.make(hash, when, now);
  }
  shared_.stats.retry_after_seconds = seconds_between(now, when);
  return false;
}

Result<std::uint64_t> Admission::submit(EngineRequest request, std::shared_ptr<TokenSink> sink) {
  DW_RETURN_IF_ERROR(check(request));
  // The last token drawn needs no place in the cache, but the reply must end at the context's length.
  const std::int64_t room = info_.context - static_cast<std::int64_t>(request.prompt.size());
  if (request.pooling) request.max_tokens = 0;
  request.max_tokens = request.max_tokens < 0 ? room : std::min(request.max_tokens, room);
  std::uint64_t id = 0;
  {
    const std::lock_guard lock(shared_.mutex);
    if (stop_) return Error{ErrorCode::kCancelled, "the engine is stopping"};
    if (!request.admitted && !may_wait(request))
      return Error{ErrorCode::kOverloaded,
                   fmt::format("{} requests are waiting already; try again in {:.0f} s",
                               shared_.queue.waiting(), std::ceil(shared_.stats.retry_after_seconds))};
    id = ++last_id_;
    auto sequence = std::make_unique<Sequence>(std::move(request), std::move(sink));
    sequence->id = id;
    if (sequence->request.deadline) deadlines_.emplace(*sequence->request.deadline, id);
    shared_.queue.add(sequence.get());
    all_.emplace(id, std::move(sequence));
    ++shared_.stats.requests;
    if (std::exchange(shared_.idle, false)) shared_.beat = Clock::now();
    came_.store(true, std::memory_order_relaxed);
  }
  wake_.notify_all();
  return id;
}

// Needs no waking: while there is somebody to cancel, the engine's thread comes by.
void Admission::cancel(std::uint64_t request) {
  const std::lock_guard lock(shared_.mutex);
  if (all_.contains(request)) cancelled_.push_back(request);
}

void Admission::post(std::function<void()> errand) {
  {
    const std::lock_guard lock(shared_.mutex);
    errands_.push_back(std::move(errand));
  }
  wake_.notify_all();
}

void Admission::stop() {
  {
    const std::lock_guard lock(shared_.mutex);
    stop_ = true;
  }
  wake_.notify_all();
}

// ---- The engine's thread.

bool Admission::wait(const std::function<bool()>& in_spare_time) {
  std::unique_lock lock(shared_.mutex);
  const auto wanted = [&] { return stop_ || !all_.empty() || !errands_.empty(); };
  shared_.idle = all_.empty();
  for (bool more = true; more && !wanted();) {
    lock.unlock();
    more = in_spare_time();
    lock.lock();
  }
  wake_.wait(lock, wanted);
  shared_.beat = Clock::now();
  return !stop_;
}

void Admission::run_errands() {
  std::vector<std::function<void()>> errands;
  {
    const std::lock_guard lock(shared_.mutex);
    errands.swap(errands_);
  }
  for (const auto& errand : errands) errand();
}

std::optional<Admission::Over> Admission::next_over() {
  const std::lock_guard lock(shared_.mutex);
  while (!cancelled_.empty()) {
    const auto at = all_.find(cancelled_.back());
    cancelled_.pop_back();
    if (at != all_.end()) return Over{at->second.get(), FinishReason::kCancelled};
  }
  if (deadlines_.empty() || deadlines_.begin()->first > Clock::now()) return std::nullopt;
  return Over{all_.at(deadlines_.begin()->second).get(), FinishReason::kDeadline};
}

Sequence* Admission::oldest() {
  const std::lock_guard lock(shared_.mutex);
  return all_.empty() ? nullptr : all_.begin()->second.get();
}

void Admission::tell_places(std::span<Sequence* const> running) {
  const auto now = Clock::now();
  if (seconds_between(looked_, now) < 0.5) return;
  std::vector<std::pair<Sequence*, QueuePlace>> news;
  {
    const std::lock_guard lock(shared_.mutex);
    if (shared_.queue.waiting() == 0) return;
    looked_ = now;
    shared_.forecast.look_ahead(shared_.queue, running, options_.parallel, now);
    int position = 0;
    for (const Forecast::Start& start : shared_.forecast.starts()) {
      Sequence& sequence = *start.sequence;
      ++position;
      const double since = seconds_between(sequence.told, now);
      if (sequence.has_started() || since < std::clamp(start.seconds / 10, 1.0, 15.0)) continue;
      if (sequence.estimated_wait < 0) {
        const double waited = seconds_between(sequence.submitted, now);
        sequence.estimated_wait = waited + start.seconds;
        sequence.raw_estimate = waited + start.raw_seconds;
      }
      sequence.told = now;
      news.emplace_back(&sequence, QueuePlace{position, start.seconds});
    }
  }
  for (const auto& [sequence, place] : news) sequence->sink->on_queue(place);
}

std::unique_ptr<Sequence> Admission::release(const Sequence& sequence) {
  if (sequence.request.deadline) deadlines_.erase({*sequence.request.deadline, sequence.id});
  return std::move(all_.extract(sequence.id).mapped());
}

}  // namespace deepwell
