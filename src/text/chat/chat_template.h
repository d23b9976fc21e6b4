// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace deepwell {

/// A rendered prompt in parts: from_template parts are tokenized with special tokens (parse_special), the
/// others as plain text, so nobody can forge a turn. An honest prompt is one part: its tokens are exactly
/// those of the whole text. Only where a special token's text holds characters that a user wrote does a part
/// with from_template = false stand, and it holds just that text.
struct PromptPart {
  std::string text;
  bool from_template;
};

/// A Jinja chat template as Hugging Face writes them (raise_exception, strftime_now, tojson, loop controls),
/// rendered by minijinja. Immutable; safe to share between threads.
class ChatTemplate {
 public:
  /// `special_texts`: every text that the tokenizer turns into one token when parse_special is set (control
  /// and user-defined tokens); without them a user's "<|im_start|>" cannot be told from the template's.
  /// Errors: kInvalid with the line of the template.
  static Result<std::unique_ptr<ChatTemplate>> compile(std::string_view source,
                                                       const std::vector<std::string>& special_texts);
  virtual ~ChatTemplate() = default;

  /// `context_json`: an object with "messages" (role, content, ...), "add_generation_prompt", "bos_token",
  /// "eos_token", "tools" and whatever else the template reads. Strings anywhere in it are a user's, but for
  /// top-level keys ending in "_token". The order of keys shows in prompts that list tools: build it with
  /// nlohmann::ordered_json. The texts <think>, </think>, <tool_call> and </tool_call> count as
  /// the template's in messages of role "assistant": templates cut history at them, and models wrote them.
  /// Filters, concatenation, trimming, slicing and changes of case do not hide where a text came from; a
  /// template that takes a user's string apart by characters and joins them in another order may.
  /// Limits: output 16 MiB, 5 million steps (one also pays for 64 bytes made), template 1 MiB.
  /// Errors: kInvalid (raise_exception's text, or what failed).
  virtual Result<std::vector<PromptPart>> render(std::string_view context_json) const = 0;
};

}  // namespace deepwell
