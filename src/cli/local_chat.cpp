// SPDX-License-Identifier: Apache-2.0
#include "cli/local_chat.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>

#include "server/model/prompt.h"

namespace deepwell {
namespace {

/// Carries text from the engine's thread to the one that prints.
class Pipe final : public GenerationListener {
 public:
  void on_text(TextPiece piece) override {
    const std::lock_guard lock(mutex_);
    text_ += piece.text;
    changed_.notify_one();
  }
  void on_finish(const GenerationFinish& finish) override {
    const std::lock_guard lock(mutex_);
    finish_ = finish;
    changed_.notify_one();
  }
  /// Text that came within 100 ms; the finish once everything was taken.
  std::string take(std::optional<GenerationFinish>& finish) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::milliseconds(100), [&] { return !text_.empty() || finish_; });
    if (text_.empty()) finish = finish_;
    return std::exchange(text_, {});
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string text_;
  std::optional<GenerationFinish> finish_;
};

}  // namespace

GenerationOptions default_chat_options() {
  GenerationOptions options;
  options.sampling.temperature = 0.7F;
  options.sampling.top_p = 0.95F;
  options.sampling.min_p = 0.02F;
  return options;
}

GenerationOptions chat_options(const ChatSettings& settings, GenerationOptions options) {
  SamplingOptions& s = options.sampling;
  for (const auto& [name, value] : settings) {
    const auto number = static_cast<float>(value);
    if (name == "temperature") s.temperature = number;
    if (name == "top_p") s.top_p = number;
    if (name == "top_k") s.top_k = static_cast<int>(value);
    if (name == "min_p") s.min_p = number;
    if (name == "repeat_penalty") s.repetition_penalty = number;
    if (name == "frequency_penalty") s.frequency_penalty = number;
    if (name == "presence_penalty") s.presence_penalty = number;
    if (name == "seed") s.seed = static_cast<std::uint64_t>(value);
    if (name == "max_tokens") options.max_tokens = static_cast<std::int64_t>(value);
  }
  return options;
}

Result<GenerationFinish> stream_generation(ServedModel& model, std::vector<Token> prompt,
                                           const GenerationOptions& options,
                                           const ChatBackend::OnText& on_text) {
  const auto pipe = std::make_shared<Pipe>();
  DW_TRY(const std::uint64_t id, start_generation(model, std::move(prompt), options, pipe));
  std::optional<GenerationFinish> finish;
  bool wanted = true;
  while (!finish) {
    const std::string text = pipe->take(finish);
    if (wanted && !finish && !on_text(text)) {
      wanted = false;
      model.engine->cancel(id);
    }
  }
  if (finish->reason == FinishReason::kError) return Error{ErrorCode::kIo, finish->error};
  return *finish;
}

Result<AnswerStats> LocalChat::answer(const std::vector<ChatMessage>& messages, const ChatSettings& settings,
                                      const OnText& on_text) {
  ChatPrompt prompt;
  for (const ChatMessage& message : messages) prompt.messages.push_back({message.role, message.content});
  DW_TRY(std::vector<Token> tokens, encode_chat(*model_, prompt));
  DW_TRY(const GenerationFinish finish,
         stream_generation(*model_, std::move(tokens), chat_options(settings, defaults_), on_text));
  return AnswerStats{finish.prompt_tokens, finish.cached_tokens, finish.generated_tokens,
                     finish.prefill_seconds, finish.decode_seconds};
}

}  // namespace deepwell
