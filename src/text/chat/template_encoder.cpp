// SPDX-License-Identifier: Apache-2.0
#include "text/chat/template_encoder.h"

#include <nlohmann/json.hpp>

namespace deepwell {
namespace {
using json = nlohmann::ordered_json;  // the order of keys shows in prompts

bool holds(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

ReplyLanguage language_of(std::string_view source) {
  if (holds(source, "｜DSML｜")) return ReplyLanguage::kDeepSeekDsml;
  if (holds(source, "<｜tool▁call")) return ReplyLanguage::kDeepSeekTokens;
  if (holds(source, "<tool_call>")) return ReplyLanguage::kHermes;
  if (holds(source, "<|eot_id|>") && holds(source, "tool")) return ReplyLanguage::kLlama3;
  return holds(source, "think") ? ReplyLanguage::kThinking : ReplyLanguage::kPlain;
}

json parsed(const std::string& text) {
  json value = json::parse(text, nullptr, false);
  return value.is_discarded() ? json(text) : value;
}

/// Templates differ in what they take: arguments as an object or as its text, and what stands for the content
/// of a turn that only calls tools.
struct Variant {
  bool arguments_as_text, null_content;
};
constexpr Variant kVariants[] = {{false, false}, {true, true}, {true, false}, {false, true}};

json message_of(const Message& message, const Variant& variant) {
  json one = {{"role", message.role}, {"content", message.content}};
  if (message.name) one["name"] = *message.name;
  if (message.reasoning) one["reasoning_content"] = *message.reasoning;
  if (!message.tool_call_id.empty()) one["tool_call_id"] = message.tool_call_id;
  if (message.tool_calls.empty()) return one;
  if (message.content.empty() && variant.null_content) one["content"] = nullptr;
  one["tool_calls"] = json::array();
  for (const ToolCall& call : message.tool_calls) {
    json arguments = variant.arguments_as_text ? json(call.arguments) : parsed(call.arguments);
    one["tool_calls"].push_back({{"id", call.id},
                                 {"type", "function"},
                                 {"function", {{"name", call.name}, {"arguments", std::move(arguments)}}}});
  }
  return one;
}

class TemplateEncoder final : public PromptEncoder {
 public:
  TemplateEncoder(std::unique_ptr<const ChatTemplate> chat_template, std::string_view source,
                  std::string bos_text, std::string eos_text)
      : template_(std::move(chat_template)),
        bos_text_(std::move(bos_text)),
        eos_text_(std::move(eos_text)),
        language_(language_of(source)),
        can_think_(holds(source, "think")) {}

  std::string_view name() const override { return "template"; }
  ReplyLanguage reply_language() const override { return language_; }
  bool can_think() const override { return can_think_; }

  Result<EncodedPrompt> encode(const Conversation& conversation) const override {
    const bool goes_on = !conversation.messages.empty() && conversation.messages.back().is_prefix;
    bool calls = false;
    for (const Message& message : conversation.messages) calls = calls || !message.tool_calls.empty();
    Result<std::vector<PromptPart>> parts = render(conversation, kVariants[0], goes_on);
    for (std::size_t i = 1; !parts && calls && i < std::size(kVariants); ++i) {
      if (Result<std::vector<PromptPart>> other = render(conversation, kVariants[i], goes_on)) parts = other;
    }
    if (!parts) return parts.error();
    EncodedPrompt prompt{std::move(*parts), {}};
    if (ends_thinking_open(prompt.parts)) prompt.start.in = ReplyStart::In::kReasoning;
    if (goes_on) go_on(conversation.messages.back(), prompt);
    return prompt;
  }

 private:
  Result<std::vector<PromptPart>> render(const Conversation& conversation, const Variant& variant,
                                         bool without_last) const {
    json context = json::object();
    if (!conversation.template_arguments.empty()) {
      context = json::parse(conversation.template_arguments, nullptr, false);
      if (!context.is_object()) return Error{ErrorCode::kInvalid, "template arguments must be a JSON object"};
    }
    context["messages"] = json::array();
    const std::size_t count = conversation.messages.size() - (without_last ? 1 : 0);
    for (std::size_t i = 0; i < count; ++i)
      context["messages"].push_back(message_of(conversation.messages[i], variant));
    if (!conversation.tools.empty() && conversation.tool_choice.kind != ToolChoice::Kind::kNone) {
      for (const Tool& tool : conversation.tools)
        context["tools"].push_back({{"type", "function"}, {"function", parsed(tool.definition)}});
    }
    if (conversation.thinking) {
      for (const char* name : {"enable_thinking", "thinking"})
        if (!context.contains(name)) context[name] = *conversation.thinking;
    }
    if (!conversation.effort.empty() && !context.contains("reasoning_effort"))
      context["reasoning_effort"] = conversation.effort;
    context["add_generation_prompt"] = conversation.add_generation_prompt || without_last;
    context["bos_token"] = bos_text_;
    context["eos_token"] = eos_text_;
    return template_->render(context.dump(-1, ' ', false, json::error_handler_t::replace));
  }

  // The prompt's last words, but for blanks, are <think>.
  static bool ends_thinking_open(const std::vector<PromptPart>& parts) {
    if (parts.empty() || !parts.back().from_template) return false;
    std::string_view text = parts.back().text;
    while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
    return text.ends_with("<think>");
  }

  static void go_on(const Message& begun, EncodedPrompt& prompt) {
    const auto add = [&prompt](const std::string& text, bool from_template) {
      if (!text.empty()) prompt.parts.push_back({text, from_template});
    };
    if (prompt.start.in == ReplyStart::In::kReasoning) {
      add(begun.reasoning.value_or(""), false);
      if (!begun.content.empty()) {
        add("\n</think>\n\n", true);
        prompt.start.in = ReplyStart::In::kText;
      }
    }
    add(begun.content, false);
    prompt.start.continues = !begun.content.empty() || (begun.reasoning && !begun.reasoning->empty());
  }

  std::unique_ptr<const ChatTemplate> template_;
  std::string bos_text_, eos_text_;
  ReplyLanguage language_;
  bool can_think_;
};

}  // namespace

std::unique_ptr<PromptEncoder> make_template_encoder(std::unique_ptr<const ChatTemplate> chat_template,
                                                     std::string_view source, std::string bos_text,
                                                     std::string eos_text) {
  return std::make_unique<TemplateEncoder>(std::move(chat_template), source, std::move(bos_text),
                                           std::move(eos_text));
}

}  // namespace deepwell
