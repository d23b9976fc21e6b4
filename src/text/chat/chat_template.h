// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace deepwell {

/// A rendered prompt in parts: what the template wrote, and what users wrote. Only the former may hold
/// special tokens; the latter is tokenized as plain text, so nobody can forge a turn.
struct PromptPart {
  std::string text;
  bool from_template;
};

/// A Jinja chat template as Hugging Face writes them (raise_exception, strftime_now, tojson, loop controls),
/// rendered by minijinja. Immutable; safe to share between threads.
class ChatTemplate {
 public:
  /// Errors: kInvalid with the line of the template.
  static Result<std::unique_ptr<ChatTemplate>> compile(std::string source);
  virtual ~ChatTemplate() = default;

  /// `context_json`: an object with "messages" (role, content, ...), "add_generation_prompt", "bos_token",
  /// "eos_token", "tools" and whatever else the template reads. Strings inside "messages" and "tools" come
  /// back as parts with from_template = false, whatever filters they passed through where that can be known.
  /// Limits: output 16 MiB, 5 million steps. Errors: kInvalid (raise_exception's text, or what failed).
  virtual Result<std::vector<PromptPart>> render(std::string_view context_json) const = 0;
};

}  // namespace deepwell
