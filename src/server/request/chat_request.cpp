// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "server/request/allowed_tools.h"
#include "server/request/json_reader.h"
#include "server/request/request.h"
#include "server/request/sampling_fields.h"

namespace deepwell {
namespace {
using json = Json;

constexpr const char* kOldTools = "use 'tools', 'tool_choice' and 'tool_calls' instead";

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

void read_tool_calls(JsonReader& reader, Message& message) {
  const json* calls = reader.array("tool_calls");
  if (calls == nullptr) return;
  for (std::size_t i = 0; reader.ok() && i < calls->size(); ++i) {
    const std::string at = fmt::format("{}tool_calls[{}].", reader.where(), i);
    if (!(*calls)[i].is_object()) return reader.fail("tool_calls", fmt::format("'{}' must be an object", at));
    JsonReader inner((*calls)[i], at);
    ToolCall call;
    call.id = inner.text("id").value_or("");
    if (inner.text("type").value_or("function") != "function")
      inner.fail("type", fmt::format("'{}type' can only be \"function\"", at));
    inner.harmless("index");
    const json* function = inner.object("function");
    if (inner.ok() && function == nullptr) inner.fail("function", fmt::format("'{}function' is missing", at));
    inner.finish();
    if (!inner.ok()) return reader.fail(inner.error());
    JsonReader named(*function, at + "function.");
    call.name = named.text("name").value_or("");
    if (named.ok() && call.name.empty()) named.fail("name", fmt::format("'{}function.name' is missing", at));
    // Text as OpenAI has it; an object, as templates and some clients do, is as good.
    const json* arguments = named.any("arguments");
    if (arguments != nullptr)
      call.arguments = arguments->is_string() ? arguments->get<std::string>() : arguments->dump();
    named.finish();
    if (!named.ok()) return reader.fail(named.error());
    message.tool_calls.push_back(std::move(call));
  }
}

void read_message(JsonReader& reader, const json& value, std::size_t index, Conversation& chat) {
  const std::string at = fmt::format("messages[{}]", index);
  if (!value.is_object()) return reader.fail(at, fmt::format("'{}' must be an object", at));
  JsonReader inner(value, at + ".");
  Message message;
  const auto role = inner.text("role");
  if (inner.ok() && !role) inner.fail("role", fmt::format("'{}.role' is missing", at));
  if (role) {
    message.role = *role == "developer" ? "system" : *role;  // the newer name of the same thing
    if (message.role != "system" && *role != "user" && *role != "assistant" && *role != "tool" &&
        *role != "latest_reminder") {
      inner.fail("role", fmt::format("'{}.role' must be system, developer, user, assistant or tool", at));
    }
  }
  if (message.role == "assistant") {
    read_tool_calls(inner, message);
  } else {
    inner.unsupported("tool_calls", "only an assistant calls tools");
  }
  inner.unsupported("function_call", kOldTools);
  inner.unsupported("audio", "only text is supported");
  inner.unsupported("refusal", "only text is supported");
  inner.harmless("annotations");
  message.tool_call_id = inner.text("tool_call_id").value_or("");
  message.is_prefix = inner.flag("prefix").value_or(false);
  read_content(inner, message.content);
  if (inner.ok() && message.role != "assistant" && value.find("content") == value.end()) {
    inner.fail("content", fmt::format("'{}.content' is missing", at));
  }
  if (inner.ok() && message.is_prefix && message.role != "assistant")
    inner.fail("prefix", fmt::format("'{}.prefix': only an assistant's answer can be continued", at));
  message.name = inner.text("name");
  message.reasoning = inner.text("reasoning_content");
  if (const auto other = inner.text("reasoning"); other && !message.reasoning) message.reasoning = other;
  inner.finish();
  if (!inner.ok()) return reader.fail(inner.error());
  chat.messages.push_back(std::move(message));
}

void read_tools(JsonReader& reader, Conversation& chat) {
  reader.unsupported("functions", kOldTools);
  reader.unsupported("function_call", kOldTools);
  const json* tools = reader.array("tools");
  for (std::size_t i = 0; reader.ok() && tools != nullptr && i < tools->size(); ++i) {
    const std::string at = fmt::format("tools[{}]", i);
    if (!(*tools)[i].is_object()) return reader.fail(at, fmt::format("'{}' must be an object", at));
    JsonReader inner((*tools)[i], at + ".");
    if (inner.text("type").value_or("") != "function" && inner.ok())
      inner.fail("type", fmt::format("'{}.type' can only be \"function\"", at));
    const json* function = inner.object("function");
    if (inner.ok() && function == nullptr)
      inner.fail("function", fmt::format("'{}.function' is missing", at));
    inner.finish();
    if (!inner.ok()) return reader.fail(inner.error());
    JsonReader named(*function, at + ".function.");
    const std::string name = named.text("name").value_or("");
    if (named.ok() && name.empty()) named.fail("name", fmt::format("'{}.function.name' is missing", at));
    named.text("description");
    named.object("parameters");
    if (!named.ok()) return reader.fail(named.error());
    chat.tools.push_back({name, function->dump()});
  }
}

void read_tool_choice(JsonReader& reader, Conversation& chat) {
  const json* choice = reader.any("tool_choice");
  if (choice == nullptr || read_allowed_tools(reader, *choice, /*flat=*/false, chat)) return;
  if (*choice == "none") chat.tool_choice.kind = ToolChoice::Kind::kNone;
  if (*choice == "required") chat.tool_choice.kind = ToolChoice::Kind::kRequired;
  if (choice->is_object()) {
    chat.tool_choice = {ToolChoice::Kind::kNamed, ""};
    const auto function = choice->find("function");
    if (function != choice->end() && function->is_object() && function->contains("name") &&
        (*function)["name"].is_string()) {
      chat.tool_choice.name = (*function)["name"].get<std::string>();
    }
  } else if (*choice != "none" && *choice != "required" && *choice != "auto") {
    return reader.fail("tool_choice", "'tool_choice' must be none, auto, required or name a function");
  }
  using Kind = ToolChoice::Kind;
  const bool must = chat.tool_choice.kind == Kind::kRequired || chat.tool_choice.kind == Kind::kNamed;
  if (must && chat.tools.empty())
    reader.fail("tool_choice", "'tool_choice' asks for a call, but there are no 'tools'");
  if (chat.tool_choice.kind != Kind::kNamed) return;
  for (const Tool& tool : chat.tools) {
    if (tool.name == chat.tool_choice.name) return;
  }
  reader.fail("tool_choice",
              fmt::format("'tool_choice' names '{}', which is not among 'tools'", chat.tool_choice.name));
}

/// DeepSeek's and OpenAI's switches, and those that templates read.
void read_thinking(JsonReader& reader, Request& request) {
  Conversation& chat = request.chat;
  for (const char* name : {"reasoning_budget", "thinking_budget", "thinking_token_budget"}) {
    if (const auto budget = reader.integer(name, -1, INT64_MAX)) request.thinking_tokens_max = *budget;
  }
  if (const json* arguments = reader.object("chat_template_kwargs"); arguments != nullptr) {
    chat.template_arguments = arguments->dump();
    for (const char* name : {"enable_thinking", "thinking"}) {
      const auto found = arguments->find(name);
      if (found != arguments->end() && found->is_boolean()) chat.thinking = found->get<bool>();
    }
    const auto effort = arguments->find("reasoning_effort");
    if (effort != arguments->end() && effort->is_string()) chat.effort = effort->get<std::string>();
  }
  if (const auto on = reader.flag("enable_thinking")) chat.thinking = on;
  if (const auto effort = reader.text("reasoning_effort")) {
    bool known = false;
    for (const char* name : {"none", "minimal", "low", "medium", "high", "xhigh", "max"})
      known = known || *effort == name;
    if (!known) {
      reader.fail("reasoning_effort",
                  "'reasoning_effort' must be none, minimal, low, medium, high, xhigh or max");
    }
    if (*effort != "none") chat.effort = *effort;
    if (!chat.thinking) chat.thinking = *effort != "none";
  }
  const json* thinking = reader.object("thinking");
  if (thinking == nullptr) return;
  JsonReader inner(*thinking, "thinking.");
  const std::string type = inner.text("type").value_or("");
  if (const auto budget = inner.integer("budget_tokens", 1, INT64_MAX)) request.thinking_tokens_max = *budget;
  if (inner.ok() && type != "enabled" && type != "disabled" && type != "adaptive")
    inner.fail("type", "'thinking.type' must be enabled or disabled");
  inner.finish();
  if (!inner.ok()) return reader.fail(inner.error());
  if (type != "adaptive") chat.thinking = type == "enabled";
}

}  // namespace

ApiResult<Request> parse_chat_request(std::string_view body) {
  ApiResult<json> parsed = parse_body(body);
  if (!parsed) return parsed.error();
  JsonReader reader(*parsed, "");
  Request request;
  request.is_chat = true;
  read_common_fields(reader, request);
  read_tools(reader, request.chat);
  read_tool_choice(reader, request.chat);
  read_thinking(reader, request);
  request.parallel_tools = reader.flag("parallel_tool_calls").value_or(true);

  const json* messages = reader.array("messages");
  if (reader.ok() && (messages == nullptr || messages->empty())) {
    reader.fail("messages", "'messages' must be a list of at least one message");
  }
  for (std::size_t i = 0; reader.ok() && i < messages->size(); ++i) {
    read_message(reader, (*messages)[i], i, request.chat);
  }
  for (std::size_t i = 0; reader.ok() && i + 1 < request.chat.messages.size(); ++i) {
    if (request.chat.messages[i].is_prefix) {
      const std::string field = fmt::format("messages[{}].prefix", i);
      reader.fail(field, fmt::format("'{}': only the last message can be continued", field));
    }
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
  reader.unsupported("verbosity", "say it in the prompt");
  reader.finish();
  if (!reader.ok()) return reader.error();
  return request;
}

}  // namespace deepwell
