// SPDX-License-Identifier: Apache-2.0
#include "engine/run/scheduler.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>
#include <tuple>

#include "engine/run/admission.h"
#include "engine/run/cache_memory.h"
#include "engine/run/delivery.h"
#include "engine/run/places.h"
#include "engine/run/speculation.h"
#include "engine/run/step.h"

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
            EngineInfo info, EndToken ends_generation, std::unique_ptr<PrefixDisk> disk,
            const Forecast::Guess& guess)
      : runner_(std::move(runner)),
        options_(std::move(options)),
        info_(std::move(info)),
        ends_generation_(std::move(ends_generation)),
        admission_(options_, info_, shared_),
        memory_(runner_->cache(), options_, std::move(disk)),
        step_(*runner_),
        inner_step_(*runner_),
        speculation_(std::move(drafter), options_.draft_tokens, memory_),
        places_(options_.parallel, shared_, memory_, speculation_) {
    memory_.describe(shared_.stats);
    shared_.forecast.expect(guess);
    runner_->between_layers([this] { let_in(); });
    thread_ = std::thread([this] { run(); });
  }

  ~Scheduler() override {
    admission_.stop();
    thread_.join();
  }

  Result<std::uint64_t> submit(EngineRequest request, std::shared_ptr<TokenSink> sink) override {
    return admission_.submit(std::move(request), std::move(sink));
  }
  void cancel(std::uint64_t request) override { admission_.cancel(request); }
  void look_up(std::vector<std::int32_t> prompt, std::string prefix_space,
               std::function<void(std::int64_t)> then) override {
    admission_.post([this, prompt = std::move(prompt), space = std::move(prefix_space),
                     then = std::move(then)] { then(memory_.known_tokens(prompt, space)); });
  }
  const EngineInfo& info() const override { return info_; }
  EngineStats stats() const override;

 private:
  // The engine thread's.
  void run();
  void admit();
  bool start(Sequence& sequence);
  void let_in();
  std::int64_t prompt_tokens_beside(double gap) const;
  std::int64_t next_of_prompt(Sequence& sequence, std::int64_t most);
  void compose();
  void compute(Step& step);
  void account_for(const Step& step, double seconds);
  void finish(Sequence& sequence, FinishReason reason, std::string error = {});

  std::unique_ptr<Runner> runner_;
  const EngineOptions options_;
  const EngineInfo info_;
  const EndToken ends_generation_;
  SharedState shared_;
  Admission admission_;

  // The engine thread's own.
  std::vector<Sequence*> drawing_;  // those of the step, when nobody reads beside them
  CacheMemory memory_;
  Step step_, inner_step_;          // inner: of those let in amid the other
  std::int64_t tokens_let_in_ = 0;  // of prompts, that may still be read amid the step under way
  double inner_seconds_ = 0;        // that letting in has taken so far
  Speculation speculation_;
  Places places_;
  std::thread thread_;
};

EngineStats Scheduler::stats() const {
  const std::lock_guard lock(shared_.mutex);
  EngineStats stats = shared_.stats;
  const auto now = Clock::now();
  stats.waiting = shared_.queue.waiting();
  if (!shared_.idle) stats.stalled_seconds = seconds_between(shared_.beat, now);
  stats.prompt_tokens_per_second = shared_.prompt_rate.per_second(now);
  stats.generated_tokens_per_second = shared_.generated_rate.per_second(now);
  memory_.describe_disk(stats);
  return stats;
}

void Scheduler::run() {
  const ThreadPool::Caller caller(runner_->threads());
  // While nobody asks is a good time for what loading left over.
  while (admission_.wait([this] { return runner_->pack_some(); })) {
    admission_.run_errands();
    while (const auto over = admission_.next_over()) finish(*over->sequence, over->reason);
    admit();
    admission_.tell_places(places_.running());
    compose();
    compute(step_);
  }
  admission_.run_errands();
  while (Sequence* const rest = admission_.oldest()) finish(*rest, FinishReason::kCancelled);
}

void Scheduler::admit() {
  while (Sequence* const sequence = places_.next()) start(*sequence);
}

// False: it ended at once.
bool Scheduler::start(Sequence& sequence) {
  places_.take(sequence);
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
  if (tokens_let_in_ <= 0 || !admission_.somebody_came()) return;
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

// At least half as fast do all go on that draw, or no more than the gap apart.
std::int64_t Scheduler::prompt_tokens_beside(double gap) const {
  const std::int64_t most = options_.prefill_chunk,
                     beside = shared_.forecast.prompt_tokens_beside_decode(gap);
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
    const std::lock_guard lock(shared_.mutex);
    const bool alone = std::ranges::all_of(places_.running(), [&](const Sequence* s) {
      return s->request.account == places_.running().front()->request.account;
    });
    if (!parts.empty()) budget = prompt_tokens_beside(alone ? kLongestGap : 0);
    const auto claim = [&](const Sequence* s) {
      const std::string& account = s->request.account;
      return std::tuple(s->request.priority, shared_.queue.running(account), shared_.queue.served(account));
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
    const std::lock_guard lock(shared_.mutex);
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
  for (const Step::Part& part : step.parts()) {
    memory_.keep_prefix(*part.sequence);
    if (part.of_prompt > 0)
      part.sequence->sink->on_progress(std::min(part.sequence->done, part.sequence->prompt_tokens),
                                       part.sequence->prompt_tokens);
  }
  account_for(step, seconds);
  for (Sequence* sequence : step.pooled()) {
    deliver_vector(*sequence);
    finish(*sequence, FinishReason::kStop);
  }
  for (Sequence* sequence : step.drawn())
    if (const auto reason = deliver(*sequence, ends_generation_))
      finish(*sequence, *reason, *reason == FinishReason::kError ? sequence->failure : std::string());
}

void Scheduler::account_for(const Step& step, double seconds) {
  std::int64_t generated = 0;
  for (const Sequence* sequence : step.drawn())
    generated += sequence->request.max_tokens > 0 ? std::ssize(sequence->outputs) : 0;
  const auto& sizes = EngineStats::kStepSizes;
  const auto size = std::lower_bound(sizes.begin(), sizes.end(), step.prompt_tokens() + generated);
  const auto now = Clock::now();
  const std::lock_guard lock(shared_.mutex);
  shared_.forecast.note_step(step.prompt_tokens(), step.rows() - step.prompt_tokens(), seconds);
  for (const Step::Part& part : step.parts()) shared_.queue.serve(part.sequence->request.account, part.count);
  shared_.prompt_rate.add(step.prompt_tokens(), now);
  shared_.generated_rate.add(generated, now);
  EngineStats& stats = shared_.stats;
  ++stats.steps;
  ++stats.steps_by_size[static_cast<std::size_t>(size - sizes.begin())];
  stats.busy_seconds += seconds;
  stats.prompt_tokens += step.prompt_tokens();
  stats.generated_tokens += generated;
  memory_.describe(stats);
  speculation_.describe(stats);
}

void Scheduler::finish(Sequence& sequence, FinishReason reason, std::string error) {
  const FinishInfo info = finish_info(sequence, reason, std::move(error));
  memory_.close(sequence);
  std::unique_ptr<Sequence> mine;
  {
    const std::lock_guard lock(shared_.mutex);
    EngineStats& stats = shared_.stats;
    places_.leave(sequence);
    if (sequence.has_answered() && reason != FinishReason::kCancelled)
      shared_.forecast.note_finish(sequence, info.decode_seconds);
    if (reason == FinishReason::kCancelled) ++stats.cancelled;
    if (reason == FinishReason::kError) ++stats.failed;
    memory_.describe(stats);
    mine = admission_.release(sequence);
  }
  mine->sink->on_finish(info);
}

}  // namespace

std::unique_ptr<Engine> make_scheduler(std::unique_ptr<Runner> runner, std::unique_ptr<Drafter> drafter,
                                       EngineOptions options, EngineInfo info,
                                       Engine::EndToken ends_generation, std::unique_ptr<PrefixDisk> disk,
                                       const Forecast::Guess& guess) {
  return std::make_unique<Scheduler>(std::move(runner), std::move(drafter), std::move(options),
                                     std::move(info), std::move(ends_generation), std::move(disk), guess);
}

}  // namespace deepwell
