// SPDX-License-Identifier: Apache-2.0
// V4-Flash, V4-Pro and V4.1-Flash. Source: deepseek-recipe 0.2.0 (MIT licence), whose words for tools, effort
// and the form of answers these are. V4's preview models take effort in one step, those of 0731 and later in
// two, V4.1 as a number. V4.1 has a token for what the system says, wherever it says it, and a blank in the
// tags of calls, and writes them as V3.2 does.
#include <fmt/format.h>

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
// {0}: the name of a block of calls; {1}: what stands before a tag's name.
constexpr const char* kToolsHead = R"(## Tools

You have access to a set of tools to help answer the user's question. You can invoke tools by writing a "<｜DSML｜{1}{0}>" block like the following:

<｜DSML｜{1}{0}>
<｜DSML｜{1}invoke name="$TOOL_NAME">
<｜DSML｜{1}parameter name="$PARAMETER_NAME" string="true|false">$PARAMETER_VALUE</｜DSML｜{1}parameter>
...
</｜DSML｜{1}invoke>
<｜DSML｜{1}invoke name="$TOOL_NAME2">
...
</｜DSML｜{1}invoke>
</｜DSML｜{1}{0}>

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
constexpr std::string_view kSystem = "<｜System｜>";
constexpr DsmlStyle kCallsV4{"tool_calls", NumberStyle::kRust, ""};
constexpr DsmlStyle kCallsV41{"calls", NumberStyle::kPython, "\n", " "};

class V4Encoder final : public PromptEncoder {
 public:
  explicit V4Encoder(V4Generation generation)
      : generation_(generation), style_(generation == V4Generation::k41 ? kCallsV41 : kCallsV4) {}
  std::string_view name() const override {
    if (is_v41()) return "deepseek-v4.1";
    return generation_ == V4Generation::k0731 ? "deepseek-v4-0731" : "deepseek-v4";
  }
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
    write_head(conversation, thinking, prompt);
    const Message* begun = begun_answer(conversation);
    write_turns(conversation, thinking && tools, prompt);
    if (begun == nullptr && !conversation.add_generation_prompt) return EncodedPrompt{prompt.take(), {}};
    prompt.markup(kAssistant).markup(thinking ? kThinkBegin : kThinkEnd);
    if (begun != nullptr || !must) return end_prompt(prompt, begun, thinking);
    prompt.markup("\n\n<").markup(kDsml).markup(style_.gap).markup(style_.block).markup(">\n");
    ReplyStart start;
    start.in = ReplyStart::In::kToolCalls;
    return EncodedPrompt{prompt.take(), start};
  }

 private:
  bool is_v41() const { return generation_ == V4Generation::k41; }

  std::string effort_text(std::string_view effort) const {
    const bool low = effort == "low" || effort == "minimal", most = effort == "max";
    if (is_v41())
      return fmt::format(
          "Reasoning Effort: {} (range 1-100, the higher the value, the more thorough the "
          "reasoning)\n\n",
          low    ? 50
          : most ? 100
                 : 75);
    const bool graded = generation_ == V4Generation::k0731;
    if (most) return std::string(graded ? kExhaustive : kThorough);
    return std::string(!graded || low ? "" : kThorough);
  }

  /// V4 gathers here what the system says anywhere, V4.1 only what it says first.
  void write_head(const Conversation& conversation, bool thinking, PromptWriter& prompt) const {
    std::string system;
    bool speaks = false;
    for (const Message& message : conversation.messages) {
      if (is_system(message)) {
        speaks = true;
        add_paragraph(system, message.content);
      }
      if (is_v41()) break;
    }
    const bool plain = conversation.response_format.kind == ResponseFormat::Kind::kText;
    if (is_v41() && (thinking || speaks || !plain || !offered_tools(conversation).empty()))
      prompt.markup(kSystem);
    if (thinking) prompt.text(effort_text(conversation.effort));
    prompt.text(system);
    if (const auto tools = offered_tools(conversation); !tools.empty()) {
      prompt.markup("\n\n").markup(fmt::format(fmt::runtime(kToolsHead), style_.block, style_.gap));
      for (const Tool* tool : tools) {
        const auto field = [&](std::string_view key, std::string_view otherwise) {
          prompt.text(json_rewritten(member_or(*tool, key, otherwise), style_.numbers));
        };
        prompt.markup("{\"name\": "), field("name", "\"\"");
        prompt.markup(", \"description\": "), field("description", "\"\"");
        prompt.markup(", \"parameters\": "), field("parameters", "{}");
        prompt.markup("}\n");
      }
      prompt.markup(kToolsFoot);
    }
    const ResponseFormat& format = conversation.response_format;
    if (format.kind == ResponseFormat::Kind::kJsonObject) {
      prompt.markup("\n\n");
      is_v41() ? prompt.markup(kSchemaHead).markup("{\"type\": \"json_object\"}") : prompt.markup(kJsonOnly);
    }
    if (format.kind == ResponseFormat::Kind::kJsonSchema)
      prompt.markup("\n\n").markup(kSchemaHead).text(json_rewritten(format.schema, style_.numbers));
  }

  // Users' messages and tools' results that follow one another are one turn.
  void write_turns(const Conversation& conversation, bool keeps_reasoning, PromptWriter& prompt) const {
    const std::vector<Message>& messages = conversation.messages;
    std::map<std::string, std::size_t> call_order;
    // V4 passes over texts that are empty, but parts a text after results from them in any case.
    enum class After { kNothing, kResults, kText } after = After::kNothing;
    bool in_user = false;
    const auto open_user = [&] {
      if (std::exchange(in_user, true)) return;
      prompt.markup(kUser);
      after = After::kNothing;
    };
    for (std::size_t i = 0; i < messages.size(); ++i) {
      const Message& message = messages[i];
      if (message.is_prefix) continue;
      if (is_system(message)) {
        if (!is_v41() || i == 0) continue;
        in_user = false;
        prompt.markup(kSystem).text(message.content);
        continue;
      }
      if (message.role == "assistant") {
        in_user = false;
        prompt.markup(kAssistant);
        if (keeps_reasoning) prompt.markup(kThinkBegin).text(message.reasoning.value_or(""));
        prompt.markup(kThinkEnd).text(message.content);
        write_dsml_calls(message.tool_calls, style_, prompt);
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
        const bool counts = is_v41() || !message.content.empty();
        const bool parted = after == After::kResults || (after == After::kText && counts);
        if (parted) prompt.markup("\n\n");
        prompt.text(message.content);
        if (parted || counts) after = counts ? After::kText : After::kNothing;
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

  V4Generation generation_;
  DsmlStyle style_;
};

}  // namespace

std::unique_ptr<PromptEncoder> make_v4_encoder(V4Generation generation) {
  return std::make_unique<V4Encoder>(generation);
}

}  // namespace deepwell
