// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "text/chat/prompt_encoder.h"

namespace deepwell {

inline constexpr std::string_view kBos = "<｜begin▁of▁sentence｜>";
inline constexpr std::string_view kEos = "<｜end▁of▁sentence｜>";
inline constexpr std::string_view kUser = "<｜User｜>";
inline constexpr std::string_view kAssistant = "<｜Assistant｜>";
inline constexpr std::string_view kThinkBegin = "<think>";
inline constexpr std::string_view kThinkEnd = "</think>";

/// Builds a prompt of markup, in which special tokens count, and text, in which nothing does.
class PromptWriter {
 public:
  PromptWriter& markup(std::string_view text) { return add(text, true); }
  PromptWriter& text(std::string_view text) { return add(text, false); }
  std::vector<PromptPart> take() { return std::move(parts_); }

 private:
  PromptWriter& add(std::string_view text, bool from_template) {
    if (text.empty()) return *this;
    if (parts_.empty() || parts_.back().from_template != from_template) parts_.push_back({"", from_template});
    parts_.back().text += text;
    return *this;
  }
  std::vector<PromptPart> parts_;
};

/// Texts that are not empty, joined by a blank line.
inline void add_paragraph(std::string& text, std::string_view more) {
  if (!text.empty() && !more.empty()) text += "\n\n";
  text += more;
}

inline bool is_system(const Message& message) {
  return message.role == "system" || message.role == "developer";
}
/// What is offered to the model: nothing when it must not call, one tool when it must call that one.
std::vector<const Tool*> offered_tools(const Conversation& conversation);
bool must_call(const Conversation& conversation);
/// The last message, if the reply goes on with it.
const Message* begun_answer(const Conversation& conversation);
/// The prompt of a reply that begins in its thinking or in its text: with what was begun of it, if anything,
/// where `thought_end` stands between thinking and text.
EncodedPrompt end_prompt(PromptWriter& prompt, const Message* begun, bool thinking,
                         std::string_view thought_end = kThinkEnd);
/// A member of a tool's definition as it is written, or `otherwise`.
std::string_view member_or(const Tool& tool, std::string_view key, std::string_view otherwise);

std::unique_ptr<PromptEncoder> make_v2_encoder();
std::unique_ptr<PromptEncoder> make_v3_encoder(bool reasons);
std::unique_ptr<PromptEncoder> make_v31_encoder();
std::unique_ptr<PromptEncoder> make_v32_encoder();
enum class V4Generation { kPreview, k0731, k41 };
std::unique_ptr<PromptEncoder> make_v4_encoder(V4Generation generation);

}  // namespace deepwell
