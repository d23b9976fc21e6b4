// SPDX-License-Identifier: Apache-2.0
// Source: OpenAI API reference, "The response object", "Streaming events".
#include "server/app/responses_dialect.h"

#include <fmt/format.h>

#include "text/chat/assemble.h"

namespace deepwell {
namespace {
using nlohmann::json;
using Kind = ReplyEvent::Kind;

/// One item of the output while it grows.
struct Item {
  Kind kind;
  std::string id, text, call_id, name;  // text: of the content, or a call's arguments

  json object(const char* status) const {
    if (kind == Kind::kReasoning) {
      json content = json::array();
      if (!text.empty()) content.push_back({{"type", "reasoning_text"}, {"text", text}});
      return {{"id", id},
              {"type", "reasoning"},
              {"summary", json::array()},
              {"content", content},
              {"status", status}};
    }
    if (kind == Kind::kText) {
      json content = json::array();
      if (!text.empty()) content.push_back(part());
      return {
          {"id", id}, {"type", "message"}, {"role", "assistant"}, {"content", content}, {"status", status}};
    }
    return {{"id", id},     {"type", "function_call"}, {"call_id", call_id},
            {"name", name}, {"arguments", text},       {"status", status}};
  }
  json part() const {
    if (kind == Kind::kReasoning) return {{"type", "reasoning_text"}, {"text", text}};
    return {
        {"type", "output_text"}, {"text", text}, {"annotations", json::array()}, {"logprobs", json::array()}};
  }
};

class ResponsesDialect final : public Dialect {
 public:
  ResponsesDialect(const Call& call, ResponsesRequest request, std::vector<Message> conversation)
      : store_(call.service.responses),
        user_(call.user),
        request_(std::move(request)),
        conversation_(std::move(conversation)) {}

  const char* id_prefix() const override { return "resp_"; }

  json whole(const AnswerHead& head, const std::vector<Choice>& choices, const Usage& usage) override {
    const Choice& choice = choices.front();
    const Message& message = choice.message;
    if (message.reasoning && !message.reasoning->empty()) add(Kind::kReasoning).text = *message.reasoning;
    if (!message.content.empty()) add(Kind::kText).text = message.content;
    for (const ToolCall& call : message.tool_calls) {
      Item& item = add(Kind::kToolStart);
      item.call_id = call.id;
      item.name = call.name;
      item.text = call.arguments;
    }
    message_ = message;
    cut_ = choice.finish.reason == FinishReason::kLength;
    return finished(head, usage);
  }

  std::string opening(const AnswerHead& head, int /*choice*/) override {
    return event("response.created", {{"response", response(head, "in_progress")}}) +
           event("response.in_progress", {{"response", response(head, "in_progress")}});
  }

  std::string piece(const AnswerHead& /*head*/, int /*choice*/, const TextPiece& piece) override {
    std::string out;
    for (const ReplyEvent& part : piece.events) {
      append(message_, part);
      switch (part.kind) {
        case Kind::kReasoning:
        case Kind::kText:
          out += open(part.kind);
          items_.back().text += part.text;
          out +=
              event(part.kind == Kind::kText ? "response.output_text.delta" : "response.reasoning_text.delta",
                    in_part({{"delta", part.text}}));
          break;
        case Kind::kToolStart: {
          out += close("completed");
          Item& item = add(Kind::kToolStart);
          item.call_id = part.id;
          item.name = part.text;
          is_open_ = true;
          out += event("response.output_item.added",
                       {{"output_index", items_.size() - 1}, {"item", item.object("in_progress")}});
          break;
        }
        case Kind::kToolArguments:
          items_.back().text += part.text;
          out += event(
              "response.function_call_arguments.delta",
              {{"item_id", items_.back().id}, {"output_index", items_.size() - 1}, {"delta", part.text}});
          break;
        case Kind::kToolEnd:
          out += close("completed");
          break;
      }
    }
    return out;
  }

  std::string closing(const AnswerHead& /*head*/, int /*choice*/, const GenerationFinish& finish) override {
    cut_ = finish.reason == FinishReason::kLength;
    return close(cut_ ? "incomplete" : "completed");
  }
  std::string ending(const AnswerHead& head, const Usage& usage) override {
    const json object = finished(head, usage);
    return event(cut_ ? "response.incomplete" : "response.completed", {{"response", object}});
  }
  std::string failure(const AnswerHead& head, const ApiError& error) override {
    json object = response(head, "failed");
    object["error"] = {{"code", "server_error"}, {"message", error.message}};
    return event("response.failed", {{"response", std::move(object)}});
  }

 private:
  std::string event(const char* name, json data) {
    data["type"] = name;
    data["sequence_number"] = sequence_++;
    return http::sse_event(name, dump(data));
  }
  json in_part(json data) const {
    data["item_id"] = items_.back().id;
    data["output_index"] = items_.size() - 1;
    data["content_index"] = 0;
    if (items_.back().kind == Kind::kText && !data.contains("part")) data["logprobs"] = json::array();
    return data;
  }
  Item& add(Kind kind) {
    const char* prefix = kind == Kind::kReasoning ? "rs_" : kind == Kind::kText ? "msg_" : "fc_";
    items_.push_back({kind, prefix + random_id(), {}, {}, {}});
    return items_.back();
  }
  std::string open(Kind kind) {
    if (is_open_ && items_.back().kind == kind) return {};
    std::string out = close("completed");
    const Item& item = add(kind);
    is_open_ = true;
    out += event("response.output_item.added",
                 {{"output_index", items_.size() - 1}, {"item", item.object("in_progress")}});
    return out + event("response.content_part.added", in_part({{"part", item.part()}}));
  }
  std::string close(const char* status) {
    if (!is_open_) return {};
    is_open_ = false;
    const Item& item = items_.back();
    std::string out;
    if (item.kind == Kind::kToolStart) {
      out = event("response.function_call_arguments.done", {{"item_id", item.id},
                                                            {"output_index", items_.size() - 1},
                                                            {"name", item.name},
                                                            {"arguments", item.text}});
    } else {
      out = event(item.kind == Kind::kText ? "response.output_text.done" : "response.reasoning_text.done",
                  in_part({{"text", item.text}}));
      out += event("response.content_part.done", in_part({{"part", item.part()}}));
    }
    return out + event("response.output_item.done",
                       {{"output_index", items_.size() - 1}, {"item", item.object(status)}});
  }

  json response(const AnswerHead& head, const char* status) const {
    return response_object(request_, head, status);
  }

  json finished(const AnswerHead& head, const Usage& usage) {
    json object = response(head, cut_ ? "incomplete" : "completed");
    if (cut_) object["incomplete_details"] = {{"reason", "max_output_tokens"}};
    for (std::size_t i = 0; i < items_.size(); ++i) {
      const bool last = i + 1 == items_.size();
      object["output"].push_back(items_[i].object(cut_ && last ? "incomplete" : "completed"));
    }
    object["usage"] = {{"input_tokens", usage.prompt_tokens},
                       {"input_tokens_details", {{"cached_tokens", usage.cached_tokens}}},
                       {"output_tokens", usage.generated_tokens},
                       {"output_tokens_details", {{"reasoning_tokens", 0}}},
                       {"total_tokens", usage.prompt_tokens + usage.generated_tokens}};
    if (request_.store) {
      conversation_.push_back(message_);
      store_.put(head.id, {user_, dump(object), std::move(conversation_)});
    }
    return object;
  }

  ResponseStore& store_;
  const std::string user_;
  const ResponsesRequest request_;
  std::vector<Message> conversation_;
  std::vector<Item> items_;
  Message message_{"assistant", {}};
  bool is_open_ = false, cut_ = false;
  int sequence_ = 0;
};

}  // namespace

nlohmann::json response_object(const ResponsesRequest& request, const AnswerHead& head, const char* status) {
  const SamplingOptions& sampling = request.request.generation.sampling;
  const std::int64_t max_tokens = request.request.generation.max_tokens;
  const std::string& effort = request.request.chat.effort;
  return {{"id", head.id},
          {"object", "response"},
          {"created_at", head.created_unix_seconds},
          {"status", status},
          {"background", request.background},
          {"error", nullptr},
          {"incomplete_details", nullptr},
          {"instructions", request.instructions.empty() ? json(nullptr) : json(request.instructions)},
          {"max_output_tokens", max_tokens < 0 ? json(nullptr) : json(max_tokens)},
          {"metadata", json::parse(request.metadata)},
          {"model", head.model},
          {"output", json::array()},
          {"parallel_tool_calls", request.request.parallel_tools},
          {"previous_response_id", request.previous.empty() ? json(nullptr) : json(request.previous)},
          {"reasoning", {{"effort", effort.empty() ? json(nullptr) : json(effort)}, {"summary", nullptr}}},
          {"store", request.store},
          {"temperature", sampling.temperature},
          {"text", {{"format", json::parse(request.format)}}},
          {"tool_choice", json::parse(request.tool_choice)},
          {"tools", json::parse(request.tools)},
          {"top_p", sampling.top_p},
          {"truncation", "disabled"},
          {"usage", nullptr}};
}

std::unique_ptr<Dialect> make_responses_dialect(const Call& call, ResponsesRequest request,
                                                std::vector<Message> conversation) {
  return std::make_unique<ResponsesDialect>(call, std::move(request), std::move(conversation));
}

}  // namespace deepwell
