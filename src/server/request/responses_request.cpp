// SPDX-License-Identifier: Apache-2.0
// OpenAI's Responses API becomes a Request. An answer is a list of items there: thinking, calls and texts of
// one turn stand side by side, and become one message here.
#include <fmt/format.h>

#include "server/request/allowed_tools.h"
#include "server/request/format_fields.h"
#include "server/request/json_reader.h"
#include "server/request/request.h"

namespace deepwell {
namespace {
using json = Json;

std::string text_of(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

/// A text, or a list of parts that are texts.
std::string read_parts(JsonReader& reader, const char* name) {
  const json* value = reader.any(name);
  if (value == nullptr) return {};
  if (value->is_string()) return value->get<std::string>();
  std::string out;
  if (!value->is_array())
    reader.fail(name, fmt::format("'{}{}' must be a string or a list of parts", reader.where(), name));
  for (std::size_t i = 0; reader.ok() && i < value->size(); ++i) {
    const std::string at = fmt::format("{}{}[{}].", reader.where(), name, i);
    if (!(*value)[i].is_object()) {
      reader.fail(name, fmt::format("'{}{}[{}]' must be an object", reader.where(), name, i));
      break;
    }
    JsonReader part((*value)[i], at);
    const std::string type = part.text("type").value_or("");
    if (type == "refusal") {
      out += part.text("refusal").value_or("");
    } else if (type == "input_text" || type == "output_text" || type == "text" || type == "summary_text" ||
               type == "reasoning_text") {
      out += part.text("text").value_or("");
    } else if (part.ok()) {
      ApiError error = invalid_field(
          at + "type", fmt::format("'{}type' is '{}'; only texts are supported", at, type.substr(0, 100)));
      error.code = "unsupported_parameter";
      part.fail(std::move(error));
    }
    part.harmless("annotations");
    part.harmless("logprobs");
    part.finish();
    if (!part.ok()) reader.fail(part.error());
  }
  return out;
}

/// The assistant's turn that an item belongs to: the last one, unless somebody else spoke since.
Message& assistant_turn(Conversation& chat) {
  if (chat.messages.empty() || chat.messages.back().role != "assistant")
    chat.messages.push_back({"assistant", {}});
  return chat.messages.back();
}

void read_item(JsonReader& item, Conversation& chat) {
  const std::string type = item.text("type").value_or("message");
  item.harmless("id");
  item.harmless("status");
  if (type == "message") {
    const std::string role = item.text("role").value_or("");
    if (item.ok() && role != "user" && role != "assistant" && role != "system" && role != "developer")
      item.fail("role", fmt::format("'{}role' must be user, assistant, system or developer", item.where()));
    std::string text = read_parts(item, "content");
    item.harmless("phase");
    if (role == "assistant") {
      Message& turn = assistant_turn(chat);
      turn.content += text;
    } else {
      chat.messages.push_back({role == "developer" ? "system" : role, std::move(text)});
    }
  } else if (type == "function_call") {
    ToolCall call{item.text("call_id").value_or(""), item.text("name").value_or(""),
                  item.text("arguments").value_or("{}")};
    if (item.ok() && (call.id.empty() || call.name.empty()))
      item.fail("call_id", fmt::format("'{}call_id' and 'name' are needed", item.where()));
    item.harmless("namespace");
    assistant_turn(chat).tool_calls.push_back(std::move(call));
  } else if (type == "function_call_output") {
    Message result{"tool", {}};
    result.tool_call_id = item.text("call_id").value_or("");
    result.content = read_parts(item, "output");
    chat.messages.push_back(std::move(result));
  } else if (type == "reasoning") {
    std::string text = read_parts(item, "content");
    if (const std::string summary = read_parts(item, "summary"); text.empty()) text = summary;
    item.harmless("encrypted_content");  // another server's; nobody here can read it
    if (!text.empty()) assistant_turn(chat).reasoning = text;
  } else if (item.ok()) {
    ApiError error = invalid_field(
        item.where() + "type",
        fmt::format("'{}type' is '{}', which is not supported", item.where(), type.substr(0, 100)));
    error.code = "unsupported_parameter";
    item.fail(std::move(error));
  }
  item.finish();
}

void read_input(JsonReader& reader, Conversation& chat) {
  const json* input = reader.any("input");
  if (!reader.ok()) return;
  if (input == nullptr) return reader.fail("input", "'input' is missing");
  if (input->is_string()) {
    chat.messages.push_back({"user", input->get<std::string>()});
    return;
  }
  if (!input->is_array() || input->empty())
    return reader.fail("input", "'input' must be a string or a list of items");
  for (std::size_t i = 0; reader.ok() && i < input->size(); ++i) {
    if (!(*input)[i].is_object())
      return reader.fail("input", fmt::format("'input[{}]' must be an object", i));
    JsonReader item((*input)[i], fmt::format("input[{}].", i));
    read_item(item, chat);
    if (!item.ok()) reader.fail(item.error());
  }
}

void read_tools(JsonReader& reader, ResponsesRequest& out) {
  Conversation& chat = out.request.chat;
  const json* tools = reader.array("tools");
  if (tools != nullptr) out.tools = text_of(*tools);
  for (std::size_t i = 0; reader.ok() && tools != nullptr && i < tools->size(); ++i) {
    const std::string at = fmt::format("tools[{}].", i);
    if (!(*tools)[i].is_object())
      return reader.fail("tools", fmt::format("'tools[{}]' must be an object", i));
    JsonReader inner((*tools)[i], at);
    const std::string type = inner.text("type").value_or("");
    if (inner.ok() && type != "function") {
      ApiError error = invalid_field(
          at + "type",
          fmt::format("'{}type' is '{}'; only \"function\" is supported", at, type.substr(0, 100)));
      error.code = "unsupported_parameter";
      inner.fail(std::move(error));
    }
    const std::string name = inner.text("name").value_or("");
    if (inner.ok() && name.empty()) inner.fail("name", fmt::format("'{}name' is missing", at));
    json definition = {{"name", name}};
    if (const auto description = inner.text("description")) definition["description"] = *description;
    if (const json* schema = inner.object("parameters")) definition["parameters"] = *schema;
    // OpenAI's default is strict, which refuses schemas that others take: only an explicit wish counts.
    if (inner.flag("strict").value_or(false)) definition["strict"] = true;
    inner.finish();
    if (!inner.ok()) return reader.fail(inner.error());
    chat.tools.push_back({name, text_of(definition)});
  }
  const json* choice = reader.any("tool_choice");
  if (choice == nullptr) return;
  out.tool_choice = text_of(*choice);
  if (read_allowed_tools(reader, *choice, /*flat=*/true, chat)) return;
  using Kind = ToolChoice::Kind;
  ToolChoice& wanted = chat.tool_choice;
  if (*choice == "none") wanted.kind = Kind::kNone;
  if (*choice == "required") wanted.kind = Kind::kRequired;
  bool fits = *choice == "none" || *choice == "auto" || (*choice == "required" && !chat.tools.empty());
  if (choice->is_object() && choice->value("type", json()) == "function" &&
      choice->value("name", json()).is_string()) {
    wanted = {Kind::kNamed, (*choice)["name"].get<std::string>()};
    for (const Tool& tool : chat.tools) fits = fits || tool.name == wanted.name;
  }
  if (!fits) reader.fail("tool_choice", "'tool_choice' must be none, auto, required or name one of 'tools'");
}

void read_text_and_reasoning(JsonReader& reader, ResponsesRequest& out) {
  if (const json* text = reader.object("text")) {
    JsonReader inner(*text, "text.");
    if (const json* format = inner.object("format")) {
      out.format = text_of(*format);
      read_format_object(inner, *format, "text.format", /*flat=*/true, out.request);
    }
    inner.harmless("verbosity");  // a hint to models that know it
    inner.finish();
    if (!inner.ok()) reader.fail(inner.error());
  }
  if (const json* reasoning = reader.object("reasoning")) {
    JsonReader inner(*reasoning, "reasoning.");
    if (const auto effort = inner.text("effort")) {
      out.request.chat.thinking = *effort != "none";
      if (*effort != "none") out.request.chat.effort = *effort;
    }
    for (const char* name : {"summary", "generate_summary"}) inner.harmless(name);  // thinking is shown whole
    inner.finish();
    if (!inner.ok()) reader.fail(inner.error());
  }
}

/// Extras of the answer's items: of those that this server makes, only texts have one, their log
/// probabilities.
void read_include(JsonReader& reader) {
  const json* include = reader.array("include");
  for (std::size_t i = 0; reader.ok() && include != nullptr && i < include->size(); ++i) {
    const std::string at = fmt::format("include[{}]", i);
    const json& extra = (*include)[i];
    if (!extra.is_string()) return reader.fail(at, fmt::format("'{}' must be a string", at));
    if (extra != "message.output_text.logprobs") continue;
    ApiError error =
        invalid_field(at, fmt::format("'{}' is '{}', which is not supported: use /v1/chat/completions", at,
                                      extra.get<std::string>()));
    error.code = "unsupported_parameter";
    return reader.fail(std::move(error));
  }
}

void read_stream_options(JsonReader& reader) {
  const json* options = reader.object("stream_options");
  if (options == nullptr) return;
  JsonReader inner(*options, "stream_options.");
  inner.harmless("include_obfuscation");  // padding, which nothing here adds
  inner.finish();
  if (!inner.ok()) reader.fail(inner.error());
}

}  // namespace

ApiResult<ResponsesRequest> parse_responses_request(std::string_view body) {
  ApiResult<json> parsed = parse_body(body);
  if (!parsed) return parsed.error();
  JsonReader reader(*parsed, "");
  ResponsesRequest out;
  Request& request = out.request;
  request.is_chat = true;
  request.model = reader.text("model").value_or("");
  request.stream = reader.flag("stream").value_or(false);
  out.instructions = reader.text("instructions").value_or("");
  out.previous = reader.text("previous_response_id").value_or("");
  out.store = reader.flag("store").value_or(true);
  SamplingOptions& sampling = request.generation.sampling;
  if (const auto value = reader.number("temperature", 0, 2))
    sampling.temperature = static_cast<float>(*value);
  if (const auto value = reader.number("top_p", 0, 1, /*open_min=*/true))
    sampling.top_p = static_cast<float>(*value);
  request.generation.max_tokens = reader.integer("max_output_tokens", 1, INT64_MAX).value_or(-1);
  request.parallel_tools = reader.flag("parallel_tool_calls").value_or(true);
  read_input(reader, request.chat);
  read_tools(reader, out);
  read_text_and_reasoning(reader, out);
  if (const json* metadata = reader.object("metadata")) out.metadata = text_of(*metadata);
  if (reader.text("truncation").value_or("disabled") != "disabled")
    reader.unsupported("truncation", "nothing is dropped from a conversation; shorten it");
  read_include(reader);
  read_stream_options(reader);
  // They describe the caller.
  for (const char* name : {"user", "service_tier", "safety_identifier", "prompt_cache_key",
                           "prompt_cache_retention", "client_metadata"})
    reader.harmless(name);
  out.background = reader.flag("background").value_or(false);
  if (out.background && request.stream)
    reader.unsupported("background", "with \"stream\" it is not: fetch the response when it is complete");
  if (out.background && !out.store)
    reader.fail("store", "'background' needs 'store': the answer is fetched later");
  reader.unsupported("conversation", "use previous_response_id");
  reader.unsupported("prompt", "prompts are not kept on the server");
  reader.unsupported("max_tool_calls", "no tool runs on the server");
  reader.unsupported("top_logprobs", "use /v1/chat/completions");
  reader.finish();
  if (!reader.ok()) return reader.error();
  return out;
}

}  // namespace deepwell
