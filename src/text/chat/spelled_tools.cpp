// SPDX-License-Identifier: Apache-2.0
// The words are Qwen2.5's and Hermes': models that saw them anywhere know what to do.
#include "text/chat/spelled_tools.h"

#include <algorithm>

#include "text/json/json_text.h"

namespace deepwell {
namespace {

constexpr const char* kOffer =
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are provided with "
    "function signatures within <tools></tools> XML tags:\n<tools>\n";
constexpr const char* kHow =
    "</tools>\n\nFor each function call, return a json object with function name and arguments within "
    "<tool_call></tool_call> XML tags:\n<tool_call>\n{\"name\": <function-name>, \"arguments\": "
    "<args-json-object>}\n</tool_call>";
constexpr const char* kMust = "\n\nThe next answer must call a function.";

std::string rewritten(const std::string& text) {
  return is_json(text) ? json_rewritten(text, NumberStyle::kPython) : std::string("{}");
}

/// "" when nothing is offered.
std::string offer(const Conversation& conversation) {
  using Kind = ToolChoice::Kind;
  const ToolChoice& choice = conversation.tool_choice;
  if (conversation.tools.empty() || choice.kind == Kind::kNone) return {};
  std::string text = kOffer;
  for (const Tool& tool : conversation.tools) {
    if (choice.kind == Kind::kNamed && tool.name != choice.name) continue;
    text += R"({"type": "function", "function": )" + rewritten(tool.definition) + "}\n";
  }
  text += kHow;
  if (choice.kind != Kind::kAuto) text += kMust;
  return text;
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

std::string spelled(const ToolCall& call) {
  return "<tool_call>\n{\"name\": " + quoted(call.name) + ", \"arguments\": " + rewritten(call.arguments) +
         "}\n</tool_call>";
}

void add_paragraph(std::string& text, const std::string& more, const char* between) {
  if (!text.empty() && !more.empty()) text += between;
  text += more;
}

bool is_system(const Message& message) { return message.role == "system" || message.role == "developer"; }

void tell(std::vector<Message>& messages, const std::string& text, SpelledIn where) {
  if (where == SpelledIn::kFirstUser) {
    const auto user = std::ranges::find(messages, "user", &Message::role);
    if (user != messages.end()) {
      user->content = text + "\n\n" + user->content;
      return;
    }
  }
  const auto system = std::ranges::find_if(messages, is_system);
  if (system == messages.end()) {
    messages.insert(messages.begin(), Message{"system", text});
  } else {
    add_paragraph(system->content, text, "\n\n");
  }
}

}  // namespace

bool wants_spelled_tools(ReplyLanguage language, const Conversation& conversation) {
  if (language != ReplyLanguage::kPlain && language != ReplyLanguage::kThinking) return false;
  if (!conversation.tools.empty()) return true;
  return std::ranges::any_of(conversation.messages, [](const Message& message) {
    return message.role == "tool" || !message.tool_calls.empty();
  });
}

Conversation with_spelled_tools(const Conversation& conversation, SpelledIn where) {
  Conversation out = conversation;
  out.messages.clear();
  bool after_result = false;
  for (const Message& message : conversation.messages) {
    if (message.role == "tool") {
      const std::string result = "<tool_response>\n" + message.content + "\n</tool_response>";
      // Results of one turn are one message, as turns take turns.
      if (after_result)
        out.messages.back().content += "\n" + result;
      else
        out.messages.push_back({"user", result});
      after_result = true;
      continue;
    }
    after_result = false;
    Message& copy = out.messages.emplace_back(message);
    for (const ToolCall& call : message.tool_calls) add_paragraph(copy.content, spelled(call), "\n");
    copy.tool_calls.clear();
  }
  if (const std::string text = offer(conversation); !text.empty()) tell(out.messages, text, where);
  out.tools.clear();
  out.tool_choice = {};
  return out;
}

}  // namespace deepwell
