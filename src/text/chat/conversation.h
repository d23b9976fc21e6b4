// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace deepwell {

/// A call of a tool that an assistant made in an earlier turn.
struct ToolCall {
  std::string id;
  std::string name;
  std::string arguments;  ///< JSON text of an object, as the client sent it; not validated
};

/// One turn of a chat. Texts are any bytes; broken UTF-8 becomes U+FFFD in the prompt.
struct Message {
  std::string role;  ///< "system", "developer", "user", "assistant", "tool" or "latest_reminder"
  std::string content;
  std::optional<std::string> name{};
  std::optional<std::string> reasoning{};  ///< an earlier turn's thinking
  std::vector<ToolCall> tool_calls{};      ///< role "assistant"
  std::string tool_call_id{};              ///< role "tool": whose result this is
  bool is_prefix = false;  ///< the last message, role "assistant": the reply goes on where this one stops
};

/// A tool that the model may call.
struct Tool {
  std::string name;
  std::string definition;  ///< JSON text {"name": ..., "description": ..., "parameters": {schema}}; keys keep
                           ///< their order, which shows in prompts
};

struct ToolChoice {
  enum class Kind { kAuto, kNone, kRequired, kNamed };
  Kind kind = Kind::kAuto;
  std::string name{};  ///< kNamed
};

struct ResponseFormat {
  enum class Kind { kText, kJsonObject, kJsonSchema };
  Kind kind = Kind::kText;
  std::string schema{};  ///< kJsonSchema: JSON text
};

/// A whole chat and how it is to be answered, whatever API it came by.
struct Conversation {
  std::vector<Message> messages;
  std::vector<Tool> tools{};
  ToolChoice tool_choice{};
  ResponseFormat response_format{};
  std::optional<bool> thinking{};  ///< absent: as the model does by itself
  std::string effort{};            ///< "", "low", "medium", "high", "xhigh" or "max"
  bool add_generation_prompt = true;
  std::string template_arguments{};  ///< a JSON object of more variables for a Jinja template, or ""
};

}  // namespace deepwell
