// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "cli/repl/repl.h"
#include "server/model/generation.h"
#include "server/model/prompt.h"

namespace deepwell {

/// What `run` answers with unless told otherwise: lively, but not astray.
GenerationOptions default_chat_options();
/// Settings by their names in settings.h over the defaults.
GenerationOptions chat_options(const ChatSettings& settings, GenerationOptions options);

/// A chat without tools: thinking is told from the answer.
ReplyFormat reply_format(const ServedModel& model, const ChatTokens& chat);

/// Generates on the engine's thread and hands text to `on_text` on the calling one. on_text gets "" every
/// 100 ms while there is none; when it returns false the generation is cancelled.
Result<GenerationFinish> stream_generation(ServedModel& model, std::vector<Token> prompt,
                                           const GenerationOptions& options,
                                           const ChatBackend::OnText& on_text);

/// A loaded model as the terminal chat's partner.
class LocalChat final : public ChatBackend {
 public:
  LocalChat(std::shared_ptr<ServedModel> model, GenerationOptions defaults)
      : model_(std::move(model)), defaults_(std::move(defaults)) {}
  Result<AnswerStats> answer(const std::vector<ChatMessage>& messages, const ChatSettings& settings,
                             const OnText& on_text) override;

 private:
  std::shared_ptr<ServedModel> model_;
  GenerationOptions defaults_;
};

}  // namespace deepwell
