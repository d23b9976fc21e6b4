// SPDX-License-Identifier: Apache-2.0
// V3, V3-0324, R1, R1-0528 and the distills of R1. Source: the chat templates of V3-0324 and R1; these do not
// say how tools are offered, so that part is ours, in the manner of V3.1's.
#include <fmt/format.h>

#include "text/deepseek/prompt_writer.h"
#include "text/json/json_text.h"

namespace deepwell {
namespace {

constexpr std::string_view kCallsBegin = "<｜tool▁calls▁begin｜>", kCallsEnd = "<｜tool▁calls▁end｜>";
constexpr std::string_view kCallBegin = "<｜tool▁call▁begin｜>", kCallEnd = "<｜tool▁call▁end｜>";
constexpr std::string_view kSeparator = "<｜tool▁sep｜>";
constexpr std::string_view kResultsBegin = "<｜tool▁outputs▁begin｜>", kResultsEnd = "<｜tool▁outputs▁end｜>";
constexpr std::string_view kResultBegin = "<｜tool▁output▁begin｜>", kResultEnd = "<｜tool▁output▁end｜>";

class V3Encoder final : public PromptEncoder {
 public:
  explicit V3Encoder(bool reasons) : reasons_(reasons) {}
  std::string_view name() const override { return reasons_ ? "deepseek-r1" : "deepseek-v3"; }
  ReplyLanguage reply_language() const override { return ReplyLanguage::kDeepSeekTokens; }
  bool can_think() const override { return reasons_; }

  Result<EncodedPrompt> encode(const Conversation& conversation) const override {
    PromptWriter prompt;
    prompt.markup(kBos);
    std::string system;
    for (const Message& message : conversation.messages) {
      if (is_system(message)) add_paragraph(system, message.content);
    }
    prompt.text(system);
    write_tools(conversation, !system.empty(), prompt);
    const Message* begun = begun_answer(conversation);
    std::string_view last;  // the role that the prompt ends with
    bool results_open = false;
    const auto close_results = [&] {
      if (std::exchange(results_open, false)) prompt.markup(kResultsEnd);
    };
    for (std::size_t i = 0; i < conversation.messages.size(); ++i) {
      const Message& message = conversation.messages[i];
      if (is_system(message)) continue;
      if (message.role == "tool") {
        prompt.markup(results_open ? "\n" : kResultsBegin);
        prompt.markup(kResultBegin).text(message.content).markup(kResultEnd);
        results_open = true;
      } else if (message.role == "assistant") {
        close_results();
        if (&message == begun) break;
        write_answer(message, prompt);
      } else {
        close_results();
        prompt.markup(kUser).text(message.content);
        if (conversation.add_generation_prompt || i + 1 < conversation.messages.size())
          prompt.markup(kAssistant);
      }
      last = message.role;
    }
    close_results();
    return finish(conversation, last, begun, prompt);
  }

 private:
  Result<EncodedPrompt> finish(const Conversation& conversation, std::string_view last, const Message* begun,
                               PromptWriter& prompt) const {
    const bool thinking = reasons_ && conversation.thinking.value_or(true);
    if (begun == nullptr && !conversation.add_generation_prompt) return EncodedPrompt{prompt.take(), {}};
    const bool after_results = last == "tool";  // then the model goes on by itself
    if (last != "user" && last != "latest_reminder" && !after_results) prompt.markup(kAssistant);
    if (reasons_ && !after_results) {
      prompt.markup(kThinkBegin).markup("\n");
      if (!thinking) prompt.markup("\n").markup(kThinkEnd).markup("\n\n");
    }
    return end_prompt(prompt, begun, thinking && !after_results, "\n</think>\n\n");
  }

  // Thinking of earlier turns is never shown again.
  void write_answer(const Message& message, PromptWriter& prompt) const {
    std::string_view content = message.content;
    if (const auto end = content.rfind(kThinkEnd); reasons_ && end != std::string_view::npos)
      content.remove_prefix(end + kThinkEnd.size());
    prompt.text(content);
    for (std::size_t i = 0; i < message.tool_calls.size(); ++i) {
      const ToolCall& call = message.tool_calls[i];
      prompt.markup(i == 0 ? kCallsBegin : "\n").markup(kCallBegin).markup("function").markup(kSeparator);
      prompt.text(call.name).markup("\n```json\n").text(call.arguments).markup("\n```").markup(kCallEnd);
    }
    if (!message.tool_calls.empty()) prompt.markup(kCallsEnd);
    prompt.markup(kEos);
  }

  static void write_tools(const Conversation& conversation, bool after_text, PromptWriter& prompt) {
    const auto tools = offered_tools(conversation);
    if (tools.empty()) return;
    prompt.markup(after_text ? "\n\n## Tools\n\nThese tools can be called:\n"
                             : "## Tools\n\nThese tools can be called:\n");
    for (const Tool* tool : tools) {
      prompt.markup("\n### ").text(tool->name).markup("\n");
      const std::string about = json_string(member_or(*tool, "description", "\"\""));
      if (!about.empty()) prompt.markup("Description: ").text(about).markup("\n");
      prompt.markup("Parameters: ")
          .text(json_rewritten(member_or(*tool, "parameters", "{}"), NumberStyle::kPython));
      prompt.markup("\n");
    }
    prompt.markup(
        fmt::format("\nTo call tools, write exactly this, once for each call between the outer marks, and "
                    "nothing after it:\n"
                    "{}{}function{}NAME\n```json\nARGUMENTS\n```{}{}\nNAME is the name of a tool above. "
                    "ARGUMENTS is a JSON "
                    "object that follows the tool's parameters.\n",
                    kCallsBegin, kCallBegin, kSeparator, kCallEnd, kCallsEnd));
    if (must_call(conversation)) prompt.markup("The next answer must call a tool.\n");
  }

  bool reasons_;
};

}  // namespace

std::unique_ptr<PromptEncoder> make_v3_encoder(bool reasons) { return std::make_unique<V3Encoder>(reasons); }

}  // namespace deepwell
