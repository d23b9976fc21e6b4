// SPDX-License-Identifier: Apache-2.0
#include "server/app/answer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "server/app/gate.h"
#include "server/app/prepare.h"
#include "server/app/span_exporter.h"
#include "server/model/reply_constraint.h"
#include "text/chat/assemble.h"

namespace deepwell {
namespace {
using nlohmann::json;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point then) {
  return std::chrono::duration<double>(Clock::now() - then).count();
}

/// All choices of one request, from submission to the last byte. Kept alive by the engine's sinks.
class Answer final : public RunningAnswer, public std::enable_shared_from_this<Answer> {
 public:
  Answer(const Call& call, Request request, ModelUse model, std::unique_ptr<Dialect> dialect,
         std::string_view stream_type)
      : call_(call),
        busy_(call.service),
        request_(std::move(request)),
        use_(std::move(model)),
        model_(*use_),
        dialect_(std::move(dialect)),
        stream_type_(stream_type) {
    head_.id = call_.answer_id.empty() ? dialect_->id_prefix() + random_id() : call_.answer_id;
    head_.created_unix_seconds = unix_seconds_now();
    head_.model = request_.model.empty() ? model_.id : request_.model;
  }

  ~Answer() override { call_.service.running.remove(head_.id); }
  void start(std::vector<std::vector<Token>> prompts, std::vector<std::unique_ptr<GrammarMatcher>> matchers);

  void answer_now() override;
  void cancel() override;

  // From the engine's thread.
  void text(int choice, TextPiece piece);
  void token(int choice);
  void queue(int choice, const QueuePlace& place);
  void progress(int choice, std::int64_t done, std::int64_t total);
  void finish(int choice, const GenerationFinish& finish);

 private:
  std::optional<ApiError> submit(const std::vector<std::vector<Token>>& prompts);
  void open();
  bool may_comment(int choice) const;
  void send(std::string bytes);
  void complete();
  Usage usage() const;
  Span span(const Usage& total, const std::optional<ApiError>& failure) const;

  Call call_;
  Service::Busy busy_;
  Request request_;
  const ModelUse use_;
  ServedModel& model_;
  std::unique_ptr<Dialect> dialect_;
  const std::string_view stream_type_;
  AnswerHead head_;

  struct State {
    std::string echo;
    Choice choice;
    Clock::time_point last_token;
    double first_token_seconds = -1;
    bool done = false;
  };
  std::vector<std::unique_ptr<GrammarMatcher>> matchers_;  ///< one an answer, or none
  mutable std::mutex mutex_;
  std::vector<State> states_;
  std::vector<std::uint64_t> ids_;
  std::vector<std::shared_ptr<ReplyConstraint>> constraints_;
  std::string early_;  ///< stream pieces made before the head was sent
  std::size_t finished_ = 0;
  bool open_ = false;       ///< submission succeeded; pieces may flow
  bool abandoned_ = false;  ///< refused after part of it was submitted: nothing more is said
};

class ChoiceListener final : public GenerationListener {
 public:
  ChoiceListener(std::shared_ptr<Answer> answer, int choice) : answer_(std::move(answer)), choice_(choice) {}
  void on_text(TextPiece piece) override { answer_->text(choice_, std::move(piece)); }
  void on_token() override { answer_->token(choice_); }
  void on_queue(const QueuePlace& place) override { answer_->queue(choice_, place); }
  void on_progress(std::int64_t done, std::int64_t total) override {
    answer_->progress(choice_, done, total);
  }
  void on_finish(const GenerationFinish& finish) override { answer_->finish(choice_, finish); }

 private:
  std::shared_ptr<Answer> answer_;
  int choice_;
};

void Answer::start(std::vector<std::vector<Token>> prompts,
                   std::vector<std::unique_ptr<GrammarMatcher>> matchers) {
  matchers_ = std::move(matchers);
  call_.service.metrics.observe_choices(model_.id, request_.choices);
  for (const auto& prompt : prompts) head_.prompt_tokens += static_cast<std::int64_t>(prompt.size());
  states_.resize(prompts.size() * static_cast<std::size_t>(request_.choices));
  if (request_.echo) {
    for (std::size_t i = 0; i < states_.size(); ++i) {
      const auto& prompt = request_.prompts[i / static_cast<std::size_t>(request_.choices)];
      if (const auto* text = std::get_if<std::string>(&prompt); text != nullptr) {
        states_[i].echo = *text;
      } else {
        for (const Token token : std::get<std::vector<Token>>(prompt)) {
          states_[i].echo += model_.tokenizer->token_bytes(token, true);
        }
      }
    }
  }
  call_.service.running.add(head_.id, call_.user, weak_from_this());
  if (const auto refusal = submit(prompts)) {
    {
      const std::lock_guard lock(mutex_);
      abandoned_ = true;
    }
    cancel();
    if (call_.lease) call_.lease->settle(0, Clock::now());
    call_.reply_error(*refusal);
    return;
  }
  call_.service.prompts.add({call_.user, model_.id, head_.id, prompts.front()});
  open();
  const auto give_up = [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->cancel();
  };
  busy_.on_give_up(give_up);
  call_.exchange->on_disconnect(give_up);
}

std::optional<ApiError> Answer::submit(const std::vector<std::vector<Token>>& prompts) {
  for (std::size_t i = 0; i < states_.size(); ++i) {
    const std::size_t copy = i % static_cast<std::size_t>(request_.choices);
    GenerationOptions options = request_.generation;
    options.account = call_.user;
    options.priority += call_.priority;
    options.admitted = call_.admitted;
    options.shared_prefixes = call_.service.shares_prefixes();
    if (options.sampling.seed) *options.sampling.seed += copy;  // choices of one request should differ
    if (options.reply && copy > 0) options.reply->options.call_id_tail = random_id();
    const bool thinking = options.reply && options.reply->options.start.in == ReplyStart::In::kReasoning;
    const bool may_think = thinking || (options.reply && options.reply->language != ReplyLanguage::kPlain);
    const bool bounded = request_.is_chat && request_.thinking_tokens_max >= 0;
    if (!matchers_.empty() || bounded || (may_think && !options.ignore_end)) {
      auto constraint = std::make_shared<ReplyConstraint>(
          *model_.tokenizer, matchers_.empty() ? nullptr : std::move(matchers_[i]), thinking,
          request_.thinking_tokens_max);
      options.constraint = constraint;
      const std::lock_guard lock(mutex_);
      constraints_.push_back(std::move(constraint));
    }
    auto listener = std::make_shared<ChoiceListener>(shared_from_this(), static_cast<int>(i));
    Result<std::uint64_t> id =
        start_generation(model_, prompts[i / static_cast<std::size_t>(request_.choices)], std::move(options),
                         std::move(listener));
    if (!id) return refusal_of(call_, model_, id.error());
    const std::lock_guard lock(mutex_);
    ids_.push_back(*id);
  }
  return std::nullopt;
}

// The head goes out as soon as the engine has taken the request: whoever waits sees that it is alive.
void Answer::open() {
  bool all_done = false;
  {
    const std::lock_guard lock(mutex_);
    if (request_.stream) {
      call_.exchange->begin_stream(stream_head(stream_type_));
      for (std::size_t i = 0; i < states_.size(); ++i) {
        call_.exchange->send(dialect_->opening(head_, static_cast<int>(i)));
      }
      call_.exchange->send(std::move(early_));
    } else {
      call_.exchange->hold({.content_type = "application/json"});
    }
    open_ = true;
    all_done = finished_ == states_.size();
  }
  if (all_done) complete();
}

void Answer::send(std::string bytes) {
  if (open_) {
    call_.exchange->send(std::move(bytes));
  } else {
    early_ += bytes;
  }
}

void Answer::cancel() {
  std::vector<std::uint64_t> ids;
  {
    const std::lock_guard lock(mutex_);
    ids = ids_;
  }
  for (const std::uint64_t id : ids) model_.engine->cancel(id);
}

void Answer::answer_now() {
  const std::lock_guard lock(mutex_);
  for (const auto& constraint : constraints_) constraint->answer_now();
}

void Answer::token(int choice) {
  const std::lock_guard lock(mutex_);
  State& state = states_[static_cast<std::size_t>(choice)];
  const auto now = Clock::now();
  if (state.first_token_seconds < 0) {
    state.first_token_seconds = std::chrono::duration<double>(now - call_.arrived).count();
  } else {
    call_.service.metrics.observe_token_gap(model_.id,
                                            std::chrono::duration<double>(now - state.last_token).count());
  }
  state.last_token = now;
}

// Clients that do not look for comments skip them; only event streams have them. Of several choices the first
// speaks for all.
bool Answer::may_comment(int choice) const {
  return request_.stream && !abandoned_ && choice == 0 && stream_type_ == kEventStream;
}

void Answer::queue(int choice, const QueuePlace& place) {
  const std::lock_guard lock(mutex_);
  if (!may_comment(choice)) return;
  send(fmt::format(": queue position={} eta={:.0f}s\n\n", place.position, std::ceil(place.seconds)));
}

void Answer::progress(int choice, std::int64_t done, std::int64_t total) {
  const std::lock_guard lock(mutex_);
  if (!may_comment(choice) || done == total) return;
  send(fmt::format(": prefill done={} total={}\n\n", done, total));
}

void Answer::text(int choice, TextPiece piece) {
  const std::lock_guard lock(mutex_);
  if (abandoned_) return;
  State& state = states_[static_cast<std::size_t>(choice)];
  if (call_.log->keeps_text) {
    const std::lock_guard log_lock(call_.log->mutex);
    call_.log->answers.resize(states_.size());
    for (const ReplyEvent& event : piece.events)
      call_.log->answers[static_cast<std::size_t>(choice)] += event.text;
  }
  if (request_.stream) {
    if (!state.echo.empty()) {
      piece.events.insert(piece.events.begin(), {ReplyEvent::Kind::kText, std::exchange(state.echo, {})});
    }
    send(dialect_->piece(head_, choice, piece));
    return;
  }
  for (const ReplyEvent& event : piece.events) append(state.choice.message, event);
  for (TokenOutput& token : piece.tokens) state.choice.tokens.push_back(std::move(token));
}

void Answer::finish(int choice, const GenerationFinish& finish) {
  const double total_seconds = seconds_since(call_.arrived);
  bool all_done = false;
  {
    const std::lock_guard lock(mutex_);
    State& state = states_[static_cast<std::size_t>(choice)];
    state.done = true;
    state.choice.finish = finish;
    call_.service.metrics.observe(
        {model_.id, finish, request_.generation.max_tokens, state.first_token_seconds, total_seconds});
    if (request_.stream && !abandoned_) {
      if (!state.echo.empty()) {
        const TextPiece echo{{{ReplyEvent::Kind::kText, std::move(state.echo)}}, {}};
        send(dialect_->piece(head_, choice, echo));
      }
      if (finish.reason == FinishReason::kStop || finish.reason == FinishReason::kLength) {
        send(dialect_->closing(head_, choice, finish));
      }
    }
    ++finished_;
    all_done = open_ && finished_ == states_.size();
  }
  if (all_done) complete();
}

Usage Answer::usage() const {
  Usage usage;
  for (std::size_t i = 0; i < states_.size(); ++i) {
    const GenerationFinish& finish = states_[i].choice.finish;
    usage.generated_tokens += finish.generated_tokens;
    if (i % static_cast<std::size_t>(request_.choices) != 0) continue;  // a prompt counts once
    usage.prompt_tokens += finish.prompt_tokens;
    usage.cached_tokens += finish.cached_tokens;
  }
  return usage;
}

// Names: OpenTelemetry's semantic conventions for generative AI; what they lack, as vLLM calls it.
Span Answer::span(const Usage& total, const std::optional<ApiError>& failure) const {
  Span span;
  const char* operation = request_.is_chat ? "chat" : "text_completion";
  span.name = fmt::format("{} {}", operation, head_.model);
  read_traceparent(call_.request().header("traceparent"), span);
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  span.end_unix_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
  span.start_unix_ns = span.end_unix_ns - static_cast<std::int64_t>(seconds_since(call_.arrived) * 1e9);
  const State& first = states_.front();
  json reasons = json::array();
  for (const State& state : states_) reasons.push_back(finish_name(state.choice.finish.reason));
  span.attributes = {{"gen_ai.operation.name", operation},
                     {"gen_ai.provider.name", "deepwell"},
                     {"gen_ai.request.model", head_.model},
                     {"gen_ai.response.model", model_.id},
                     {"gen_ai.response.id", head_.id},
                     {"gen_ai.request.temperature", request_.generation.sampling.temperature},
                     {"gen_ai.request.top_p", request_.generation.sampling.top_p},
                     {"gen_ai.request.choice.count", request_.choices},
                     {"gen_ai.response.finish_reasons", std::move(reasons)},
                     {"gen_ai.usage.input_tokens", total.prompt_tokens},
                     {"gen_ai.usage.output_tokens", total.generated_tokens},
                     {"gen_ai.usage.cache_read.input_tokens", total.cached_tokens},
                     {"gen_ai.latency.time_in_queue", first.choice.finish.queue_seconds},
                     {"gen_ai.latency.time_in_model_prefill", first.choice.finish.prefill_seconds},
                     {"gen_ai.latency.time_in_model_decode", first.choice.finish.decode_seconds},
                     {"gen_ai.latency.e2e", seconds_since(call_.arrived)}};
  if (request_.generation.max_tokens >= 0)
    span.attributes["gen_ai.request.max_tokens"] = request_.generation.max_tokens;
  if (first.first_token_seconds >= 0)
    span.attributes["gen_ai.latency.time_to_first_token"] = first.first_token_seconds;
  if (failure) {
    span.error = failure->message;
    span.attributes["error.type"] = failure->code;
  }
  return span;
}

// Only here the answer ends, after every choice has.
void Answer::complete() {
  const std::lock_guard lock(mutex_);
  const Usage total = usage();
  std::optional<ApiError> failure;
  for (const State& state : states_) {
    const GenerationFinish& finish = state.choice.finish;
    if (finish.reason == FinishReason::kError) {
      failure = ApiError{};
      failure->status = 500;
      failure->message = finish.error.empty() ? "the engine failed" : finish.error;
      failure->code = "engine_error";
    } else if (finish.reason == FinishReason::kDeadline) {
      failure = ApiError{};
      failure->status = 504;
      failure->message = "the answer was not complete before the request's deadline";
      failure->code = "deadline_exceeded";
    } else if (finish.reason == FinishReason::kCancelled && !failure) {
      failure = ApiError{};
      failure->status = 503;
      failure->message = call_.service.phase() == Phase::kDraining
                             ? "this server is shutting down, and the answer was not complete in time"
                             : "the answer was cancelled before it was complete";
      failure->code = "cancelled";
    }
  }
  if (failure) failure->type = "server_error";
  if (call_.lease) call_.lease->settle(total.prompt_tokens + total.generated_tokens, Clock::now());
  {
    const std::lock_guard log_lock(call_.log->mutex);
    call_.log->model = model_.id;
    call_.log->prompt_tokens = total.prompt_tokens;
    call_.log->cached_tokens = total.cached_tokens;
    call_.log->generated_tokens = total.generated_tokens;
    call_.log->finish = failure ? failure->code : finish_name(states_.front().choice.finish.reason);
  }
  if (call_.service.spans != nullptr) call_.service.spans->add(span(total, failure));
  if (request_.stream) {
    call_.exchange->send(failure ? dialect_->failure(head_, *failure) : dialect_->ending(head_, total));
    call_.exchange->end();
    return;
  }
  if (failure) return call_.reply_error(*failure);
  std::vector<Choice> choices;
  for (State& state : states_) {
    state.choice.message.content.insert(0, state.echo);
    choices.push_back(std::move(state.choice));
  }
  call_.reply_json(dump(dialect_->whole(head_, choices, total)));
}

/// What a request may come to at most, as far as it says so.
std::int64_t tokens_wanted(const Request& request, const std::vector<std::vector<Token>>& prompts,
                           std::int64_t context) {
  std::int64_t tokens = 0;
  for (const auto& prompt : prompts)
    tokens += static_cast<std::int64_t>(prompt.size()) +
              request.choices * std::clamp<std::int64_t>(request.generation.max_tokens, 0, context);
  return tokens;
}

void answer_with(const Call& call, Request request, ModelUse use, const MakeDialect& make_dialect,
                 std::string_view stream_type) {
  ApiResult<PreparedAnswer> prepared = prepare(request, *use);
  if (!prepared) return call.reply_error(prepared.error());
  if (call.lease) {
    const auto refusal = call.lease->reserve(
        tokens_wanted(request, prepared->prompts, use->engine->info().context), Clock::now());
    if (refusal) return call.reply_error(over_limit(*refusal));
  }
  std::unique_ptr<Dialect> dialect = make_dialect(request, *use);
  std::make_shared<Answer>(call, std::move(request), std::move(use), std::move(dialect), stream_type)
      ->start(std::move(prepared->prompts), std::move(prepared->matchers));
}

}  // namespace

ApiError refusal_of(const Call& call, const ServedModel& model, const Error& error) {
  ApiError refusal = to_api_error(error);
  if (error.code == ErrorCode::kOverloaded) {
    call.service.metrics.count_refused(model.id);
    refusal.retry_after_seconds =
        std::max(1, static_cast<int>(std::ceil(model.engine->stats().retry_after_seconds)));
  }
  return refusal;
}

void answer(const Call& call, Request request, MakeDialect make_dialect, std::string_view stream_type) {
  const ModelWish wish{request.model, request.stream ? stream_type : std::string_view(),
                       request.idle_seconds};
  with_model(call, wish,
             [call, request = std::move(request), make_dialect = std::move(make_dialect),
              stream_type](ModelUse model) mutable {
               answer_with(call, std::move(request), std::move(model), make_dialect, stream_type);
             });
}

std::string random_id() {
  static std::mutex mutex;
  static std::mt19937_64 source{std::random_device{}()};
  const std::lock_guard lock(mutex);
  return fmt::format("{:016x}{:08x}", source(), static_cast<std::uint32_t>(source()));
}

std::int64_t unix_seconds_now() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

const char* finish_name(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kCancelled:
    case FinishReason::kDeadline:
    case FinishReason::kError:
      break;
  }
  return "error";
}

json to_json(const Usage& usage) {
  return {{"prompt_tokens", usage.prompt_tokens},
          {"completion_tokens", usage.generated_tokens},
          {"total_tokens", usage.prompt_tokens + usage.generated_tokens},
          {"prompt_tokens_details", {{"cached_tokens", usage.cached_tokens}}},
          // DeepSeek's names for the same.
          {"prompt_cache_hit_tokens", usage.cached_tokens},
          {"prompt_cache_miss_tokens", usage.prompt_tokens - usage.cached_tokens}};
}

std::string dump(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

}  // namespace deepwell
