// SPDX-License-Identifier: Apache-2.0
// Ollama's API becomes a Request.
#include <fmt/format.h>

#include "server/request/format_fields.h"
#include "server/request/json_reader.h"
#include "server/request/keep_alive.h"
#include "server/request/request.h"

namespace deepwell {
namespace {
using json = Json;

std::string text_of(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

void set(float& field, std::optional<double> value) {
  if (value) field = static_cast<float>(*value);
}

void read_options(JsonReader& reader, Request& request) {
  SamplingOptions& sampling = request.generation.sampling;
  // Ollama's own defaults: its users expect them.
  sampling.temperature = 0.8F;
  sampling.top_k = 40;
  sampling.top_p = 0.9F;
  const json* options = reader.object("options");
  if (options == nullptr) return;
  JsonReader inner(*options, "options.");
  set(sampling.temperature, inner.number("temperature", 0, 100));
  if (const auto top_k = inner.integer("top_k", 0, INT32_MAX)) sampling.top_k = static_cast<int>(*top_k);
  set(sampling.top_p, inner.number("top_p", 0, 1, /*open_min=*/true));
  set(sampling.min_p, inner.number("min_p", 0, 1));
  set(sampling.typical_p, inner.number("typical_p", 0, 1, /*open_min=*/true));
  set(sampling.repetition_penalty, inner.number("repeat_penalty", 0, 100, /*open_min=*/true));
  set(sampling.presence_penalty, inner.number("presence_penalty", -2, 2));
  set(sampling.frequency_penalty, inner.number("frequency_penalty", -2, 2));
  if (const auto last = inner.integer("repeat_last_n", -1, INT32_MAX))
    sampling.penalty_last_n = static_cast<int>(*last);
  if (const auto seed = inner.integer("seed", INT64_MIN, INT64_MAX))
    sampling.seed = static_cast<std::uint64_t>(*seed);
  // -1 and -2: until the end, or until the context is full.
  if (const auto tokens = inner.integer("num_predict", -2, INT64_MAX))
    request.generation.max_tokens = *tokens > 0 ? *tokens : -1;
  if (const json* stops = inner.any("stop")) {
    const json list = stops->is_array() ? *stops : json::array({*stops});
    for (const json& stop : list) {
      if (!stop.is_string() || stop.get<std::string>().empty() || list.size() > 16)
        inner.fail("stop", "'options.stop' must be at most 16 texts");
      if (!inner.ok()) break;
      request.generation.stop.push_back(stop.get<std::string>());
    }
  }
  // How the machine is used is set where the server is started; a prompt that does not fit says so.
  for (const char* name : {"num_ctx", "num_batch", "num_gpu", "main_gpu", "num_thread", "num_keep",
                           "use_mmap", "use_mlock", "numa", "low_vram", "f16_kv", "vocab_only", "logits_all"})
    inner.harmless(name);
  inner.unsupported("mirostat", "use temperature, top_p or min_p");
  inner.harmless("mirostat_tau");
  inner.harmless("mirostat_eta");
  inner.unsupported("tfs_z", "use top_p or min_p");
  inner.harmless("penalize_newline");
  inner.finish();
  if (!inner.ok()) reader.fail(inner.error());
}

void read_common(JsonReader& reader, Request& request) {
  request.model = reader.text("model").value_or("");
  if (reader.ok() && request.model.empty()) reader.fail("model", "'model' is missing");
  if (request.model.ends_with(":latest")) request.model.resize(request.model.size() - 7);
  request.stream = reader.flag("stream").value_or(true);
  request.idle_seconds = read_keep_alive(reader);
  read_options(reader, request);
  if (const json* format = reader.any("format")) {
    if (*format == "json") {
      set_schema(reader, json({{"type", "object"}}), "format", request);
    } else if (format->is_object()) {
      set_schema(reader, *format, "format", request);
    } else if (*format != "") {
      reader.fail("format", "'format' must be \"json\" or a JSON Schema");
    }
  }
  if (const json* think = reader.any("think")) {
    if (think->is_boolean()) {
      request.chat.thinking = think->get<bool>();
    } else if (*think == "low" || *think == "medium" || *think == "high") {
      request.chat.thinking = true;
      request.chat.effort = think->get<std::string>();
    } else {
      reader.fail("think", "'think' must be true, false, low, medium or high");
    }
  }
  reader.unsupported("logprobs", "use /v1/chat/completions");
  reader.unsupported("top_logprobs", "use /v1/chat/completions");
}

void read_message(JsonReader& reader, const json& value, std::size_t index, Conversation& chat) {
  const std::string at = fmt::format("messages[{}]", index);
  if (!value.is_object()) return reader.fail(at, fmt::format("'{}' must be an object", at));
  JsonReader inner(value, at + ".");
  Message message{inner.text("role").value_or(""), inner.text("content").value_or("")};
  if (inner.ok() && message.role != "system" && message.role != "user" && message.role != "assistant" &&
      message.role != "tool")
    inner.fail("role", fmt::format("'{}.role' must be system, user, assistant or tool", at));
  message.reasoning = inner.text("thinking");
  inner.unsupported("images", "only text is supported");
  const json* calls = inner.array("tool_calls");
  for (std::size_t i = 0; inner.ok() && calls != nullptr && i < calls->size(); ++i) {
    const json& one = (*calls)[i];
    if (!one.is_object() || !one.contains("function") || !one["function"].is_object() ||
        !one["function"].value("name", json()).is_string()) {
      inner.fail("tool_calls", fmt::format("'{}.tool_calls[{}].function.name' is missing", at, i));
      break;
    }
    const json& function = one["function"];
    message.tool_calls.push_back({one.value("id", json()).is_string() ? one["id"].get<std::string>()
                                                                      : fmt::format("call_{}_{}", index, i),
                                  function["name"].get<std::string>(),
                                  function.contains("arguments") ? text_of(function["arguments"]) : "{}"});
  }
  // Results come in the order of the calls; the clients name the tool, not the call.
  if (const auto name = inner.text("tool_name")) message.name = *name;
  if (const auto name = inner.text("name"); name && !message.name) message.name = *name;
  message.tool_call_id = inner.text("tool_call_id").value_or("");
  if (message.role == "tool" && message.tool_call_id.empty()) {
    std::size_t results = 0;
    for (auto before = chat.messages.rbegin(); before != chat.messages.rend(); ++before) {
      if (before->role == "tool") ++results;
      if (before->role != "assistant") continue;
      if (results < before->tool_calls.size()) message.tool_call_id = before->tool_calls[results].id;
      break;
    }
  }
  inner.finish();
  if (!inner.ok()) return reader.fail(inner.error());
  chat.messages.push_back(std::move(message));
}

void read_tools(JsonReader& reader, Conversation& chat) {
  const json* tools = reader.array("tools");
  for (std::size_t i = 0; reader.ok() && tools != nullptr && i < tools->size(); ++i) {
    const json& one = (*tools)[i];
    if (!one.is_object() || !one.contains("function") || !one["function"].is_object() ||
        !one["function"].value("name", json()).is_string())
      return reader.fail("tools", fmt::format("'tools[{}].function.name' is missing", i));
    chat.tools.push_back({one["function"]["name"].get<std::string>(), text_of(one["function"])});
  }
}

}  // namespace

ApiResult<Request> parse_ollama_chat(std::string_view body) {
  ApiResult<json> parsed = parse_body(body);
  if (!parsed) return parsed.error();
  JsonReader reader(*parsed, "");
  Request request;
  request.is_chat = true;
  read_common(reader, request);
  const json* messages = reader.array("messages");
  for (std::size_t i = 0; reader.ok() && messages != nullptr && i < messages->size(); ++i)
    read_message(reader, (*messages)[i], i, request.chat);
  read_tools(reader, request.chat);
  reader.finish();
  if (!reader.ok()) return reader.error();
  return request;
}

ApiResult<Request> parse_ollama_generate(std::string_view body) {
  ApiResult<json> parsed = parse_body(body);
  if (!parsed) return parsed.error();
  JsonReader reader(*parsed, "");
  Request request;
  read_common(reader, request);
  const std::string prompt = reader.text("prompt").value_or("");
  const std::string system = reader.text("system").value_or("");
  request.suffix = reader.text("suffix").value_or("");
  const bool raw = reader.flag("raw").value_or(false) || !request.suffix.empty();
  reader.unsupported("images", "only text is supported");
  reader.unsupported("template", "the model's own is used; send \"raw\": true to use none");
  reader.unsupported("context", "send the conversation to /api/chat");
  reader.finish();
  if (!reader.ok()) return reader.error();
  if (prompt.empty() && request.suffix.empty()) return request;  // only asks whether the model is there
  if (raw) {
    request.prompts.emplace_back(prompt);
    return request;
  }
  request.is_chat = true;
  if (!system.empty()) request.chat.messages.push_back({"system", system});
  request.chat.messages.push_back({"user", prompt});
  return request;
}

}  // namespace deepwell
