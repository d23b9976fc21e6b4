// SPDX-License-Identifier: Apache-2.0
#include "server/model/generation.h"

#include <condition_variable>
#include <deque>
#include <mutex>

#include "text/stream/detokenizer.h"
#include "text/stream/stop_matcher.h"

namespace deepwell {
namespace {

/// Turns the engine's tokens into text that may be shown. Runs on the engine's thread only.
class TextSink final : public TokenSink {
 public:
  TextSink(const Tokenizer& tokenizer, GenerationOptions options,
           std::shared_ptr<GenerationListener> listener)
      : tokenizer_(tokenizer),
        stops_(std::move(options.stop)),
        keep_tokens_(options.sampling.logprobs >= 0),
        listener_(std::move(listener)) {}

  bool on_token(const TokenOutput& output) override {
    listener_->on_token();
    const std::size_t start = decoded_;
    const std::string text = characters_.push(tokenizer_.token_bytes(output.token));
    decoded_ += text.size();
    if (keep_tokens_) pending_.push_back({output, start, decoded_});
    StopMatcher::Output shown = stops_.push(text);
    if (shown.stopped) stop_ = std::move(shown.stop);
    emit(std::move(shown.text), shown.stopped);
    return !shown.stopped;
  }

  void on_progress(std::int64_t done, std::int64_t total) override { listener_->on_progress(done, total); }

  void on_finish(const FinishInfo& info) override {
    if (stop_.empty()) {
      // An unfinished character may complete a stop string only by its replacement mark; still, ask.
      const std::string rest = characters_.finish();
      decoded_ += rest.size();
      StopMatcher::Output shown = stops_.push(rest);
      if (shown.stopped) {
        stop_ = std::move(shown.stop);
      } else {
        shown.text += stops_.finish();
      }
      emit(std::move(shown.text), true);
    }
    GenerationFinish finish;
    finish.reason = stop_.empty() || info.reason == FinishReason::kError ? info.reason : FinishReason::kStop;
    finish.stop = stop_;
    finish.error = info.error;
    finish.prompt_tokens = info.prompt_tokens;
    finish.generated_tokens = info.generated_tokens;
    finish.cached_tokens = info.cached_tokens;
    finish.queue_seconds = info.queue_seconds;
    finish.prefill_seconds = info.prefill_seconds;
    finish.decode_seconds = info.decode_seconds;
    listener_->on_finish(finish);
  }

 private:
  struct PendingToken {
    TokenOutput output;
    std::size_t start, end;  ///< of its characters in the decoded text
  };

  // A token goes out with the last of its characters; at the end, with the first: what a stop string cut
  // off entirely is not part of the answer.
  void emit(std::string text, bool last) {
    shown_ += text.size();
    TextPiece piece{std::move(text), {}};
    while (!pending_.empty()) {
      const PendingToken& next = pending_.front();
      const bool out = next.end <= shown_ || (last && (next.start < shown_ || stop_.empty()));
      if (!out) break;
      piece.tokens.push_back(std::move(pending_.front().output));
      pending_.pop_front();
    }
    if (!piece.text.empty() || !piece.tokens.empty()) listener_->on_text(std::move(piece));
  }

  const Tokenizer& tokenizer_;
  Utf8Stream characters_;
  StopMatcher stops_;
  bool keep_tokens_;
  std::shared_ptr<GenerationListener> listener_;
  std::string stop_;
  std::deque<PendingToken> pending_;
  std::size_t decoded_ = 0, shown_ = 0;  ///< bytes of text made, and given to the listener
};

class Collector final : public GenerationListener {
 public:
  void on_text(TextPiece piece) override {
    result_.text += piece.text;
    for (TokenOutput& token : piece.tokens) result_.tokens.push_back(std::move(token));
  }
  void on_finish(const GenerationFinish& finish) override {
    const std::lock_guard lock(mutex_);
    result_.finish = finish;
    done_ = true;
    finished_.notify_all();
  }
  GeneratedText wait() {
    std::unique_lock lock(mutex_);
    finished_.wait(lock, [this] { return done_; });
    return std::move(result_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable finished_;
  bool done_ = false;
  GeneratedText result_;
};

}  // namespace

Result<std::uint64_t> start_generation(ServedModel& model, std::vector<Token> prompt,
                                       GenerationOptions options,
                                       std::shared_ptr<GenerationListener> listener) {
  EngineRequest request;
  request.prompt = std::move(prompt);
  request.sampling = options.sampling;
  request.max_tokens = options.max_tokens;
  request.ignore_end = options.ignore_end;
  return model.engine->submit(
      std::move(request),
      std::make_shared<TextSink>(*model.tokenizer, std::move(options), std::move(listener)));
}

Result<GeneratedText> generate(ServedModel& model, std::vector<Token> prompt, GenerationOptions options) {
  auto collector = std::make_shared<Collector>();
  DW_TRY([[maybe_unused]] const std::uint64_t id,
         start_generation(model, std::move(prompt), std::move(options), collector));
  return collector->wait();
}

}  // namespace deepwell
