// SPDX-License-Identifier: Apache-2.0
#include "engine/run/scheduler.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <set>
#include <thread>

namespace deepwell {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

/// A request on its way: waiting, then prefilling, then decoding.
struct Sequence {
  Sequence(std::uint64_t number, EngineRequest wanted, std::shared_ptr<TokenSink> to, PagePool& pool)
      : id(number),
        request(std::move(wanted)),
        sink(std::move(to)),
        cache(pool),
        sampler(request.sampling, request.prompt) {}

  std::uint64_t id;
  EngineRequest request;
  std::shared_ptr<TokenSink> sink;
  SequenceCache cache;
  Sampler sampler;
  std::int64_t pages_reserved = 0;
  std::int64_t done = 0;  // tokens in the cache
  std::int32_t next = 0;  // drawn, not yet in the cache
  std::int64_t generated = 0;
  TokenOutput output{};
  std::string failure;  // of its constraint
  Clock::time_point submitted = Clock::now(), started, first_token;

  std::int64_t prompt_tokens() const { return static_cast<std::int64_t>(request.prompt.size()); }
  bool prefilling() const { return done < prompt_tokens(); }
};

class Scheduler final : public Engine {
 public:
  Scheduler(std::unique_ptr<Runner> runner, EngineOptions options, EngineInfo info, EndToken ends_generation)
      : runner_(std::move(runner)),
        options_(std::move(options)),
        info_(std::move(info)),
        ends_generation_(std::move(ends_generation)),
        pages_unreserved_(runner_->cache().pages()) {
    stats_.pages_total = runner_->cache().pages();
    thread_ = std::thread([this] { run(); });
  }

  ~Scheduler() override {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }

  Result<std::uint64_t> submit(EngineRequest request, std::shared_ptr<TokenSink> sink) override;
  void cancel(std::uint64_t request) override {
    {
      const std::lock_guard lock(mutex_);
      cancelled_.insert(request);
    }
    wake_.notify_all();
  }
  const EngineInfo& info() const override { return info_; }
  EngineStats stats() const override {
    const std::lock_guard lock(mutex_);
    return stats_;
  }

 private:
  void run();
  void take_in(std::vector<std::unique_ptr<Sequence>>& finished);
  bool step();
  void sample(const std::vector<Sequence*>& sequences);
  /// Hands the drawn token on; a reason when that was the last.
  std::optional<FinishReason> deliver(Sequence& sequence);
  void finish(std::unique_ptr<Sequence> sequence, FinishReason reason);
  std::int64_t pages_for(std::int64_t tokens) const {
    const std::int64_t page = runner_->cache().layout().page_tokens;
    return (tokens + page - 1) / page;
  }

  std::unique_ptr<Runner> runner_;
  const EngineOptions options_;
  EngineInfo info_;
  const EndToken ends_generation_;

  mutable std::mutex mutex_;  // guards what is below, up to the thread's own
  std::condition_variable wake_;
  std::deque<std::unique_ptr<Sequence>> waiting_;
  std::set<std::uint64_t> cancelled_;
  EngineStats stats_;
  std::uint64_t last_id_ = 0;
  bool stop_ = false;

  // The engine thread's own.
  std::vector<std::unique_ptr<Sequence>> running_;
  std::int64_t pages_unreserved_;
  std::vector<std::int32_t> tokens_, positions_, output_rows_;
  std::vector<BatchSequence> batch_sequences_;
  std::vector<float> logits_;
  std::thread thread_;
};

Result<std::uint64_t> Scheduler::submit(EngineRequest request, std::shared_ptr<TokenSink> sink) {
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
  // The last token drawn needs no place in the cache, but the reply must end at the context's length.
  const std::int64_t room = info_.context - prompt;
  request.max_tokens = request.max_tokens < 0 ? room : std::min(request.max_tokens, room);
  auto sequence = std::make_unique<Sequence>(0, std::move(request), std::move(sink), runner_->cache());
  sequence->pages_reserved = pages_for(prompt + sequence->request.max_tokens);
  std::uint64_t id = 0;
  {
    const std::lock_guard lock(mutex_);
    if (stop_) return Error{ErrorCode::kCancelled, "the engine is stopping"};
    // Those that the next step takes in do not wait: the engine thread only looks between steps.
    const std::int64_t about_to_start = std::max(0, options_.parallel - stats_.running);
    if (static_cast<std::int64_t>(waiting_.size()) >= options_.queue + about_to_start)
      return Error{ErrorCode::kOverloaded,
                   fmt::format("{} requests are waiting already; try again soon", waiting_.size())};
    id = sequence->id = ++last_id_;
    waiting_.push_back(std::move(sequence));
    ++stats_.requests;
    stats_.waiting = static_cast<int>(waiting_.size());
  }
  wake_.notify_all();
  return id;
}

void Scheduler::run() {
  std::vector<std::unique_ptr<Sequence>> gone;
  for (;;) {
    bool stopping = false;
    {
      std::unique_lock lock(mutex_);
      if (running_.empty()) wake_.wait(lock, [&] { return stop_ || !waiting_.empty(); });
      take_in(gone);
      stopping = stop_;
      if (stopping) {
        for (auto& sequence : waiting_) gone.push_back(std::move(sequence));
        for (auto& sequence : running_) gone.push_back(std::move(sequence));
        waiting_.clear();
        running_.clear();
      }
    }
    for (auto& sequence : gone) finish(std::move(sequence), FinishReason::kCancelled);
    gone.clear();
    if (stopping) return;
    const auto begin = Clock::now();
    const bool worked = step();
    const std::lock_guard lock(mutex_);
    if (worked) {
      ++stats_.steps;
      stats_.busy_seconds += seconds_between(begin, Clock::now());
    }
    stats_.running = static_cast<int>(running_.size());
    stats_.waiting = static_cast<int>(waiting_.size());
    stats_.pages_used = runner_->cache().pages() - runner_->cache().free_pages();
  }
}

// With the lock held: cancelled requests go to `gone`, waiting ones that fit start.
void Scheduler::take_in(std::vector<std::unique_ptr<Sequence>>& gone) {
  if (!cancelled_.empty()) {
    const auto sweep = [&](auto& sequences) {
      for (auto& sequence : sequences)
        if (cancelled_.contains(sequence->id)) gone.push_back(std::move(sequence));
      std::erase(sequences, nullptr);
    };
    sweep(waiting_);
    sweep(running_);
    cancelled_.clear();
  }
  while (!waiting_.empty() && static_cast<int>(running_.size()) < options_.parallel &&
         waiting_.front()->pages_reserved <= pages_unreserved_) {
    running_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
    running_.back()->started = Clock::now();
    pages_unreserved_ -= running_.back()->pages_reserved;
  }
  stats_.running = static_cast<int>(running_.size());
  stats_.waiting = static_cast<int>(waiting_.size());
}

// One forward pass: a row for every decoding sequence, and prompt tokens as far as the chunk goes.
bool Scheduler::step() {
  tokens_.clear();
  positions_.clear();
  output_rows_.clear();
  batch_sequences_.clear();
  std::vector<Sequence*> drawing;
  std::int64_t prompt_budget = options_.prefill_chunk;
  std::int64_t prompt_tokens = 0;
  for (auto& sequence : running_) {
    const std::int64_t left = sequence->prompt_tokens() - sequence->done;
    const bool prefill = sequence->prefilling();
    const std::int64_t count = prefill ? std::min(left, prompt_budget) : 1;
    if (count == 0) continue;
    const auto first = static_cast<std::int64_t>(tokens_.size());
    for (std::int64_t i = 0; i < count; ++i) {
      tokens_.push_back(prefill ? sequence->request.prompt[static_cast<std::size_t>(sequence->done + i)]
                                : sequence->next);
      positions_.push_back(static_cast<std::int32_t>(sequence->done + i));
    }
    if (prefill) {
      prompt_budget -= count;
      prompt_tokens += count;
    }
    if (!prefill || count == left) {
      output_rows_.push_back(static_cast<std::int32_t>(first + count - 1));
      drawing.push_back(sequence.get());
    }
    sequence->cache.grow(sequence->done + count);
    batch_sequences_.push_back({first, count, &sequence->cache, prefill});
    sequence->done += count;
    if (prefill) sequence->sink->on_progress(sequence->done, sequence->prompt_tokens());
  }
  if (tokens_.empty()) return false;
  logits_.resize(output_rows_.size() * static_cast<std::size_t>(info_.vocabulary));
  runner_->forward({tokens_, positions_, batch_sequences_, output_rows_}, logits_.data());
  sample(drawing);
  {
    const std::lock_guard lock(mutex_);
    stats_.prompt_tokens += prompt_tokens;
  }
  for (Sequence* sequence : drawing) {
    const std::int64_t before = sequence->generated;
    const std::optional<FinishReason> reason = deliver(*sequence);
    {
      const std::lock_guard lock(mutex_);
      stats_.generated_tokens += sequence->generated - before;
    }
    if (!reason) continue;
    const auto at =
        std::find_if(running_.begin(), running_.end(), [&](const auto& s) { return s.get() == sequence; });
    std::unique_ptr<Sequence> done = std::move(*at);
    running_.erase(at);
    finish(std::move(done), *reason);
  }
  return true;
}

void Scheduler::sample(const std::vector<Sequence*>& sequences) {
  const auto vocabulary = static_cast<std::size_t>(info_.vocabulary);
  runner_->threads().run(static_cast<std::int64_t>(sequences.size()), [&](std::int64_t i, int) {
    const std::span<float> row(logits_.data() + static_cast<std::size_t>(i) * vocabulary, vocabulary);
    Sequence& sequence = *sequences[static_cast<std::size_t>(i)];
    if (sequence.request.constraint == nullptr) {
      sequence.output = sequence.sampler.sample(row);
    } else if (Result<TokenOutput> drawn = sequence.sampler.sample(row, *sequence.request.constraint);
               drawn) {
      sequence.output = std::move(*drawn);
    } else {
      sequence.failure = "the answer cannot keep to its format: " + drawn.error().message;
    }
  });
}

std::optional<FinishReason> Scheduler::deliver(Sequence& sequence) {
  if (sequence.generated == 0) sequence.first_token = Clock::now();
  if (sequence.request.max_tokens == 0) return FinishReason::kLength;
  if (!sequence.failure.empty()) return FinishReason::kError;
  ++sequence.generated;
  sequence.next = sequence.output.token;
  const bool may_go_on = sequence.request.ignore_end && sequence.request.constraint == nullptr;
  if (!may_go_on && ends_generation_ && ends_generation_(sequence.next)) return FinishReason::kStop;
  if (!sequence.sink->on_token(sequence.output)) return FinishReason::kStop;
  if (sequence.request.constraint != nullptr && sequence.request.constraint->finished())
    return FinishReason::kStop;
  if (sequence.generated >= sequence.request.max_tokens) return FinishReason::kLength;
  return std::nullopt;
}

void Scheduler::finish(std::unique_ptr<Sequence> sequence, FinishReason reason) {
  const auto now = Clock::now();
  const bool started = sequence->started != Clock::time_point{};
  const bool produced = sequence->first_token != Clock::time_point{};
  FinishInfo info{reason, sequence->failure};
  info.prompt_tokens = sequence->prompt_tokens();
  info.generated_tokens = sequence->generated;
  info.queue_seconds = seconds_between(sequence->submitted, started ? sequence->started : now);
  info.prefill_seconds =
      started ? seconds_between(sequence->started, produced ? sequence->first_token : now) : 0;
  info.decode_seconds = produced ? seconds_between(sequence->first_token, now) : 0;
  if (started) pages_unreserved_ += sequence->pages_reserved;
  sequence->cache.clear();
  {
    const std::lock_guard lock(mutex_);
    if (reason == FinishReason::kCancelled) ++stats_.cancelled;
    stats_.running = static_cast<int>(running_.size());
    stats_.pages_used = runner_->cache().pages() - runner_->cache().free_pages();
  }
  sequence->sink->on_finish(info);
}

}  // namespace

std::unique_ptr<Engine> make_scheduler(std::unique_ptr<Runner> runner, EngineOptions options, EngineInfo info,
                                       Engine::EndToken ends_generation) {
  return std::make_unique<Scheduler>(std::move(runner), std::move(options), std::move(info),
                                     std::move(ends_generation));
}

}  // namespace deepwell
