// SPDX-License-Identifier: Apache-2.0
#include "engine/run/scheduler.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <tuple>

#include "engine/run/cache_memory.h"
#include "engine/run/delivery.h"
#include "engine/run/fair_queue.h"
#include "engine/run/forecast.h"
#include "engine/run/places.h"
#include "engine/run/promises.h"
#include "engine/run/speculation.h"
#include "engine/run/step.h"
#include "engine/run/token_rate.h"

namespace deepwell {
namespace {

/// Prompt tokens that a step reads beside others' next tokens at least: fewer waste the weights' way through
/// memory.
constexpr std::int64_t kLeastRead = 24;
/// Where all belongs to one account, its prompts come before its next tokens, which then are so many seconds
/// apart at most. So much later the others go on, too, when somebody is let in amid a step.
constexpr double kLongestGap = 0.2;

class Scheduler final : public Engine {
 public:
  Scheduler(std::unique_ptr<Runner> runner, std::unique_ptr<Drafter> drafter, EngineOptions options,
            EngineInfo info, EndToken ends_generation, std::unique_ptr<PrefixDisk> disk)
      : runner_(std::move(runner)),
        options_(std::move(options)),
        info_(std::move(info)),
        ends_generation_(std::move(ends_generation)),
        memory_(runner_->cache(), options_, std::move(disk)),
        step_(*runner_),
        inner_step_(*runner_),
        speculation_(std::move(drafter), options_.draft_tokens, memory_),
        places_(options_.parallel, mutex_, queue_, stats_, memory_, speculation_) {
    memory_.describe(stats_);
    runner_->between_layers([this] { let_in(); });
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
      if (!all_.contains(request)) return;
      cancelled_.push_back(request);
    }
    wake_.notify_all();
  }
  void look_up(std::vector<std::int32_t> prompt, std::string prefix_space,
               std::function<void(std::int64_t)> then) override {
    {
      const std::lock_guard lock(mutex_);
      questions_.push_back({std::move(prompt), std::move(prefix_space), std::move(then)});
    }
    wake_.notify_all();
  }
  const EngineInfo& info() const override { return info_; }
  EngineStats stats() const override {
    const std::lock_guard lock(mutex_);
    EngineStats stats = stats_;
    stats.waiting = queue_.waiting();
    const auto now = Clock::now();
    if (!idle_) stats.stalled_seconds = seconds_between(beat_, now);
    stats.prompt_tokens_per_second = prompt_rate_.per_second(now);
    stats.generated_tokens_per_second = generated_rate_.per_second(now);
    memory_.describe_disk(stats);
    return stats;
  }

 private:
  struct Question {
    std::vector<std::int32_t> prompt;
    std::string prefix_space;
    std::function<void(std::int64_t)> then;
  };
  Status check(const EngineRequest& request) const;
  /// With the lock held: whether one more may wait. If not, a place is promised for later.
  bool may_wait(const EngineRequest& request);

  // The engine thread's.
  void run();
  bool wait_for_work();
  void answer_questions();
  void end_those_over();
  void admit();
  bool start(Sequence& sequence);
  void let_in();
  void tell_places();
  std::int64_t prompt_tokens_beside(double gap) const;
  std::int64_t next_of_prompt(Sequence& sequence, std::int64_t most);
  void compose();
  void compute(Step& step);
  void finish(Sequence& sequence, FinishReason reason, std::string error = {});
  void publish(std::int64_t prompt_tokens, std::int64_t generated_tokens, double seconds);

  std::unique_ptr<Runner> runner_;
  const EngineOptions options_;
  EngineInfo info_;
  const EndToken ends_generation_;

  mutable std::mutex mutex_;  // guards what is below, up to the thread's own
  std::condition_variable wake_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Sequence>> all_;
  FairQueue queue_;
  Forecast forecast_;
  Promises promises_;
  std::vector<std::uint64_t> cancelled_;
  std::vector<Question> questions_;
  std::multimap<Clock::time_point, std::uint64_t> deadlines_;
  EngineStats stats_;
  TokenRate prompt_rate_, generated_rate_;
  std::uint64_t last_id_ = 0;
  Clock::time_point beat_ = Clock::now();
  bool idle_ = true, stop_ = false;
  std::atomic<bool> came_{false};  // a request, since the engine thread last looked

  // The engine thread's own.
  std::vector<Sequence*> drawing_;  // those of the step, when nobody reads beside them
  CacheMemory memory_;
  Step step_, inner_step_;          // inner: of those let in amid the other
  std::int64_t tokens_let_in_ = 0;  // of prompts, that may still be read amid the step under way
  double inner_seconds_ = 0;        // that letting in has taken so far
  Speculation speculation_;
  Places places_;
  Clock::time_point looked_{};
  std::thread thread_;
};

// ---- Any thread.

Status Scheduler::check(const EngineRequest& request) const {
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

bool Scheduler::may_wait(const EngineRequest& request) {
  // Those that the next step takes in do not wait: the engine thread only looks between steps.
  const std::int64_t room = options_.queue + std::max(0, options_.parallel - stats_.running);
  const auto now = Clock::now();
  const std::uint64_t hash = Promises::hash_of(request);
  const auto due = promises_.due(hash);
  const std::int64_t others = promises_.outstanding(now) - (due ? 1 : 0);
  const bool its_turn = due && now >= *due && queue_.waiting() < 2 * room;
  if (its_turn || queue_.waiting() + others < room) {
    promises_.keep(hash);
    return true;
  }
  auto when = due.value_or(now);
  if (!due || *due < now) {
    const double seconds = forecast_.seconds_until(queue_.waiting() + others + 1 - room, now);
    when =
        now + std::chrono::milliseconds(static_cast<std::int64_t>(std::clamp(seconds, 0.5, 3600.0) * 1000));
    promises_.make(hash, when, now);
  }
  stats_.retry_after_seconds = seconds_between(now, when);
  return false;
}

Result<std::uint64_t> Scheduler::submit(EngineRequest request, std::shared_ptr<TokenSink> sink) {
  DW_RETURN_IF_ERROR(check(request));
  // The last token drawn needs no place in the cache, but the reply must end at the context's length.
  const std::int64_t room = info_.context - static_cast<std::int64_t>(request.prompt.size());
  if (request.pooling) request.max_tokens = 0;
  request.max_tokens = request.max_tokens < 0 ? room : std::min(request.max_tokens, room);
  std::uint64_t id = 0;
  {
    const std::lock_guard lock(mutex_);
    if (stop_) return Error{ErrorCode::kCancelled, "the engine is stopping"};
    if (!request.admitted && !may_wait(request))
      return Error{ErrorCode::kOverloaded,
                   fmt::format("{} requests are waiting already; try again in {:.0f} s", queue_.waiting(),
                               std::ceil(stats_.retry_after_seconds))};
    id = ++last_id_;
    auto sequence = std::make_unique<Sequence>(std::move(request), std::move(sink));
    sequence->id = id;
    if (sequence->request.deadline) deadlines_.emplace(*sequence->request.deadline, id);
    queue_.add(sequence.get());
    all_.emplace(id, std::move(sequence));
    ++stats_.requests;
    if (std::exchange(idle_, false)) beat_ = Clock::now();
    came_.store(true, std::memory_order_relaxed);
  }
  wake_.notify_all();
  return id;
}

// ---- The engine thread.

void Scheduler::run() {
  const ThreadPool::Caller caller(runner_->threads());
  while (wait_for_work()) {
    answer_questions();
    end_those_over();
    admit();
    tell_places();
    compose();
    compute(step_);
  }
  answer_questions();
  std::vector<Sequence*> rest;
  for (auto& [id, sequence] : all_) rest.push_back(sequence.get());
  std::sort(rest.begin(), rest.end(), [](const Sequence* a, const Sequence* b) { return a->id < b->id; });
  for (Sequence* sequence : rest) finish(*sequence, FinishReason::kCancelled);
}

bool Scheduler::wait_for_work() {
  std::unique_lock lock(mutex_);
  idle_ = all_.empty();
  while (all_.empty() && questions_.empty() && !stop_) {  // a good time for what loading left over
    lock.unlock();
    const bool more = runner_->pack_some();
    lock.lock();
    if (!more) break;
  }
  wake_.wait(lock, [&] { return stop_ || !all_.empty() || !questions_.empty(); });
  beat_ = Clock::now();
  return !stop_;
}

void Scheduler::answer_questions() {
  std::vector<Question> questions;
  {
    const std::lock_guard lock(mutex_);
    questions.swap(questions_);
  }
  for (const Question& question : questions)
    question.then(memory_.known_tokens(question.prompt, question.prefix_space));
}

void Scheduler::end_those_over() {
  std::vector<std::pair<Sequence*, FinishReason>> over;
  {
    const std::lock_guard lock(mutex_);
    const auto add = [&](std::uint64_t id, FinishReason reason) {
      const auto at = all_.find(id);
      if (at == all_.end()) return;
      const bool twice =
          std::any_of(over.begin(), over.end(), [&](auto& one) { return one.first->id == id; });
      if (!twice) over.emplace_back(at->second.get(), reason);
    };
    for (const std::uint64_t id : cancelled_) add(id, FinishReason::kCancelled);
    cancelled_.clear();
    while (!deadlines_.empty() && deadlines_.begin()->first <= Clock::now()) {
      add(deadlines_.begin()->second, FinishReason::kDeadline);
      deadlines_.erase(deadlines_.begin());
    }
  }
  for (const auto& [sequence, reason] : over) finish(*sequence, reason);
}

void Scheduler::admit() {
  while (Sequence* const sequence = places_.next()) start(*sequence);
}

// False: it ended at once.
bool Scheduler::start(Sequence& sequence) {
  const bool first = !sequence.has_started();
  places_.take(sequence);
  if (first) {
    const std::lock_guard lock(mutex_);
    forecast_.note_start(sequence, seconds_between(sequence.submitted, sequence.started));
  }
  try {
    if (!sequence.cache) memory_.swap_in(sequence);
    return true;
  } catch (const std::bad_alloc&) {
    finish(sequence, FinishReason::kError,
           "the machine has no memory left for this request; it ended, the server goes on");
    return false;
  }
}

// Between two layers of the step under way, whose length thus adds nothing to the wait for a first token.
void Scheduler::let_in() {
  if (tokens_let_in_ <= 0 || !came_.exchange(false, std::memory_order_relaxed)) return;
  const auto begin = Clock::now();
  std::int64_t left = std::exchange(tokens_let_in_, 0);  // nobody amid an inner step
  while (left > 0) {
    Sequence* const sequence = places_.next_amid_step();
    if (sequence == nullptr) break;
    if (!start(*sequence)) continue;
    const std::int64_t count = next_of_prompt(*sequence, left);
    if (!memory_.grow(*sequence, sequence->done + count)) break;
    left -= count;
    inner_step_.clear();
    inner_step_.add(*sequence, count);
    compute(inner_step_);
  }
  tokens_let_in_ = left;
  inner_seconds_ += seconds_between(begin, Clock::now());
}

// About once a second all who wait hear where they stand; those far from their turn less often.
void Scheduler::tell_places() {
  const auto now = Clock::now();
  if (seconds_between(looked_, now) < 0.5) return;
  std::vector<std::pair<Sequence*, QueuePlace>> news;
  {
    const std::lock_guard lock(mutex_);
    if (queue_.waiting() == 0) return;
    looked_ = now;
    forecast_.look_ahead(queue_, places_.running(), options_.parallel, now);
    int position = 0;
    for (const Forecast::Start& start : forecast_.starts()) {
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

// At least half as fast do all go on that draw, or no more than the gap apart.
std::int64_t Scheduler::prompt_tokens_beside(double gap) const {
  const std::int64_t most = options_.prefill_chunk, beside = forecast_.prompt_tokens_beside_decode(gap);
  return beside > 0 ? std::clamp(beside, std::min(kLeastRead, most), most) : most;
}

std::int64_t Scheduler::next_of_prompt(Sequence& sequence, std::int64_t most) {
  // A mean is over states of all tokens, which the cache does not have.
  if (sequence.request.pooling != Pooling::kMean) memory_.adopt_prefix(sequence);
  return memory_.chunk(sequence, std::min(sequence.left_alike(), most));
}

// Every sequence that draws goes on by one token; prompts are read beside them, first for the account that
// has least.
void Scheduler::compose() {
  step_.clear();
  std::vector<Sequence*> readers;
  std::vector<std::pair<Sequence*, std::int64_t>> parts;
  for (Sequence* sequence : places_.running()) {
    // More than one token is left where guesses were taken back.
    if (sequence->reading() || sequence->left() > 1 + speculation_.tokens_max())
      readers.push_back(sequence);
    else
      parts.emplace_back(sequence, sequence->left());
  }
  std::int64_t budget = options_.prefill_chunk;
  {
    const std::lock_guard lock(mutex_);
    const bool alone = std::ranges::all_of(places_.running(), [&](const Sequence* s) {
      return s->request.account == places_.running().front()->request.account;
    });
    if (!parts.empty()) budget = prompt_tokens_beside(alone ? kLongestGap : 0);
    const auto claim = [&](const Sequence* s) {
      const std::string& account = s->request.account;
      return std::tuple(s->request.priority, queue_.running(account), queue_.served(account));
    };
    std::stable_sort(readers.begin(), readers.end(),
                     [&](const Sequence* a, const Sequence* b) { return claim(a) < claim(b); });
  }
  for (Sequence* sequence : readers) {
    if (budget <= 0) break;
    const std::int64_t count = next_of_prompt(*sequence, budget);
    budget -= count;
    parts.emplace_back(sequence, count);
  }
  // Who started first takes pages first: so some of them always get to their end.
  std::stable_sort(parts.begin(), parts.end(), [](const auto& a, const auto& b) {
    return std::pair(a.first->request.priority, a.first->started) <
           std::pair(b.first->request.priority, b.first->started);
  });
  drawing_.clear();
  std::erase_if(parts, [&](const auto& part) {
    const auto [sequence, count] = part;
    sequence->guess.clear();
    if (!places_.runs(*sequence)) return true;  // made room
    if (!places_.grow(*sequence, sequence->done + count)) return true;
    drawing_.push_back(sequence);
    return false;
  });
  // Beside prompts every row has its price; without, guesses ride where the weights are read anyway.
  if (readers.empty()) speculation_.guess(drawing_);
  for (const auto& [sequence, count] : parts) step_.add(*sequence, count);
}

void Scheduler::compute(Step& step) {
  if (step.empty()) return;
  const double guessing = speculation_.take_seconds(), inner_before = inner_seconds_;
  if (&step == &step_) {
    const std::lock_guard lock(mutex_);
    tokens_let_in_ = prompt_tokens_beside(kLongestGap);
  }
  const auto begin = Clock::now();
  const Status computed = step.run();
  const double inner = inner_seconds_ - inner_before;
  const double pass_seconds = seconds_between(begin, Clock::now()) - inner;
  if (!computed) {
    for (const Step::Part& part : step.parts())
      finish(*part.sequence, FinishReason::kError,
             fmt::format("{}; the request ended, the server goes on", computed.error().message));
    return;
  }
  speculation_.learn(step, pass_seconds);
  const double seconds = seconds_between(begin, Clock::now()) - inner + guessing;
  {
    const std::lock_guard lock(mutex_);
    forecast_.note_step(step.prompt_tokens(), step.rows() - step.prompt_tokens(), seconds);
    for (const Step::Part& part : step.parts()) queue_.serve(part.sequence->request.account, part.count);
  }
  for (const Step::Part& part : step.parts()) {
    memory_.keep_prefix(*part.sequence);
    if (part.of_prompt > 0)
      part.sequence->sink->on_progress(std::min(part.sequence->done, part.sequence->prompt_tokens),
                                       part.sequence->prompt_tokens);
  }
  std::int64_t generated = 0;
  for (const Sequence* sequence : step.drawn())
    generated += sequence->request.max_tokens > 0 ? std::ssize(sequence->outputs) : 0;
  publish(step.prompt_tokens(), generated, seconds);
  for (Sequence* sequence : step.pooled()) {
    deliver_vector(*sequence);
    finish(*sequence, FinishReason::kStop);
  }
  for (Sequence* sequence : step.drawn())
    if (const auto reason = deliver(*sequence, ends_generation_))
      finish(*sequence, *reason, *reason == FinishReason::kError ? sequence->failure : std::string());
}

void Scheduler::publish(std::int64_t prompt_tokens, std::int64_t generated_tokens, double seconds) {
  const std::lock_guard lock(mutex_);
  ++stats_.steps;
  const auto& sizes = EngineStats::kStepSizes;
  const auto size = std::lower_bound(sizes.begin(), sizes.end(), prompt_tokens + generated_tokens);
  ++stats_.steps_by_size[static_cast<std::size_t>(size - sizes.begin())];
  stats_.busy_seconds += seconds;
  stats_.prompt_tokens += prompt_tokens;
  stats_.generated_tokens += generated_tokens;
  const auto now = Clock::now();
  prompt_rate_.add(prompt_tokens, now);
  generated_rate_.add(generated_tokens, now);
  memory_.describe(stats_);
  speculation_.describe(stats_);
}

void Scheduler::finish(Sequence& sequence, FinishReason reason, std::string error) {
  const FinishInfo info = finish_info(sequence, reason, std::move(error));
  memory_.close(sequence);
  std::unique_ptr<Sequence> mine;
  {
    const std::lock_guard lock(mutex_);
    places_.leave(sequence);
    if (sequence.has_answered() && reason != FinishReason::kCancelled)
      forecast_.note_finish(sequence, info.decode_seconds);
    if (reason == FinishReason::kCancelled) ++stats_.cancelled;
    if (reason == FinishReason::kError) ++stats_.failed;
    memory_.describe(stats_);
    if (sequence.request.deadline) {
      auto [at, end] = deadlines_.equal_range(*sequence.request.deadline);
      while (at != end) at = at->second == sequence.id ? deadlines_.erase(at) : std::next(at);
    }
    const auto at = all_.find(sequence.id);
    mine = std::move(at->second);
    all_.erase(at);
  }
  mine->sink->on_finish(info);
}

}  // namespace

std::unique_ptr<Engine> make_scheduler(std::unique_ptr<Runner> runner, std::unique_ptr<Drafter> drafter,
                                       EngineOptions options, EngineInfo info,
                                       Engine::EndToken ends_generation, std::unique_ptr<PrefixDisk> disk) {
  return std::make_unique<Scheduler>(std::move(runner), std::move(drafter), std::move(options),
                                     std::move(info), std::move(ends_generation), std::move(disk));
}

}  // namespace deepwell
