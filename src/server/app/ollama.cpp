// SPDX-License-Identifier: Apache-2.0
// Source: Ollama's docs, "API".
#include "server/app/ollama.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

namespace deepwell {
namespace {
using nlohmann::json;
using Kind = ReplyEvent::Kind;

std::int64_t nanoseconds(double seconds) { return static_cast<std::int64_t>(seconds * 1e9); }

class OllamaDialect final : public Dialect {
 public:
  explicit OllamaDialect(bool chat) : chat_(chat) {}
  const char* id_prefix() const override { return ""; }

  json whole(const AnswerHead& head, const std::vector<Choice>& choices, const Usage& usage) override {
    const Choice& choice = choices.front();
    json calls = json::array();
    for (const ToolCall& call : choice.message.tool_calls)
      calls.push_back(call_of(call.name, call.arguments));
    finish_ = choice.finish;
    return last(part(head, choice.message.content, choice.message.reasoning.value_or(""), std::move(calls)),
                usage);
  }
  std::string opening(const AnswerHead& /*head*/, int /*choice*/) override { return {}; }
  std::string piece(const AnswerHead& head, int /*choice*/, const TextPiece& piece) override {
    std::string out;
    for (const ReplyEvent& event : piece.events) {
      switch (event.kind) {
        case Kind::kReasoning:
          out += line(part(head, "", event.text, json::array()));
          break;
        case Kind::kText:
          out += line(part(head, event.text, "", json::array()));
          break;
        case Kind::kToolStart:
          name_ = event.text;
          arguments_.clear();
          break;
        case Kind::kToolArguments:
          arguments_ += event.text;
          break;
        case Kind::kToolEnd:  // calls come whole
          out += line(part(head, "", "", json::array({call_of(name_, arguments_)})));
          break;
      }
    }
    return out;
  }
  std::string closing(const AnswerHead& /*head*/, int /*choice*/, const GenerationFinish& finish) override {
    finish_ = finish;
    return {};
  }
  std::string ending(const AnswerHead& head, const Usage& usage) override {
    return line(last(part(head, "", "", json::array()), usage));
  }
  std::string failure(const AnswerHead& /*head*/, const ApiError& error) override {
    return ollama_error(error) + "\n";
  }

 private:
  static std::string line(const json& value) { return dump(value) + "\n"; }
  static json call_of(const std::string& name, const std::string& arguments) {
    json input = json::parse(arguments, nullptr, false);
    if (!input.is_object()) input = json::object();
    return {{"function", {{"name", name}, {"arguments", std::move(input)}}}};
  }
  json part(const AnswerHead& head, const std::string& text, const std::string& thinking, json calls) const {
    json object = {{"model", head.model}, {"created_at", rfc3339_now()}, {"done", false}};
    if (!chat_) {
      object["response"] = text;
      if (!thinking.empty()) object["thinking"] = thinking;
      return object;
    }
    object["message"] = {{"role", "assistant"}, {"content", text}};
    if (!thinking.empty()) object["message"]["thinking"] = thinking;
    if (!calls.empty()) object["message"]["tool_calls"] = std::move(calls);
    return object;
  }
  json last(json object, const Usage& usage) const {
    object["done"] = true;
    object["done_reason"] = finish_.reason == FinishReason::kLength ? "length" : "stop";
    object["total_duration"] =
        nanoseconds(finish_.queue_seconds + finish_.prefill_seconds + finish_.decode_seconds);
    object["load_duration"] = nanoseconds(finish_.queue_seconds);
    object["prompt_eval_count"] = usage.prompt_tokens;
    object["prompt_eval_duration"] = nanoseconds(finish_.prefill_seconds);
    object["eval_count"] = usage.generated_tokens;
    object["eval_duration"] = nanoseconds(finish_.decode_seconds);
    return object;
  }

  bool chat_;
  GenerationFinish finish_;
  std::string name_, arguments_;
};

}  // namespace

std::string rfc3339(std::chrono::system_clock::time_point when) {
  const auto since = when.time_since_epoch();
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since);
  const auto rest = std::chrono::duration_cast<std::chrono::nanoseconds>(since - seconds);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:09}Z", fmt::gmtime(static_cast<std::time_t>(seconds.count())),
                     rest.count());
}

std::string rfc3339_now() { return rfc3339(std::chrono::system_clock::now()); }

std::string ollama_error(const ApiError& error) { return dump({{"error", error.message}}); }

std::unique_ptr<Dialect> make_ollama_dialect(bool chat) { return std::make_unique<OllamaDialect>(chat); }

void reply_ollama_loaded(const Call& call, const Request& request, bool chat) {
  json object = {{"model", request.model}, {"created_at", rfc3339_now()}, {"done", true}};
  if (chat) {
    object["message"] = {{"role", "assistant"}, {"content", ""}};
  } else {
    object["response"] = "";
  }
  if (request.idle_seconds == 0.0) {  // not to be loaded first
    const Result<bool> unloaded = call.service.models.unload(request.model);
    if (!unloaded) return call.reply_error(to_api_error(unloaded.error()));
    object["done_reason"] = "unload";
    return call.reply_json(dump(object));
  }
  object["done_reason"] = "load";
  with_model(call, {request.model, "", request.idle_seconds},
             [call, object = std::move(object)](const ModelUse&) { call.reply_json(dump(object)); });
}

json ollama_model(const ModelState& model) {
  const EngineInfo& info = model.info;
  return {{"name", model.id},
          {"model", model.id},
          {"modified_at",
           rfc3339(std::chrono::system_clock::time_point(std::chrono::seconds(model.created_unix_seconds)))},
          {"size", info.weight_bytes},
          {"digest", ""},
          {"details",
           {{"parent_model", ""},
            {"format", "gguf"},
            {"family", info.architecture},
            {"families", json::array({info.architecture})},
            {"parameter_size", fmt::format("{:.1f}B", static_cast<double>(info.parameters) / 1e9)},
            {"quantization_level", info.weight_types}}}};
}

}  // namespace deepwell
