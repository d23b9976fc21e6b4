// SPDX-License-Identifier: Apache-2.0
#include "server/app/answer.h"

#include <fmt/format.h>

#include <random>

#include "text/chat/assemble.h"

namespace deepwell {
namespace {
using nlohmann::json;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point then) {
  return std::chrono::duration<double>(Clock::now() - then).count();
}

std::string random_id() {
  static std::mutex mutex;
  static std::mt19937_64 source{std::random_device{}()};
  const std::lock_guard lock(mutex);
  return fmt::format("{:016x}{:08x}", source(), static_cast<std::uint32_t>(source()));
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
    head_.created_unix_seconds =
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
            .count();
    head_.model = request_.model.empty() ? model_.id : request_.model;
  }

  void start(std::vector<std::vector<Token>> prompts);

  // From the engine's thread.
  void text(int choice, TextPiece piece);
  void token(int choice);
  void finish(int choice, const GenerationFinish& finish);

 private:
  std::optional<ApiError> submit(const std::vector<std::vector<Token>>& prompts);
  void open();
  void send(std::string bytes);
  void send(const json& value);
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
  void on_finish(const GenerationFinish& finish) override { answer_->finish(choice_, finish); }

 private:
  std::shared_ptr<Answer> answer_;
  int choice_;
};

void Answer::start(std::vector<std::vector<Token>> prompts) {
  call_.service.metrics.observe_choices(model_.id, request_.choices);
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
    call_.reply_error(*refusal);
    return;
  }
  open();
  call_.exchange->on_disconnect([weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->cancel();
  });
}

std::optional<ApiError> Answer::submit(const std::vector<std::vector<Token>>& prompts) {
  for (std::size_t i = 0; i < states_.size(); ++i) {
    const std::size_t copy = i % static_cast<std::size_t>(request_.choices);
    GenerationOptions options = request_.generation;
    if (options.sampling.seed) *options.sampling.seed += copy;  // choices of one request should differ
    if (options.reply && copy > 0) options.reply->options.call_id_tail = random_id();
    auto listener = std::make_shared<ChoiceListener>(shared_from_this(), static_cast<int>(i));
    Result<std::uint64_t> id =
        start_generation(model_, prompts[i / static_cast<std::size_t>(request_.choices)], std::move(options),
                         std::move(listener));
    if (!id) {
      ApiError error = to_api_error(id.error());
      if (id.error().code == ErrorCode::kOverloaded) {
        call_.service.metrics.count_refused(model_.id);
        error.retry_after_seconds = call_.service.retry_after_seconds();
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
      head.content_type = "text/event-stream; charset=utf-8";
      head.headers.push_back({"Cache-Control", "no-cache"});
      head.headers.push_back({"X-Accel-Buffering", "no"});  // nginx would hold the pieces back
      call_.exchange->begin_stream(std::move(head));
      for (std::size_t i = 0; i < states_.size(); ++i) {
        const json opening = dialect_->opening(head_, static_cast<int>(i));
        if (!opening.is_null()) call_.exchange->send(http::sse_event(dump(opening)));
      }
      call_.exchange->send(std::move(early_));
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

void Answer::send(const json& value) {
  if (!value.is_null()) send(http::sse_event(dump(value)));
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

void Answer::text(int choice, TextPiece piece) {
  const std::lock_guard lock(mutex_);
  if (abandoned_) return;
  State& state = states_[static_cast<std::size_t>(choice)];
  if (request_.stream) {
    if (!state.echo.empty()) {
      piece.events.insert(piece.events.begin(), {ReplyEvent::Kind::kText, std::exchange(state.echo, {})});
    }
    for (json& event : dialect_->piece(head_, choice, piece)) send(event);
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
    call_.service.note_duration(total_seconds);
    if (request_.stream && !abandoned_) {
      if (!state.echo.empty()) {
        const TextPiece echo{{{ReplyEvent::Kind::kText, std::move(state.echo)}}, {}};
        for (json& event : dialect_->piece(head_, choice, echo)) send(event);
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
    } else if (finish.reason == FinishReason::kCancelled && !failure) {
      failure = ApiError{};
      failure->status = 503;
      failure->message = "the answer was cancelled before it was complete";
      failure->code = "cancelled";
    }
  }
  if (failure) failure->type = "server_error";
  {
    const std::lock_guard log_lock(call_.log->mutex);
    call_.log->model = model_.id;
    call_.log->prompt_tokens = total.prompt_tokens;
    call_.log->generated_tokens = total.generated_tokens;
    call_.log->finish = failure ? failure->code : finish_name(states_.front().choice.finish.reason);
  }
  if (request_.stream) {
    if (failure) {
      call_.exchange->send(http::sse_event(to_json(*failure)));
    } else {
      if (request_.stream_usage) call_.exchange->send(http::sse_event(dump(dialect_->usage(head_, total))));
      call_.exchange->send(http::sse_event("[DONE]"));
    }
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
    request.generation.reply = ReplyFormat{model.chat->reply_language(), {chat->start, tools, random_id()}};
    prompts.push_back(std::move(chat->tokens));
  }
  for (const Request::RawPrompt& prompt : request.prompts) {
    if (const auto* text = std::get_if<std::string>(&prompt); text != nullptr) {
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

}  // namespace

void answer(const Call& call, Request request, MakeDialect make_dialect) {
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
  std::unique_ptr<Dialect> dialect = make_dialect(request, *model.tokenizer);
  std::make_shared<Answer>(call, std::move(request), model, std::move(dialect))->start(std::move(*prompts));
}

const char* finish_name(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kCancelled:
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
