// SPDX-License-Identifier: Apache-2.0
#include "server/app/answer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "server/app/gate.h"
#include "server/model/reply_constraint.h"
#include "text/chat/assemble.h"
#include "text/grammar/reply_grammar.h"

namespace deepwell {
namespace {
using nlohmann::json;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point then) {
  return std::chrono::duration<double>(Clock::now() - then).count();
}

/// All choices of one request, from submission to the last byte. Kept alive by the engine's sinks.
class Answer : public std::enable_shared_from_this<Answer> {
 public:
  Answer(const Call& call, Request request, ServedModel& model, std::unique_ptr<Dialect> dialect)
      : call_(call),
        busy_(call.service),
        request_(std::move(request)),
        model_(model),
        dialect_(std::move(dialect)) {
    head_.id = dialect_->id_prefix() + random_id();
    head_.created_unix_seconds = unix_seconds_now();
    head_.model = request_.model.empty() ? model_.id : request_.model;
  }

  void start(std::vector<std::vector<Token>> prompts, std::vector<std::unique_ptr<GrammarMatcher>> matchers);

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
  void cancel();
  void complete();
  Usage usage() const;

  Call call_;
  Service::Busy busy_;
  Request request_;
  ServedModel& model_;
  std::unique_ptr<Dialect> dialect_;
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
    options.shared_prefixes = call_.service.shares_prefixes();
    if (options.sampling.seed) *options.sampling.seed += copy;  // choices of one request should differ
    if (options.reply && copy > 0) options.reply->options.call_id_tail = random_id();
    const bool thinking = options.reply && options.reply->options.start.in == ReplyStart::In::kReasoning;
    if (!matchers_.empty() || (request_.is_chat && request_.thinking_tokens_max >= 0)) {
      options.constraint = std::make_shared<ReplyConstraint>(
          *model_.tokenizer, matchers_.empty() ? nullptr : std::move(matchers_[i]), thinking,
          request_.thinking_tokens_max);
    }
    auto listener = std::make_shared<ChoiceListener>(shared_from_this(), static_cast<int>(i));
    Result<std::uint64_t> id =
        start_generation(model_, prompts[i / static_cast<std::size_t>(request_.choices)], std::move(options),
                         std::move(listener));
    if (!id) {
      ApiError error = to_api_error(id.error());
      if (id.error().code == ErrorCode::kOverloaded) {
        call_.service.metrics.count_refused(model_.id);
        error.retry_after_seconds =
            std::max(1, static_cast<int>(std::ceil(model_.engine->stats().retry_after_seconds)));
      }
      return error;
    }
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
      http::Response head;
      head.content_type = dialect_->stream_type();
      head.headers.push_back({"Cache-Control", "no-cache"});
      head.headers.push_back({"X-Accel-Buffering", "no"});  // nginx would hold the pieces back
      call_.exchange->begin_stream(std::move(head));
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
  return request_.stream && !abandoned_ && choice == 0 &&
         std::string_view(dialect_->stream_type()).starts_with("text/event-stream");
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

/// Tokens that hold one of the texts: any of them ends a repeated run for DRY.
std::vector<Token> tokens_holding(const Tokenizer& tokenizer, const std::vector<std::string>& texts) {
  std::vector<Token> found;
  for (Token token = 0; token < tokenizer.size(); ++token) {
    const std::string_view bytes = tokenizer.token_bytes(token);
    for (const std::string& text : texts) {
      if (bytes.find(text) == std::string_view::npos) continue;
      found.push_back(token);
      break;
    }
  }
  return found;
}

/// Holds the answer to what was asked for: a format, calls of tools, a limit for thinking.
std::optional<ApiError> constrain(Request& request, const ServedModel& model, const ReplyStart& start,
                                  std::vector<std::unique_ptr<GrammarMatcher>>& matchers) {
  ReplyRules rules;
  rules.format = request.format;
  if (request.is_chat) {
    rules.language = model.chat->reply_language();
    rules.start = start;
    rules.may_think = request.chat.thinking.value_or(true) && rules.language != ReplyLanguage::kPlain &&
                      rules.language != ReplyLanguage::kDeepSeekDsml && !start.continues &&
                      model.tokenizer->find("<think>").has_value();
    rules.tools = request.chat.tools;
    rules.choice = request.chat.tool_choice;
    rules.parallel = request.parallel_tools;
  }
  const char* field = request.format ? request.format_field.c_str() : "tools";
  const auto refused = [&](const Error& error) {
    return invalid_field(field, fmt::format("'{}' cannot be honoured: {}", field, error.message));
  };
  if (request.format && start.continues)
    return refused({ErrorCode::kInvalid, "an answer that was started elsewhere cannot be held to it"});
  const Result<std::optional<GrammarSource>> source = reply_grammar(rules, *model.tokenizer, *model.grammars);
  if (!source) return refused(source.error());
  if (!*source) return std::nullopt;
  if (request.format)  // by itself first: the refusal then speaks of it alone
    if (const Status fits = model.grammars->check(*request.format); !fits) return refused(fits.error());
  for (std::size_t i = 0;
       i < std::max<std::size_t>(1, request.prompts.size()) * static_cast<std::size_t>(request.choices);
       ++i) {
    Result<std::unique_ptr<GrammarMatcher>> matcher = model.grammars->compile(**source);
    if (!matcher) return refused(matcher.error());
    matchers.push_back(std::move(*matcher));
  }
  return std::nullopt;
}

}  // namespace

/// The prompts as tokens; for a chat also how its reply is read, in `request`.
ApiResult<std::vector<std::vector<Token>>> encode_prompts(Request& request, const ServedModel& model) {
  std::vector<std::vector<Token>> prompts;
  if (request.is_chat) {
    Result<ChatTokens> chat = encode_chat(model, request.chat);
    if (!chat) {
      ApiError error = to_api_error(chat.error());
      error.param = "messages";
      return error;
    }
    const bool tools =
        !request.chat.tools.empty() && request.chat.tool_choice.kind != ToolChoice::Kind::kNone;
    ReplyLanguage language = model.chat->reply_language();
    const bool forced = tools && request.chat.tool_choice.kind != ToolChoice::Kind::kAuto;
    if (forced && (language == ReplyLanguage::kPlain || language == ReplyLanguage::kThinking))
      language =
          ReplyLanguage::kHermes;  // a model that knows no calls makes them all the same: see reply_grammar.h
    request.generation.reply = ReplyFormat{language, {chat->start, tools, random_id()}};
    prompts.push_back(std::move(chat->tokens));
  }
  for (const Request::RawPrompt& prompt : request.prompts) {
    if (const auto* text = std::get_if<std::string>(&prompt); text != nullptr && !request.suffix.empty()) {
      Result<std::vector<Token>> gap = encode_gap(*model.tokenizer, *text, request.suffix);
      if (!gap)
        return invalid_field("suffix", fmt::format("'suffix' cannot be honoured: {}", gap.error().message));
      prompts.push_back(std::move(*gap));
    } else if (text != nullptr) {
      prompts.push_back(encode_raw(*model.tokenizer, *text));
    } else {
      prompts.push_back(std::get<std::vector<Token>>(prompt));
    }
  }
  const std::int64_t context = model.engine->info().context;
  const char* param = request.is_chat ? "messages" : "prompt";
  for (const std::vector<Token>& prompt : prompts) {
    if (prompt.empty()) return invalid_field(param, "the prompt is empty; send at least one character");
    const auto size = static_cast<std::int64_t>(prompt.size());
    if (size >= context) {
      ApiError error = invalid_field(
          param, fmt::format("the prompt has {} tokens; this model's context holds {} including the answer. "
                             "Shorten the prompt, or start the server with a larger --context",
                             size, context));
      error.code = "context_length_exceeded";
      return error;
    }
    for (const Token token : prompt) {
      if (token < 0 || token >= model.engine->info().vocabulary) {
        return invalid_field(param, fmt::format("token {} is not in the vocabulary of {} tokens", token,
                                                model.engine->info().vocabulary));
      }
    }
  }
  return prompts;
}

namespace {
/// What a request may come to at most, as far as it says so.
std::int64_t tokens_wanted(const Request& request, const std::vector<std::vector<Token>>& prompts,
                           std::int64_t context) {
  std::int64_t tokens = 0;
  for (const auto& prompt : prompts)
    tokens += static_cast<std::int64_t>(prompt.size()) +
              request.choices * std::clamp<std::int64_t>(request.generation.max_tokens, 0, context);
  return tokens;
}
}  // namespace

void answer(const Call& call, Request request, const MakeDialect& make_dialect) {
  const ApiResult<ServedModel*> found = call.service.model_for_work(request.model);
  if (!found) return call.reply_error(found.error());
  ServedModel& model = **found;
  ApiResult<std::vector<std::vector<Token>>> prompts = encode_prompts(request, model);
  if (!prompts) return call.reply_error(prompts.error());
  for (const auto& [token, bias] : request.generation.sampling.logit_bias) {
    if (token >= model.engine->info().vocabulary) {
      return call.reply_error(invalid_field(
          "logit_bias", fmt::format("'logit_bias' names token {}, which the vocabulary of {} tokens lacks",
                                    token, model.engine->info().vocabulary)));
    }
  }
  if (request.generation.sampling.dry_multiplier > 0) {
    request.generation.sampling.dry_breakers = tokens_holding(*model.tokenizer, request.dry_breakers);
  }
  std::vector<std::unique_ptr<GrammarMatcher>> matchers;
  const ReplyStart start = request.generation.reply ? request.generation.reply->options.start : ReplyStart();
  if (const auto refusal = constrain(request, model, start, matchers)) return call.reply_error(*refusal);
  if (call.lease) {
    const auto refusal =
        call.lease->reserve(tokens_wanted(request, *prompts, model.engine->info().context), Clock::now());
    if (refusal) return call.reply_error(over_limit(*refusal));
  }
  std::unique_ptr<Dialect> dialect = make_dialect(request, model);
  std::make_shared<Answer>(call, std::move(request), model, std::move(dialect))
      ->start(std::move(*prompts), std::move(matchers));
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
          {"prompt_tokens_details", {{"cached_tokens", usage.cached_tokens}}}};
}

std::string dump(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

}  // namespace deepwell
