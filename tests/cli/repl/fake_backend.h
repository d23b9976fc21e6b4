// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <thread>

#include "cli/repl/repl.h"

namespace deepwell {

/// Answers "echo: " and the last message, a character at a time; "slow" answers until it is stopped, "fail"
/// fails.
class FakeBackend final : public ChatBackend {
 public:
  Result<AnswerStats> answer(const std::vector<ChatMessage>& messages, const ChatSettings& settings,
                             const OnText& on_text) override {
    seen = messages;
    seen_settings = settings;
    ++answers;
    const std::string last = messages.back().content;
    if (last == "fail") return Error{ErrorCode::kOverloaded, "too much at once"};
    if (last == "slow")
      for (int i = 0; i < 6000; ++i) {
        if (!on_text(i % 10 == 0 ? "tick " : "", false)) return AnswerStats{};
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
      }
    if (last == "think" && settings.contains("thinking") && settings.at("thinking") > 0) {
      if (!on_text("let me ", true) || !on_text("see", true)) return AnswerStats{};
    }
    const std::string text = "echo: " + last;
    for (std::size_t i = 0; i < text.size();) {
      std::size_t size = 1;
      while (i + size < text.size() && (static_cast<unsigned char>(text[i + size]) & 0xC0) == 0x80) ++size;
      if (!on_text(std::string_view(text).substr(i, size), false)) break;
      i += size;
    }
    return AnswerStats{10, 4, 20, 0.5, 2.0};
  }
  std::vector<ChatMessage> seen;
  ChatSettings seen_settings;
  int answers = 0;
};

}  // namespace deepwell
