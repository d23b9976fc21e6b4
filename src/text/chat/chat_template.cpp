// SPDX-License-Identifier: Apache-2.0
#include "text/chat/chat_template.h"

#include "text/rust/view.h"

namespace deepwell {
namespace {

using rust::Failure;
using rust::view_of;

struct FreeTemplate {
  void operator()(dw_chat_template* chat_template) const { dw_chat_template_free(chat_template); }
};
using Handle = std::unique_ptr<dw_chat_template, FreeTemplate>;

class RustChatTemplate final : public ChatTemplate {
 public:
  explicit RustChatTemplate(Handle handle) : handle_(std::move(handle)) {}

  Result<std::vector<PromptPart>> render(std::string_view context_json) const override {
    Failure failure;
    dw_chat_prompt prompt;
    if (dw_chat_template_render(handle_.get(), view_of(context_json), &prompt, failure.out()) == 0)
      return failure.error();
    auto parts = parts_of(prompt);
    dw_chat_prompt_free(prompt);
    return parts;
  }

 private:
  static std::vector<PromptPart> parts_of(const dw_chat_prompt& prompt) {
    const std::string_view text = view_of(prompt.text);
    std::vector<PromptPart> parts;
    std::size_t at = 0;
    const auto add = [&](std::size_t end, bool from_template) {
      if (end > at) parts.push_back({std::string(text.substr(at, end - at)), from_template});
      at = end;
    };
    for (std::size_t i = 0; i < prompt.user_range_count; ++i) {
      add(prompt.user_ranges[2 * i], true);
      add(prompt.user_ranges[2 * i + 1], false);
    }
    add(text.size(), true);
    return parts;
  }

  Handle handle_;
};

}  // namespace

Result<std::unique_ptr<ChatTemplate>> ChatTemplate::compile(std::string_view source,
                                                            const std::vector<std::string>& special_texts) {
  std::vector<dw_text_view> specials;
  specials.reserve(special_texts.size());
  for (const std::string& text : special_texts) specials.push_back(view_of(text));
  Failure failure;
  Handle handle(dw_chat_template_compile(view_of(source), specials.data(), specials.size(), failure.out()));
  if (handle == nullptr) return failure.error();
  return std::unique_ptr<ChatTemplate>(std::make_unique<RustChatTemplate>(std::move(handle)));
}

}  // namespace deepwell
