// SPDX-License-Identifier: Apache-2.0
// V4-Flash and V4-Pro. Source: deepseek-recipe 0.2.0 (MIT licence), whose words for tools, effort and the
// form of answers these are. The preview models take effort in one step, those of 0731 and later in two.
#include <algorithm>
#include <map>

#include "text/deepseek/dsml_writer.h"

namespace deepwell {
namespace {

constexpr std::string_view kThorough =
    "Reasoning Effort: Absolute maximum with no shortcuts permitted.\n"
    "You MUST be very thorough in your thinking and comprehensively decompose the problem to resolve the "
    "root "
    "cause, rigorously stress-testing your logic against all potential paths, edge cases, and adversarial "
    "scenarios.\n"
    "Explicitly write out your entire deliberation process, documenting every intermediate step, considered "
    "alternative, and rejected hypothesis to ensure absolutely no assumption is left unchecked.\n\n";
constexpr std::string_view kExhaustive =
    "Reasoning Effort: Beyond maximum — exhaustive, relentless, and uncompromising.\n"
    "You MUST reason with the utmost depth and rigor, leaving absolutely nothing to chance: exhaustively "
    "decompose the problem into its most fundamental components, trace every causal chain to its root, and "
    "resolve the underlying cause rather than any surface symptom.\n"
    "Do not stop reasoning until you have independently verified the solution from multiple angles and are "
    "certain that no assumption remains unchecked and no error remains undiscovered.\n\n";
constexpr std::string_view kToolsHead = R"(## Tools

You have access to a set of tools to help answer the user's question. You can invoke tools by writing a "<｜DSML｜tool_calls>" block like the following:

<｜DSML｜tool_calls>
<｜DSML｜invoke name="$TOOL_NAME">
<｜DSML｜parameter name="$PARAMETER_NAME" string="true|false">$PARAMETER_VALUE</｜DSML｜parameter>
...
</｜DSML｜invoke>
<｜DSML｜invoke name="$TOOL_NAME2">
...
</｜DSML｜invoke>
</｜DSML｜tool_calls>

String parameters should be specified as is and set `string="true"`. For all other types (numbers, booleans, arrays, objects), pass the value in JSON format and set `string="false"`.

If thinking_mode is enabled (triggered by <think>), you MUST output your complete reasoning inside <think>...</think> BEFORE any tool calls or final response.

Otherwise, output directly after </think> with tool calls or final response.

### Available Tool Schemas

)";
constexpr std::string_view kToolsFoot =
    "\nYou MUST strictly follow the above defined tool name and parameter schemas to invoke tool calls.\n";
constexpr std::string_view kSchemaHead =
    "## Response Format:\n\nYou MUST strictly adhere to the following schema to reply:\n";
constexpr std::string_view kJsonOnly =
    "You are a helpful assistant designed to output JSON.\n## Response Format:\n\nReply with JSON object "
    "ONLY.";
constexpr NumberStyle kNumbers = NumberStyle::kRust;

class V4Encoder final : public PromptEncoder {
 public:
  explicit V4Encoder(bool graded_effort) : graded_effort_(graded_effort) {}
  std::string_view name() const override { return graded_effort_ ? "deepseek-v4-0731" : "deepseek-v4"; }
  ReplyLanguage reply_language() const override { return ReplyLanguage::kDeepSeekDsml; }
  bool can_think() const override { return true; }

  Result<EncodedPrompt> encode(const Conversation& conversation) const override {
    const bool must = must_call(conversation);
    if (must && conversation.thinking.value_or(false)) {
      return Error{
          ErrorCode::kInvalid,
          "'tool_choice' cannot force a call while the model thinks; disable thinking or use \"auto\""};
    }
    const bool thinking = !must && conversation.thinking.value_or(true);
    const bool tools = !offered_tools(conversation).empty();
    PromptWriter prompt;
    prompt.markup(kBos);
    if (thinking) prompt.text(effort_text(conversation.effort));
    write_system(conversation, prompt);
    const Message* begun = begun_answer(conversation);
    write_turns(conversation, thinking && tools, prompt);
    if (begun == nullptr && !conversation.add_generation_prompt) return EncodedPrompt{prompt.take(), {}};
    prompt.markup(kAssistant).markup(thinking ? kThinkBegin : kThinkEnd);
    if (begun != nullptr || !must) return end_prompt(prompt, begun, thinking);
    prompt.markup("\n\n<").markup(kDsml).markup("tool_calls>\n");
    ReplyStart start;
    start.in = ReplyStart::In::kToolCalls;
    return EncodedPrompt{prompt.take(), start};
  }

 private:
  std::string_view effort_text(std::string_view effort) const {
    if (effort == "max") return graded_effort_ ? kExhaustive : kThorough;
    if (!graded_effort_ || effort == "low" || effort == "minimal") return "";
    return kThorough;
  }

  static void write_system(const Conversation& conversation, PromptWriter& prompt) {
    std::string system;
    for (const Message& message : conversation.messages) {
      if (is_system(message)) add_paragraph(system, message.content);
    }
    prompt.text(system);
    if (const auto tools = offered_tools(conversation); !tools.empty()) {
      prompt.markup("\n\n").markup(kToolsHead);
      for (const Tool* tool : tools) {
        const auto field = [&](std::string_view key, std::string_view otherwise) {
          prompt.text(json_rewritten(member_or(*tool, key, otherwise), kNumbers));
        };
        prompt.markup("{\"name\": "), field("name", "\"\"");
        prompt.markup(", \"description\": "), field("description", "\"\"");
        prompt.markup(", \"parameters\": "), field("parameters", "{}");
        prompt.markup("}\n");
      }
      prompt.markup(kToolsFoot);
    }
    const ResponseFormat& format = conversation.response_format;
    if (format.kind == ResponseFormat::Kind::kJsonObject) prompt.markup("\n\n").markup(kJsonOnly);
    if (format.kind == ResponseFormat::Kind::kJsonSchema)
      prompt.markup("\n\n").markup(kSchemaHead).text(json_rewritten(format.schema, kNumbers));
  }

  // Users' messages and tools' results that follow one another are one turn.
  static void write_turns(const Conversation& conversation, bool keeps_reasoning, PromptWriter& prompt) {
    const std::vector<Message>& messages = conversation.messages;
    std::map<std::string, std::size_t> call_order;
    // Texts that are empty are passed over, but a text after results is parted from them in any case.
    enum class After { kNothing, kResults, kText } after = After::kNothing;
    bool in_user = false;
    const auto open_user = [&] {
      if (std::exchange(in_user, true)) return;
      prompt.markup(kUser);
      after = After::kNothing;
    };
    for (std::size_t i = 0; i < messages.size(); ++i) {
      const Message& message = messages[i];
      if (is_system(message) || message.is_prefix) continue;
      if (message.role == "assistant") {
        in_user = false;
        prompt.markup(kAssistant);
        if (keeps_reasoning) prompt.markup(kThinkBegin).text(message.reasoning.value_or(""));
        prompt.markup(kThinkEnd).text(message.content);
        write_dsml_calls(message.tool_calls, {"tool_calls", kNumbers, ""}, prompt);
        prompt.markup(kEos);
        call_order.clear();
        for (std::size_t call = 0; call < message.tool_calls.size(); ++call)
          call_order.emplace(message.tool_calls[call].id, call);
      } else if (message.role == "latest_reminder") {
        in_user = false;
        prompt.markup("<｜latest_reminder｜>").text(message.content);
      } else if (message.role == "tool") {
        open_user();
        i = write_results(messages, i, call_order, after == After::kNothing, prompt) - 1;
        after = After::kResults;
      } else {
        open_user();
        const bool parted = after == After::kResults || (after == After::kText && !message.content.empty());
        if (parted) prompt.markup("\n\n");
        prompt.text(message.content);
        if (parted || !message.content.empty())
          after = message.content.empty() ? After::kNothing : After::kText;
      }
    }
  }

  /// A run of results from messages[begin], in the order of their calls. Returns where it ends.
  static std::size_t write_results(const std::vector<Message>& messages, std::size_t begin,
                                   const std::map<std::string, std::size_t>& call_order, bool is_first,
                                   PromptWriter& prompt) {
    std::vector<std::pair<std::size_t, const Message*>> results;
    std::size_t end = begin;
    for (; end < messages.size() && messages[end].role == "tool"; ++end) {
      const auto place = call_order.find(messages[end].tool_call_id);
      results.emplace_back(place == call_order.end() ? call_order.size() : place->second, &messages[end]);
    }
    std::stable_sort(results.begin(), results.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    for (const auto& [place, result] : results) {
      if (!std::exchange(is_first, false)) prompt.markup("\n\n");
      prompt.markup("<tool_result>").text(result->content).markup("</tool_result>");
    }
    return end;
  }

  bool graded_effort_;
};

}  // namespace

std::unique_ptr<PromptEncoder> make_v4_encoder(bool graded_effort) {
  return std::make_unique<V4Encoder>(graded_effort);
}

}  // namespace deepwell
