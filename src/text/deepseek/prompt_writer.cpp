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

EncodedPrompt end_prompt(PromptWriter& prompt, const Message* begun, bool thinking,
                         std::string_view thought_end) {
  ReplyStart start;
  if (begun == nullptr || begun->content.empty()) {
    if (thinking) start.in = ReplyStart::In::kReasoning;
  }
  if (begun != nullptr) {
    if (thinking) {
      prompt.text(begun->reasoning.value_or(""));
      if (!begun->content.empty()) prompt.markup(thought_end);
    }
    prompt.text(begun->content);
    start.continues = !begun->content.empty() || !begun->reasoning.value_or("").empty();
  }
  return EncodedPrompt{prompt.take(), start};
}

std::string_view member_or(const Tool& tool, std::string_view key, std::string_view otherwise) {
  const std::string_view value = json_member(tool.definition, key);
  return value.empty() || value == "null" ? otherwise : value;
}

}  // namespace deepwell
