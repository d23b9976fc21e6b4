// SPDX-License-Identifier: Apache-2.0
// V3.2 and V3.2-Speciale. Source: the encoder published with the model (MIT licence), whose words for tools
// these are.
#include "text/deepseek/dsml_writer.h"

namespace deepwell {
namespace {

constexpr std::string_view kToolsHead = R"(## Tools

You have access to a set of tools you can use to answer the user's question.
You can invoke functions by writing a "<｜DSML｜function_calls>" block like the following as part of your reply to the user:
<｜DSML｜function_calls>
<｜DSML｜invoke name="$FUNCTION_NAME">
<｜DSML｜parameter name="$PARAMETER_NAME" string="true|false">$PARAMETER_VALUE</｜DSML｜parameter>
...
</｜DSML｜invoke>
<｜DSML｜invoke name="$FUNCTION_NAME2">
...
</｜DSML｜invoke>
</｜DSML｜function_calls>

String and scalar parameters should be specified as is without any escaping or quotes, while lists and objects should use JSON format. The "string" attribute should be set to "true" for string type parameters and "false" for other types (numbers, booleans, arrays, objects).

If the thinking_mode is enabled, then after function results you should strongly consider outputting a thinking block. Here is an example:

<｜DSML｜function_calls>
...
</｜DSML｜function_calls>

<function_results>
...
</function_results>

<think>...thinking about results</think>

Here are the functions available in JSONSchema format:
<functions>
)";
constexpr std::string_view kToolsFoot = "</functions>\n";
constexpr std::string_view kSchemaHead =
    "## Response Format:\n\nYou MUST strictly adhere to the following schema to reply:\n";

class V32Encoder final : public PromptEncoder {
 public:
  std::string_view name() const override { return "deepseek-v3.2"; }
  ReplyLanguage reply_language() const override { return ReplyLanguage::kDeepSeekDsml; }
  bool can_think() const override { return true; }

  Result<EncodedPrompt> encode(const Conversation& conversation) const override {
    const bool thinking = conversation.thinking.value_or(false);
    const std::vector<Message>& messages = conversation.messages;
    std::size_t last_user = messages.size();  // none: no turn comes after it
    for (std::size_t i = 0; i < messages.size(); ++i) {
      if (messages[i].role == "user") last_user = i;
    }
    const auto after_last_user = [&](std::size_t i) { return last_user == messages.size() || i > last_user; };
    const Message* begun = begun_answer(conversation);
    PromptWriter prompt;
    prompt.markup(kBos);
    bool described = !messages.empty() && is_system(messages.front());
    if (!described) write_description(conversation, prompt);
    bool thought_open = false, asks = false;  // what the prompt so far ends with
    for (std::size_t i = 0; i < messages.size(); ++i) {
      const Message& message = messages[i];
      const bool goes_on = i + 1 < messages.size() || conversation.add_generation_prompt;
      if (is_system(message)) {
        prompt.text(message.content);
        if (std::exchange(described, false)) write_description(conversation, prompt);
      } else if (message.role == "assistant") {
        if (&message == begun) break;
        const bool shown = thinking && after_last_user(i);
        if (shown) prompt.text(message.reasoning.value_or("")).markup(kThinkEnd);
        prompt.text(message.content);
        write_dsml_calls(message.tool_calls, {"function_calls", NumberStyle::kPython, "\n"}, prompt);
        prompt.markup(kEos);
        asks = thought_open = false;
      } else if (message.role == "tool") {
        const bool first = i == 0 || messages[i - 1].role != "tool";
        const bool last = i + 1 == messages.size() || messages[i + 1].role != "tool";
        if (first) prompt.markup("\n\n<function_results>");
        prompt.markup("\n<result>").text(message.content).markup("</result>");
        if (!last) continue;
        prompt.markup("\n</function_results>");
        thought_open = thinking && after_last_user(i);
        if (goes_on) prompt.markup("\n\n").markup(thought_open ? kThinkBegin : kThinkEnd);
        asks = true;
      } else {
        prompt.markup(kUser).text(message.content);
        thought_open = thinking && i == last_user;
        if (goes_on) prompt.markup(kAssistant).markup(thought_open ? kThinkBegin : kThinkEnd);
        asks = true;
      }
    }
    if (begun == nullptr && !conversation.add_generation_prompt) return EncodedPrompt{prompt.take(), {}};
    if (!asks) {
      thought_open = thinking;
      prompt.markup(kAssistant).markup(thinking ? kThinkBegin : kThinkEnd);
    }
    return end_prompt(prompt, begun, thought_open);
  }

 private:
  // Tools and the form of the answer, at the end of the first system message.
  static void write_description(const Conversation& conversation, PromptWriter& prompt) {
    if (const auto tools = offered_tools(conversation); !tools.empty()) {
      prompt.markup("\n\n").markup(kToolsHead);
      for (const Tool* tool : tools)
        prompt.text(json_rewritten(tool->definition, NumberStyle::kPython)).markup("\n");
      prompt.markup(kToolsFoot);
    }
    const ResponseFormat& format = conversation.response_format;
    if (format.kind == ResponseFormat::Kind::kText) return;
    prompt.markup("\n\n").markup(kSchemaHead);
    prompt.text(format.kind == ResponseFormat::Kind::kJsonSchema
                    ? json_rewritten(format.schema, NumberStyle::kPython)
                    : std::string("{\"type\": \"json_object\"}"));
  }
};

}  // namespace

std::unique_ptr<PromptEncoder> make_v32_encoder() { return std::make_unique<V32Encoder>(); }

}  // namespace deepwell
