// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "server/request/json_reader.h"
#include "server/request/request.h"
#include "server/request/sampling_fields.h"

namespace deepwell {
namespace {
using json = Json;

constexpr const char* kNoTools = "tool calls come with a later version; remove it";

/// A string, or a list of {"type": "text", "text": ...} joined as it stands.
void read_content(JsonReader& reader, std::string& out) {
  const json* content = reader.any("content");
  if (content == nullptr) return;
  if (content->is_string()) {
    out = content->get<std::string>();
    return;
  }
  if (!content->is_array()) {
    return reader.fail("content",
                       fmt::format("'{}content' must be a string or a list of parts", reader.where()));
  }
  for (std::size_t i = 0; i < content->size(); ++i) {
    const json& part = (*content)[i];
    const std::string where = fmt::format("{}content[{}].", reader.where(), i);
    if (!part.is_object())
      return reader.fail(fmt::format("content[{}]", i), "a part of 'content' must be an object");
    JsonReader inner(part, where);
    const std::string type = inner.text("type").value_or("");
    if (inner.ok() && type != "text") {
      inner.fail("type", fmt::format("'{}type' is '{}'; only \"text\" is supported", where, type));
    }
    const auto text = inner.text("text");
    if (inner.ok() && !text) inner.fail("text", fmt::format("'{}text' is missing", where));
    inner.harmless("cache_control");
    inner.finish();
    if (!inner.ok()) return reader.fail(inner.error());
    out += *text;
  }
}

void read_message(JsonReader& reader, const json& value, std::size_t index, ChatPrompt& chat) {
  const std::string at = fmt::format("messages[{}]", index);
  if (!value.is_object()) return reader.fail(at, fmt::format("'{}' must be an object", at));
  JsonReader inner(value, at + ".");
  Message message;
  const auto role = inner.text("role");
  if (inner.ok() && !role) inner.fail("role", fmt::format("'{}.role' is missing", at));
  if (role) {
    message.role = *role == "developer" ? "system" : *role;  // the newer name of the same thing
    if (*role == "tool" || *role == "function") {
      inner.fail("role", fmt::format("'{}.role': {}", at, kNoTools));
    } else if (message.role != "system" && *role != "user" && *role != "assistant") {
      inner.fail("role", fmt::format("'{}.role' must be system, developer, user or assistant", at));
    }
  }
  inner.unsupported("tool_calls", kNoTools);
  inner.unsupported("function_call", kNoTools);
  inner.unsupported("prefix", "completing a started answer comes with a later version");
  inner.unsupported("audio", "only text is supported");
  inner.unsupported("refusal", "only text is supported");
  inner.harmless("annotations");
  read_content(inner, message.content);
  if (inner.ok() && message.role != "assistant" && value.find("content") == value.end()) {
    inner.fail("content", fmt::format("'{}.content' is missing", at));
  }
  message.name = inner.text("name");
  message.reasoning = inner.text("reasoning_content");
  if (const auto other = inner.text("reasoning"); other && !message.reasoning) message.reasoning = other;
  inner.finish();
  if (!inner.ok()) return reader.fail(inner.error());
  chat.messages.push_back(std::move(message));
}

void read_response_format(JsonReader& reader) {
  const json* format = reader.object("response_format");
  if (format == nullptr) return;
  JsonReader inner(*format, "response_format.");
  const std::string type = inner.text("type").value_or("");
  if (inner.ok() && type != "text") {
    ApiError error = invalid_field(
        "response_format.type",
        fmt::format(
            "'response_format.type' is '{}'; only \"text\" is supported yet, because output cannot be forced "
            "into a schema",
            type));
    error.code = "unsupported_parameter";
    inner.fail(std::move(error));
  }
  inner.finish();
  if (!inner.ok()) reader.fail(inner.error());
}

void read_tools(JsonReader& reader) {
  reader.unsupported("tools", kNoTools);
  reader.unsupported("functions", kNoTools);
  reader.unsupported("function_call", kNoTools);
  reader.harmless("parallel_tool_calls");  // says how to call tools; there are none
  const json* choice = reader.any("tool_choice");
  if (choice != nullptr && *choice != "none" && *choice != "auto")
    reader.unsupported("tool_choice", kNoTools);
}

}  // namespace

ApiResult<Request> parse_chat_request(std::string_view body) {
  ApiResult<json> parsed = parse_body(body);
  if (!parsed) return parsed.error();
  JsonReader reader(*parsed, "");
  Request request;
  request.is_chat = true;
  read_common_fields(reader, request);
  read_tools(reader);
  read_response_format(reader);

  const json* messages = reader.array("messages");
  if (reader.ok() && (messages == nullptr || messages->empty())) {
    reader.fail("messages", "'messages' must be a list of at least one message");
  }
  for (std::size_t i = 0; reader.ok() && i < messages->size(); ++i) {
    read_message(reader, (*messages)[i], i, request.chat);
  }
  if (const json* arguments = reader.object("chat_template_kwargs"); arguments != nullptr) {
    request.chat.template_arguments = arguments->dump();
  }
  request.chat.add_generation_prompt = reader.flag("add_generation_prompt").value_or(true);

  // The newer name wins; both at once with different numbers is a mistake worth telling.
  const auto older = reader.integer("max_tokens", 1, INT64_MAX);
  const auto newer = reader.integer("max_completion_tokens", 1, INT64_MAX);
  if (older && newer && *older != *newer) {
    reader.fail("max_tokens", "'max_tokens' and 'max_completion_tokens' differ; send one of them");
  }
  request.generation.max_tokens = newer ? *newer : older.value_or(-1);

  const bool logprobs = reader.flag("logprobs").value_or(false);
  const auto top = reader.integer("top_logprobs", 0, 20);
  if (top && *top > 0 && !logprobs) reader.fail("top_logprobs", "'top_logprobs' needs \"logprobs\": true");
  if (logprobs) request.generation.sampling.logprobs = static_cast<int>(top.value_or(0));

  if (const json* modalities = reader.array("modalities");
      modalities != nullptr && *modalities != json::array({"text"})) {
    reader.fail("modalities", "'modalities' can only be [\"text\"]");
  }
  reader.unsupported("audio", "only text is supported");
  reader.unsupported("prediction", "predicted outputs are not used");
  reader.unsupported("web_search_options", "this server does not search the web");
  reader.unsupported("reasoning_effort", "pass what the model's template reads in 'chat_template_kwargs'");
  reader.unsupported("verbosity", "say it in the prompt");
  reader.finish();
  if (!reader.ok()) return reader.error();
  return request;
}

}  // namespace deepwell
