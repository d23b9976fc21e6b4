// SPDX-License-Identifier: Apache-2.0
// Anthropic's Messages API becomes a Request. Results of tools stand in user turns there, and are turns of
// their own here; a last turn of the assistant is a started answer that the reply goes on with.
#include <fmt/format.h>

#include "server/request/format_fields.h"
#include "server/request/json_reader.h"
#include "server/request/request.h"

namespace deepwell {
namespace {
using json = Json;

std::string text_of(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

/// A text, or a list of text blocks.
std::string read_text(JsonReader& reader, const char* name) {
  const json* value = reader.any(name);
  if (value == nullptr) return {};
  if (value->is_string()) return value->get<std::string>();
  std::string out;
  if (!value->is_array()) {
    reader.fail(name, fmt::format("'{}{}' must be a string or a list of text blocks", reader.where(), name));
    return out;
  }
  for (std::size_t i = 0; reader.ok() && i < value->size(); ++i) {
    const std::string at = fmt::format("{}{}[{}].", reader.where(), name, i);
    if (!(*value)[i].is_object()) {
      reader.fail(name, fmt::format("'{}{}[{}]' must be an object", reader.where(), name, i));
      return out;
    }
    JsonReader block((*value)[i], at);
    if (block.text("type").value_or("") != "text" && block.ok())
      block.fail("type", fmt::format("'{}type' can only be \"text\"", at));
    const std::string text = block.text("text").value_or("");
    block.harmless("cache_control");
    block.unsupported("citations", "texts are not cited");
    block.finish();
    if (!block.ok()) reader.fail(block.error());
    // A client's note about itself, new in every request: it would keep any prompt from being found again.
    if (text.starts_with("x-anthropic-billing-header:")) continue;
    out += (out.empty() ? "" : "\n") + text;
  }
  return out;
}

/// One block of a turn; results of tools go to `chat` at once, before the turn's own text.
void read_block(JsonReader& block, const std::string& role, Message& message, Conversation& chat) {
  const std::string type = block.text("type").value_or("");
  block.harmless("cache_control");
  if (type == "text") {
    message.content += block.text("text").value_or("");
    block.unsupported("citations", "texts are not cited");
  } else if (type == "thinking" && role == "assistant") {
    message.reasoning = message.reasoning.value_or("") + block.text("thinking").value_or("");
    block.harmless("signature");
  } else if (type == "redacted_thinking" && role == "assistant") {
    block.harmless("data");  // nobody here can read it
  } else if (type == "tool_use" && role == "assistant") {
    ToolCall call{block.text("id").value_or(""), block.text("name").value_or(""), "{}"};
    if (const json* input = block.object("input")) call.arguments = text_of(*input);
    block.harmless("caller");
    if (block.ok() && call.name.empty())
      block.fail("name", fmt::format("'{}name' is missing", block.where()));
    message.tool_calls.push_back(std::move(call));
  } else if (type == "tool_result" && role == "user") {
    Message result{"tool", {}};
    result.tool_call_id = block.text("tool_use_id").value_or("");
    const bool failed = block.flag("is_error").value_or(false);
    result.content = (failed ? "Error: " : "") + read_text(block, "content");
    chat.messages.push_back(std::move(result));
  } else if (block.ok()) {
    ApiError error = invalid_field(block.where() + "type",
                                   fmt::format("'{}type' is '{}', which a turn of '{}' cannot have here",
                                               block.where(), type.substr(0, 100), role));
    error.code = "unsupported_parameter";
    block.fail(std::move(error));
  }
  block.finish();
}

void read_message(JsonReader& reader, const json& value, std::size_t index, Conversation& chat) {
  const std::string at = fmt::format("messages[{}]", index);
  if (!value.is_object()) return reader.fail(at, fmt::format("'{}' must be an object", at));
  JsonReader inner(value, at + ".");
  Message message;
  message.role = inner.text("role").value_or("");
  if (inner.ok() && message.role != "user" && message.role != "assistant" && message.role != "system")
    inner.fail("role", fmt::format("'{}.role' must be user or assistant", at));
  const json* content = inner.any("content");
  if (inner.ok() && (content == nullptr || !(content->is_string() || content->is_array())))
    inner.fail("content", fmt::format("'{}.content' must be a string or a list of blocks", at));
  const std::size_t before = chat.messages.size();
  if (inner.ok() && content->is_string()) message.content = content->get<std::string>();
  for (std::size_t i = 0; inner.ok() && content->is_array() && i < content->size(); ++i) {
    if (!(*content)[i].is_object()) {
      inner.fail("content", fmt::format("'{}.content[{}]' must be an object", at, i));
      break;
    }
    JsonReader block((*content)[i], fmt::format("{}.content[{}].", at, i));
    read_block(block, message.role, message, chat);
    if (!block.ok()) inner.fail(block.error());
  }
  inner.finish();
  if (!inner.ok()) return reader.fail(inner.error());
  const bool only_results = chat.messages.size() > before && message.content.empty();
  if (!only_results) chat.messages.push_back(std::move(message));
}

void read_tools(JsonReader& reader, Conversation& chat) {
  const json* tools = reader.array("tools");
  for (std::size_t i = 0; reader.ok() && tools != nullptr && i < tools->size(); ++i) {
    const std::string at = fmt::format("tools[{}].", i);
    if (!(*tools)[i].is_object())
      return reader.fail("tools", fmt::format("'tools[{}]' must be an object", i));
    JsonReader inner((*tools)[i], at);
    if (inner.text("type").value_or("custom") != "custom" && inner.ok())
      inner.fail("type",
                 fmt::format("'{}type': tools that the server would have to run are not supported", at));
    const std::string name = inner.text("name").value_or("");
    if (inner.ok() && name.empty()) inner.fail("name", fmt::format("'{}name' is missing", at));
    json definition = {{"name", name}};
    if (const auto description = inner.text("description")) definition["description"] = *description;
    if (const json* schema = inner.object("input_schema")) definition["parameters"] = *schema;
    if (inner.flag("strict").value_or(false)) definition["strict"] = true;
    for (const char* field :
         {"cache_control", "input_examples", "eager_input_streaming", "defer_loading", "allowed_callers"})
      inner.harmless(field);
    inner.finish();
    if (!inner.ok()) return reader.fail(inner.error());
    chat.tools.push_back({name, text_of(definition)});
  }
}

void read_tool_choice(JsonReader& reader, Request& request) {
  const json* choice = reader.object("tool_choice");
  if (choice == nullptr) return;
  JsonReader inner(*choice, "tool_choice.");
  const std::string type = inner.text("type").value_or("");
  using Kind = ToolChoice::Kind;
  ToolChoice& out = request.chat.tool_choice;
  if (type == "any") out.kind = Kind::kRequired;
  if (type == "none") out.kind = Kind::kNone;
  if (type == "tool") out = {Kind::kNamed, inner.text("name").value_or("")};
  if (inner.ok() && type != "any" && type != "none" && type != "tool" && type != "auto")
    inner.fail("type", "'tool_choice.type' must be auto, any, tool or none");
  request.parallel_tools = !inner.flag("disable_parallel_tool_use").value_or(false);
  bool known = out.kind != Kind::kNamed;
  for (const Tool& tool : request.chat.tools) known = known || tool.name == out.name;
  if (inner.ok() && (!known || (out.kind == Kind::kRequired && request.chat.tools.empty())))
    inner.fail("type", "'tool_choice' asks for a tool that is not among 'tools'");
  inner.finish();
  if (!inner.ok()) reader.fail(inner.error());
}

void read_thinking(JsonReader& reader, Request& request) {
  if (const json* thinking = reader.object("thinking")) {
    JsonReader inner(*thinking, "thinking.");
    const std::string type = inner.text("type").value_or("");
    if (inner.ok() && type != "enabled" && type != "disabled" && type != "adaptive")
      inner.fail("type", "'thinking.type' must be enabled, disabled or adaptive");
    if (type != "adaptive") request.chat.thinking = type == "enabled";
    if (const auto budget = inner.integer("budget_tokens", 1, INT64_MAX))
      request.thinking_tokens_max = *budget;
    inner.harmless("display");
    inner.finish();
    if (!inner.ok()) reader.fail(inner.error());
  }
  if (const json* output = reader.object("output_config")) {
    JsonReader inner(*output, "output_config.");
    request.chat.effort = inner.text("effort").value_or("");
    if (const json* format = inner.object("format"))
      read_format_object(inner, *format, "output_config.format", /*flat=*/true, request);
    inner.finish();
    if (!inner.ok()) reader.fail(inner.error());
  }
}

}  // namespace

ApiResult<Request> parse_messages_request(std::string_view body, bool counting) {
  ApiResult<json> parsed = parse_body(body);
  if (!parsed) return parsed.error();
  JsonReader reader(*parsed, "");
  Request request;
  request.is_chat = true;
  request.model = reader.text("model").value_or("");
  request.stream = reader.flag("stream").value_or(false);
  const auto tokens = reader.integer("max_tokens", 1, INT64_MAX);
  if (reader.ok() && !tokens && !counting) reader.fail("max_tokens", "'max_tokens' is missing");
  request.generation.max_tokens = tokens.value_or(-1);
  SamplingOptions& sampling = request.generation.sampling;
  if (const auto value = reader.number("temperature", 0, 2))
    sampling.temperature = static_cast<float>(*value);
  if (const auto value = reader.number("top_p", 0, 1, /*open_min=*/true))
    sampling.top_p = static_cast<float>(*value);
  if (const auto value = reader.integer("top_k", 0, INT32_MAX)) sampling.top_k = static_cast<int>(*value);
  if (const json* stops = reader.array("stop_sequences")) {
    for (const json& stop : *stops) {
      if (!stop.is_string() || stop.get<std::string>().empty() || stops->size() > 16)
        reader.fail("stop_sequences", "'stop_sequences' must be at most 16 texts");
      if (!reader.ok()) break;
      request.generation.stop.push_back(stop.get<std::string>());
    }
  }
  const std::string system = read_text(reader, "system");
  if (!system.empty()) request.chat.messages.push_back({"system", system});
  const json* messages = reader.array("messages");
  if (reader.ok() && (messages == nullptr || messages->empty()))
    reader.fail("messages", "'messages' must be a list of at least one message");
  for (std::size_t i = 0; reader.ok() && i < messages->size(); ++i)
    read_message(reader, (*messages)[i], i, request.chat);
  if (reader.ok() && request.chat.messages.back().role == "assistant")
    request.chat.messages.back().is_prefix = true;
  read_tools(reader, request.chat);
  read_tool_choice(reader, request);
  read_thinking(reader, request);
  // They describe the caller or save tokens; none changes what is answered.
  for (const char* name :
       {"metadata", "service_tier", "context_management", "cache_control", "betas", "inference_geo"})
    reader.harmless(name);
  reader.unsupported("mcp_servers", "this server calls no other");
  reader.unsupported("container", "this server runs no code");
  reader.finish();
  if (!reader.ok()) return reader.error();
  return request;
}

}  // namespace deepwell
