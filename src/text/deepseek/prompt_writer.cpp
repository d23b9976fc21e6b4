// SPDX-License-Identifier: Apache-2.0
#include "text/deepseek/prompt_writer.h"

#include "text/json/json_text.h"

namespace deepwell {

std::vector<const Tool*> offered_tools(const Conversation& conversation) {
  std::vector<const Tool*> tools;
  const ToolChoice& choice = conversation.tool_choice;
  if (choice.kind == ToolChoice::Kind::kNone) return tools;
  for (const Tool& tool : conversation.tools) {
    if (choice.kind != ToolChoice::Kind::kNamed || tool.name == choice.name) tools.push_back(&tool);
  }
  return tools;
}

bool must_call(const Conversation& conversation) {
  const ToolChoice::Kind kind = conversation.tool_choice.kind;
  return !conversation.tools.empty() &&
         (kind == ToolChoice::Kind::kRequired || kind == ToolChoice::Kind::kNamed);
}

const Message* begun_answer(const Conversation& conversation) {
  if (conversation.messages.empty() || !conversation.messages.back().is_prefix) return nullptr;
  return &conversation.messages.back();
}

ReplyStart start_after(const Message& begun, bool thinking) {
  ReplyStart start;
  if (thinking && begun.content.empty()) start.in = ReplyStart::In::kReasoning;
  start.continues = !begun.content.empty() || !begun.reasoning.value_or("").empty();
  return start;
}

std::string_view member_or(const Tool& tool, std::string_view key, std::string_view otherwise) {
  const std::string_view value = json_member(tool.definition, key);
  return value.empty() || value == "null" ? otherwise : value;
}

}  // namespace deepwell
