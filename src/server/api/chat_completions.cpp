// SPDX-License-Identifier: Apache-2.0
// POST /v1/chat/completions. Source: OpenAI API reference, "Create chat completion", "The chat completion
// chunk object".
#include <map>

#include "server/app/answer.h"
#include "server/app/token_text.h"

namespace deepwell {
namespace {
using nlohmann::json;

class ChatDialect final : public Dialect {
 public:
  ChatDialect(const Request& request, const Tokenizer& tokenizer)
      : tokenizer_(tokenizer),
        logprobs_(request.generation.sampling.logprobs >= 0),
        usage_(request.stream_usage) {}

  const char* id_prefix() const override { return "chatcmpl-"; }

  json whole(const AnswerHead& head, const std::vector<Choice>& choices, const Usage& usage) override {
    json object = object_of(head, "chat.completion");
    for (std::size_t i = 0; i < choices.size(); ++i) {
      object["choices"].push_back(
          {{"index", i},
           {"message", message_of(choices[i].message)},
           {"logprobs", logprobs_ ? logprobs_of(choices[i].tokens) : json(nullptr)},
           {"finish_reason", reason_of(choices[i].finish, choices[i].message.tool_calls.size())}});
    }
    object["usage"] = to_json(usage);
    return object;
  }

  std::string opening(const AnswerHead& head, int choice) override {
    return event(chunk(head, choice, {{"role", "assistant"}, {"content", ""}}, nullptr, nullptr));
  }
  std::string piece(const AnswerHead& head, int choice, const TextPiece& piece) override {
    std::string chunks;
    json logprobs = logprobs_ ? logprobs_of(piece.tokens) : json(nullptr);  // with the first of the chunks
    for (const ReplyEvent& part : piece.events) {
      if (part.kind == ReplyEvent::Kind::kToolStart) ++calls_[choice];
      json delta = delta_of(part);
      if (!delta.is_null())
        chunks += event(chunk(head, choice, std::move(delta), std::exchange(logprobs, nullptr), nullptr));
    }
    if (!logprobs.is_null() && !piece.tokens.empty())
      chunks += event(chunk(head, choice, {{"content", ""}}, std::move(logprobs), nullptr));
    return chunks;
  }
  std::string closing(const AnswerHead& head, int choice, const GenerationFinish& finish) override {
    return event(chunk(head, choice, json::object(), nullptr, reason_of(finish, calls_[choice])));
  }
  std::string ending(const AnswerHead& head, const Usage& usage) override {
    std::string out;
    if (usage_) {
      json object = object_of(head, "chat.completion.chunk");
      object["usage"] = to_json(usage);
      out = event(object);
    }
    return out + http::sse_event("[DONE]");
  }
  std::string failure(const AnswerHead& /*head*/, const ApiError& error) override {
    return http::sse_event(to_json(error));
  }

 private:
  static std::string event(const json& value) { return http::sse_event(dump(value)); }
  static json message_of(const Message& message) {
    json out = {{"role", "assistant"}, {"content", message.content}, {"refusal", nullptr}};
    if (message.reasoning) out["reasoning_content"] = *message.reasoning;
    if (message.tool_calls.empty()) return out;
    if (message.content.empty()) out["content"] = nullptr;
    out["tool_calls"] = json::array();
    for (const ToolCall& call : message.tool_calls) {
      out["tool_calls"].push_back({{"id", call.id},
                                   {"type", "function"},
                                   {"function", {{"name", call.name}, {"arguments", call.arguments}}}});
    }
    return out;
  }
  static json delta_of(const ReplyEvent& event) {
    switch (event.kind) {
      case ReplyEvent::Kind::kReasoning:
        return {{"reasoning_content", event.text}};
      case ReplyEvent::Kind::kText:
        return {{"content", event.text}};
      case ReplyEvent::Kind::kToolStart:
        return {{"tool_calls", json::array({{{"index", event.call},
                                             {"id", event.id},
                                             {"type", "function"},
                                             {"function", {{"name", event.text}, {"arguments", ""}}}}})}};
      case ReplyEvent::Kind::kToolArguments:
        return {{"tool_calls",
                 json::array({{{"index", event.call}, {"function", {{"arguments", event.text}}}}})}};
      case ReplyEvent::Kind::kToolEnd:
        break;
    }
    return nullptr;
  }
  static const char* reason_of(const GenerationFinish& finish, std::size_t calls) {
    return finish.reason == FinishReason::kStop && calls > 0 ? "tool_calls" : finish_name(finish.reason);
  }
  static json object_of(const AnswerHead& head, const char* kind) {
    return {{"id", head.id},
            {"object", kind},
            {"created", head.created_unix_seconds},
            {"model", head.model},
            {"choices", json::array()}};
  }
  json chunk(const AnswerHead& head, int choice, json delta, json logprobs, json reason) const {
    json object = object_of(head, "chat.completion.chunk");
    object["choices"].push_back({{"index", choice},
                                 {"delta", std::move(delta)},
                                 {"logprobs", std::move(logprobs)},
                                 {"finish_reason", std::move(reason)}});
    if (usage_) object["usage"] = nullptr;
    return object;
  }
  json one(Token token, float logprob) const {
    const std::string_view bytes = tokenizer_.token_bytes(token, true);
    return {{"token", readable(bytes)}, {"logprob", finite(logprob)}, {"bytes", bytes_of(bytes)}};
  }
  json logprobs_of(const std::vector<TokenOutput>& tokens) const {
    json content = json::array();
    for (const TokenOutput& token : tokens) {
      json entry = one(token.token, token.logprob.value_or(0));
      entry["top_logprobs"] = json::array();
      for (const TokenLogprob& top : token.top) entry["top_logprobs"].push_back(one(top.token, top.logprob));
      content.push_back(std::move(entry));
    }
    return {{"content", std::move(content)}, {"refusal", nullptr}};
  }

  const Tokenizer& tokenizer_;
  bool logprobs_, usage_;
  std::map<int, std::size_t> calls_;  ///< of tools, by choice
};

void chat_completions(const Call& call) {
  ApiResult<Request> request = parse_chat_request(call.take_body());
  if (!request) return call.reply_error(request.error());
  answer(call, std::move(*request),
         [](const Request& given, const ServedModel& model) -> std::unique_ptr<Dialect> {
           return std::make_unique<ChatDialect>(given, *model.tokenizer);
         });
}

}  // namespace

Endpoint endpoint_api_chat_completions() {
  return {"POST", "/v1/chat/completions", Access::kUser, chat_completions};
}

}  // namespace deepwell
