// SPDX-License-Identifier: Apache-2.0
// DeepSeek-LLM-Chat, MoE-16B-Chat, V2 and Coder-V2: roles in plain words. Source: their chat templates.
#include "text/deepseek/prompt_writer.h"

namespace deepwell {
namespace {

class V2Encoder final : public PromptEncoder {
 public:
  std::string_view name() const override { return "deepseek-v2"; }
  ReplyLanguage reply_language() const override { return ReplyLanguage::kPlain; }
  bool can_think() const override { return false; }

  Result<EncodedPrompt> encode(const Conversation& conversation) const override {
    if (!offered_tools(conversation).empty())
      return Error{ErrorCode::kInvalid, "this model was not taught to call tools; remove 'tools'"};
    PromptWriter prompt;
    prompt.markup(kBos);
    const Message* begun = begun_answer(conversation);
    for (const Message& message : conversation.messages) {
      if (is_system(message)) {
        prompt.text(message.content).markup("\n\n");
      } else if (message.role == "user") {
        prompt.markup("User: ").text(message.content).markup("\n\n");
      } else if (message.role == "assistant") {
        prompt.markup("Assistant: ");
        if (&message == begun) break;
        prompt.text(message.content).markup(kEos);
      } else {
        return Error{ErrorCode::kInvalid, "this model's chat has no role '" + message.role + "'"};
      }
    }
    if (begun == nullptr && conversation.add_generation_prompt) prompt.markup("Assistant:");
    return end_prompt(prompt, begun, false);
  }
};

}  // namespace

std::unique_ptr<PromptEncoder> make_v2_encoder() { return std::make_unique<V2Encoder>(); }

}  // namespace deepwell
