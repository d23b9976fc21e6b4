// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstdio>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/repl/line_editor.h"

namespace deepwell {

struct ChatMessage {
  std::string role;  ///< "system", "user" or "assistant"
  std::string content;
  std::string reasoning{};  ///< an assistant's thinking
};

/// Values set by the user, by name (settings.h); a name that is absent means the backend's default.
using ChatSettings = std::map<std::string, double>;

struct AnswerStats {
  std::int64_t prompt_tokens = 0, cached_tokens = 0, generated_tokens = 0;
  double prefill_seconds = 0, decode_seconds = 0;
};

/// Whatever answers: a model here, a server elsewhere, a fake in a test.
class ChatBackend {
 public:
  virtual ~ChatBackend() = default;
  /// Takes text (whole UTF-8 characters), of the answer or of the thinking before it; false asks to stop, and
  /// answer() then returns success soon.
  using OnText = std::function<bool(std::string_view text, bool thinking)>;
  /// Answers on the calling thread. While there is no text yet (a long prompt is read), calls on_text with
  /// "" every 100 ms or so: that is how Ctrl-C gets through.
  virtual Result<AnswerStats> answer(const std::vector<ChatMessage>& messages, const ChatSettings& settings,
                                     const OnText& on_text) = 0;
};

struct ReplOptions {
  std::string system;     ///< the first system message; empty: none
  ChatSettings settings;  ///< as given by flags
  std::string greeting;   ///< shown on a terminal only
  bool hide_thinking = false;
};

/// Talks until the input ends or /exit. Answers go to `out`, complaints to `err`. Returns the exit code: 1 if
/// an answer failed and nobody sat there to see it (the input is no terminal), else 0.
int run_repl(LineEditor& editor, ChatBackend& backend, ReplOptions options, std::FILE* out, std::FILE* err);

}  // namespace deepwell
