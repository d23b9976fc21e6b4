// SPDX-License-Identifier: Apache-2.0
// V3.1, V3.1-Terminus and V3.2-Exp. Source: the chat template of V3.1-Terminus; the description of tools is
// the one in the model card of V3.1 (MIT licence).
#include "text/deepseek/prompt_writer.h"
#include "text/json/json_text.h"

namespace deepwell {
namespace {

constexpr std::string_view kToolsHead = "## Tools\nYou have access to the following tools:\n";
constexpr std::string_view kToolsFoot =
    "\nIMPORTANT: ALWAYS adhere to this exact format for tool use:\n"
    "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>tool_call_name<｜tool▁sep｜>tool_call_arguments<"
    "｜tool▁call▁end｜>"
    "{additional_tool_calls}<｜tool▁calls▁end｜>\n\nWhere:\n\n"
    "- `tool_call_name` must be an exact match to one of the available tools\n"
    "- `tool_call_arguments` must be valid JSON that strictly follows the tool's Parameters Schema\n"
    "- For multiple tool calls, chain them directly without separators or spaces\n";

class V31Encoder final : public PromptEncoder {
 public:
  std::string_view name() const override { return "deepseek-v3.1"; }
  ReplyLanguage reply_language() const override { return ReplyLanguage::kDeepSeekTokens; }
  bool can_think() const override { return true; }

  Result<EncodedPrompt> encode(const Conversation& conversation) const override {
    const bool thinking = conversation.thinking.value_or(false);
    PromptWriter prompt;
    prompt.markup(kBos);
    std::string system;
    bool first_system = true;
    for (const Message& message : conversation.messages) {
      if (!is_system(message)) continue;
      if (!std::exchange(first_system, false)) system += "\n\n";
      system += message.content;
    }
    prompt.text(system);
    write_tools(conversation, prompt);

    const Message* begun = begun_answer(conversation);
    bool asks = false, after_results = false, only_system = !first_system;
    for (const Message& message : conversation.messages) {
      if (is_system(message)) continue;
      if (message.role == "tool") {
        prompt.markup("<｜tool▁output▁begin｜>").text(message.content).markup("<｜tool▁output▁end｜>");
        asks = only_system = false;
        after_results = true;
      } else if (message.role == "assistant") {
        if (&message == begun) break;
        if (asks || (only_system && !message.tool_calls.empty())) prompt.markup(kAssistant).markup(kThinkEnd);
        write_answer(message, after_results, prompt);
        asks = after_results = only_system = false;
      } else {
        prompt.markup(kUser).text(message.content);
        asks = true;
        after_results = only_system = false;
      }
    }
    if (begun == nullptr && !conversation.add_generation_prompt) return EncodedPrompt{prompt.take(), {}};
    // After results the model goes on by itself.
    if (!after_results) prompt.markup(kAssistant).markup(thinking ? kThinkBegin : kThinkEnd);
    return end_prompt(prompt, begun, thinking && !after_results);
  }

 private:
  static void write_answer(const Message& message, bool after_results, PromptWriter& prompt) {
    std::string_view content = message.content;
    const auto end = content.find(kThinkEnd);
    if (message.tool_calls.empty() && !after_results && end != std::string_view::npos)
      content.remove_prefix(end + kThinkEnd.size());
    prompt.text(content);
    if (!message.tool_calls.empty()) {
      prompt.markup("<｜tool▁calls▁begin｜>");
      for (const ToolCall& call : message.tool_calls) {
        prompt.markup("<｜tool▁call▁begin｜>").text(call.name).markup("<｜tool▁sep｜>");
        prompt.text(call.arguments).markup("<｜tool▁call▁end｜>");
      }
      prompt.markup("<｜tool▁calls▁end｜>");
    }
    prompt.markup(kEos);
  }

  static void write_tools(const Conversation& conversation, PromptWriter& prompt) {
    const auto tools = offered_tools(conversation);
    if (tools.empty()) return;
    prompt.markup("\n\n").markup(kToolsHead);
    for (const Tool* tool : tools) {
      prompt.markup("\n### ").text(tool->name).markup("\nDescription: ");
      prompt.text(json_string(member_or(*tool, "description", "\"\""))).markup("\n\nParameters: ");
      prompt.text(json_rewritten(member_or(*tool, "parameters", "{}"), NumberStyle::kPython)).markup("\n");
    }
    prompt.markup(kToolsFoot);
  }
};

}  // namespace

std::unique_ptr<PromptEncoder> make_v31_encoder() { return std::make_unique<V31Encoder>(); }

}  // namespace deepwell
