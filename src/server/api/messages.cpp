// SPDX-License-Identifier: Apache-2.0
// POST /v1/messages. Source: Anthropic API reference, "Create a Message", "Streaming messages".
#include "server/app/answer.h"
#include "server/app/anthropic.h"

namespace deepwell {
namespace {
using nlohmann::json;
using Kind = ReplyEvent::Kind;

class MessagesDialect final : public Dialect {
 public:
  const char* id_prefix() const override { return "msg_"; }

  json whole(const AnswerHead& head, const std::vector<Choice>& choices, const Usage& usage) override {
    const Choice& choice = choices.front();
    json object = message_of(head);
    if (choice.message.reasoning && !choice.message.reasoning->empty())
      object["content"].push_back(
          {{"type", "thinking"}, {"thinking", *choice.message.reasoning}, {"signature", ""}});
    if (!choice.message.content.empty())
      object["content"].push_back({{"type", "text"}, {"text", choice.message.content}});
    for (const ToolCall& call : choice.message.tool_calls) {
      json input = json::parse(call.arguments, nullptr, false);
      if (!input.is_object()) input = json::object();  // cut off in the middle
      object["content"].push_back(
          {{"type", "tool_use"}, {"id", call.id}, {"name", call.name}, {"input", std::move(input)}});
    }
    calls_ = choice.message.tool_calls.size();
    take(choice.finish);
    object["stop_reason"] = stop_reason_;
    object["stop_sequence"] = stop_sequence_;
    object["usage"] = usage_of(usage);
    return object;
  }

  std::string opening(const AnswerHead& head, int /*choice*/) override {
    json message = message_of(head);
    message["stop_reason"] = nullptr;
    message["stop_sequence"] = nullptr;
    message["usage"] = usage_of({head.prompt_tokens, 0, 0});
    return event("message_start", {{"message", std::move(message)}});
  }

  std::string piece(const AnswerHead& /*head*/, int /*choice*/, const TextPiece& piece) override {
    std::string out;
    for (const ReplyEvent& part : piece.events) {
      switch (part.kind) {
        case Kind::kReasoning:
          out += open(Kind::kReasoning, {{"type", "thinking"}, {"thinking", ""}, {"signature", ""}});
          out += delta({{"type", "thinking_delta"}, {"thinking", part.text}});
          break;
        case Kind::kText:
          out += open(Kind::kText, {{"type", "text"}, {"text", ""}});
          out += delta({{"type", "text_delta"}, {"text", part.text}});
          break;
        case Kind::kToolStart:
          ++calls_;
          out += close();
          out +=
              open(Kind::kToolStart,
                   {{"type", "tool_use"}, {"id", part.id}, {"name", part.text}, {"input", json::object()}});
          break;
        case Kind::kToolArguments:
          out += delta({{"type", "input_json_delta"}, {"partial_json", part.text}});
          break;
        case Kind::kToolEnd:
          out += close();
          break;
      }
    }
    return out;
  }

  std::string closing(const AnswerHead& /*head*/, int /*choice*/, const GenerationFinish& finish) override {
    take(finish);
    return close();
  }
  std::string ending(const AnswerHead& /*head*/, const Usage& usage) override {
    return event("message_delta",
                 {{"delta", {{"stop_reason", stop_reason_}, {"stop_sequence", stop_sequence_}}},
                  {"usage", usage_of(usage)}}) +
           event("message_stop", json::object());
  }
  std::string failure(const AnswerHead& /*head*/, const ApiError& error) override {
    return http::sse_event("error", anthropic_error(error));
  }

 private:
  static std::string event(const char* name, json data) {
    data["type"] = name;
    return http::sse_event(name, dump(data));
  }
  static json message_of(const AnswerHead& head) {
    return {{"id", head.id},
            {"type", "message"},
            {"role", "assistant"},
            {"model", head.model},
            {"content", json::array()}};
  }
  static json usage_of(const Usage& usage) {
    return {{"input_tokens", usage.prompt_tokens - usage.cached_tokens},
            {"cache_read_input_tokens", usage.cached_tokens},
            {"cache_creation_input_tokens", 0},
            {"output_tokens", usage.generated_tokens}};
  }
  void take(const GenerationFinish& finish) {
    stop_reason_ = finish.reason == FinishReason::kLength ? "max_tokens"
                   : !finish.stop.empty()                 ? "stop_sequence"
                   : calls_ > 0                           ? "tool_use"
                                                          : "end_turn";
    if (!finish.stop.empty()) stop_sequence_ = finish.stop;
  }
  std::string open(Kind kind, const json& block) {
    if (open_ == kind) return {};
    std::string out = close();
    open_ = kind;
    return out + event("content_block_start", {{"index", index_}, {"content_block", block}});
  }
  std::string delta(json change) {
    if (!open_) return {};
    return event("content_block_delta", {{"index", index_}, {"delta", std::move(change)}});
  }
  std::string close() {
    if (!open_) return {};
    std::string out;
    if (open_ == Kind::kReasoning) out = delta({{"type", "signature_delta"}, {"signature", ""}});
    open_.reset();
    return out + event("content_block_stop", {{"index", index_++}});
  }

  std::optional<Kind> open_;
  int index_ = 0;
  std::size_t calls_ = 0;
  const char* stop_reason_ = "end_turn";
  json stop_sequence_ = nullptr;
};

void messages(const Call& call) {
  ApiResult<Request> request = parse_messages_request(call.take_body());
  if (!request) return call.reply_error(request.error());
  answer(call, std::move(*request), [](const Request&, const ServedModel&) -> std::unique_ptr<Dialect> {
    return std::make_unique<MessagesDialect>();
  });
}

}  // namespace

Endpoint endpoint_api_messages() {
  return {"POST", "/v1/messages", Access::kUser, messages, anthropic_error};
}

}  // namespace deepwell
