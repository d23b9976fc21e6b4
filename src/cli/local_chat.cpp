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
    for (ReplyEvent& event : piece.events) events_.push_back(std::move(event));
    changed_.notify_one();
  }
  void on_finish(const GenerationFinish& finish) override {
    const std::lock_guard lock(mutex_);
    finish_ = finish;
    changed_.notify_one();
  }
  /// What came within 100 ms; the finish once everything was taken.
  std::vector<ReplyEvent> take(std::optional<GenerationFinish>& finish) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::milliseconds(100), [&] { return !events_.empty() || finish_; });
    if (events_.empty()) finish = finish_;
    return std::exchange(events_, {});
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<ReplyEvent> events_;
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
    const std::vector<ReplyEvent> events = pipe->take(finish);
    bool goes_on = !wanted || finish || !events.empty() || on_text("", false);
    for (const ReplyEvent& event : events) {
      if (!wanted || !goes_on) break;
      const bool text = event.kind == ReplyEvent::Kind::kText;
      if (text || event.kind == ReplyEvent::Kind::kReasoning) goes_on = on_text(event.text, !text);
    }
    if (wanted && !goes_on) {
      wanted = false;
      model.engine->cancel(id);
    }
  }
  if (finish->reason == FinishReason::kError) return Error{ErrorCode::kIo, finish->error};
  return *finish;
}

ReplyFormat reply_format(const ServedModel& model, const ChatTokens& chat) {
  return {model.chat->reply_language(), {chat.start, /*parse_tools=*/false, ""}};
}

Result<AnswerStats> LocalChat::answer(const std::vector<ChatMessage>& messages, const ChatSettings& settings,
                                      const OnText& on_text) {
  Conversation conversation;
  for (const ChatMessage& message : messages) {
    Message one{message.role, message.content};
    if (!message.reasoning.empty()) one.reasoning = message.reasoning;
    conversation.messages.push_back(std::move(one));
  }
  if (const auto thinking = settings.find("thinking"); thinking != settings.end())
    conversation.thinking = thinking->second > 0;
  DW_TRY(ChatTokens chat, encode_chat(*model_, conversation));
  GenerationOptions options = chat_options(settings, defaults_);
  options.reply = reply_format(*model_, chat);
  DW_TRY(const GenerationFinish finish, stream_generation(*model_, std::move(chat.tokens), options, on_text));
  return AnswerStats{finish.prompt_tokens, finish.cached_tokens, finish.generated_tokens,
                     finish.prefill_seconds, finish.decode_seconds};
}

}  // namespace deepwell
