// SPDX-License-Identifier: Apache-2.0
#include "server/model/generation.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <new>

#include "text/chat/assemble.h"
#include "text/stream/detokenizer.h"
#include "text/stream/stop_matcher.h"

namespace deepwell {
namespace {

/// Turns the engine's tokens into a reply that may be shown. Runs on the engine's thread only.
class TextSink final : public TokenSink {
 public:
  TextSink(const Tokenizer& tokenizer, GenerationOptions options,
           std::shared_ptr<GenerationListener> listener)
      : tokenizer_(tokenizer),
        stop_texts_(std::move(options.stop)),
        stops_(stop_texts_),
        keep_tokens_(options.sampling.logprobs >= 0),
        listener_(std::move(listener)) {
    if (!options.reply) return;
    for (const std::string_view marker : ReplyParser::markers(options.reply->language)) {
      if (const std::optional<Token> token = tokenizer.find(marker)) markers_.push_back(*token);
    }
    parser_ = ReplyParser::make(options.reply->language, std::move(options.reply->options));
  }

  // The engine has nobody above these who could catch: an answer without memory for its text ends alone.
  bool on_token(const TokenOutput& output) override {
    if (!within_memory([&] { take(output); })) stopped_ = true;
    return !stopped_;
  }
  void on_progress(std::int64_t done, std::int64_t total) override {
    within_memory([&] { listener_->on_progress(done, total); });
  }
  void on_queue(const QueuePlace& place) override {
    within_memory([&] { listener_->on_queue(place); });
  }
  void on_finish(const FinishInfo& info) override {
    within_memory([&] { show_rest(); });
    // Should even this fail, letting go of the listener ends the answer.
    within_memory([&] { listener_->on_finish(to_finish(info)); });
  }

 private:
  struct PendingToken {
    TokenOutput output;
    std::size_t start, end;  ///< of its characters in the decoded text
  };

  template <class Work>
  bool within_memory(Work work) {
    try {
      work();
      return true;
    } catch (const std::bad_alloc&) {
      out_of_memory_ = true;
      return false;
    }
  }

  GenerationFinish to_finish(const FinishInfo& info) const {
    GenerationFinish finish;
    finish.reason = out_of_memory_                                     ? FinishReason::kError
                    : !stopped_ || info.reason == FinishReason::kError ? info.reason
                                                                       : FinishReason::kStop;
    finish.stop = stop_;
    finish.error = out_of_memory_ ? "out of memory" : info.error;
    finish.prompt_tokens = info.prompt_tokens;
    finish.generated_tokens = info.generated_tokens;
    finish.cached_tokens = info.cached_tokens;
    finish.queue_seconds = info.queue_seconds;
    finish.prefill_seconds = info.prefill_seconds;
    finish.decode_seconds = info.decode_seconds;
    finish.estimated_queue_seconds = info.estimated_queue_seconds;
    return finish;
  }

  void take(const TokenOutput& output) {
    listener_->on_token();
    const std::size_t start = decoded_;
    const bool marker = std::find(markers_.begin(), markers_.end(), output.token) != markers_.end();
    const std::string text = characters_.push(tokenizer_.token_bytes(output.token, marker));
    decoded_ += text.size();
    if (keep_tokens_) pending_.push_back({output, start, decoded_});
    show(parse(text));
  }

  void show_rest() {
    if (stopped_) return;
    // An unfinished character may complete a stop string only by its replacement mark; still, ask.
    const std::string rest = characters_.finish();
    decoded_ += rest.size();
    std::vector<ReplyEvent> events = parse(rest);
    if (parser_ != nullptr) {
      for (ReplyEvent& event : parser_->finish()) events.push_back(std::move(event));
    }
    last_ = true;
    show(std::move(events));
  }

  std::vector<ReplyEvent> parse(std::string_view text) {
    if (parser_ != nullptr) return parser_->feed(text);
    if (text.empty()) return {};
    return {{ReplyEvent::Kind::kText, std::string(text)}};
  }

  // Looks for stop strings in the answer's text; thinking and calls pass.
  void show(std::vector<ReplyEvent> events) {
    std::vector<ReplyEvent> out;
    const auto add_text = [&out](std::string text) {
      if (!text.empty()) out.push_back({ReplyEvent::Kind::kText, std::move(text)});
    };
    for (ReplyEvent& event : events) {
      if (event.kind != ReplyEvent::Kind::kText) {
        add_text(stops_.finish());
        stops_ = StopMatcher(stop_texts_);
        stop_held_ = 0;
        out.push_back(std::move(event));
        continue;
      }
      StopMatcher::Output shown = stops_.push(event.text);
      stop_held_ += event.text.size() - shown.text.size();
      add_text(std::move(shown.text));
      if (!shown.stopped) continue;
      stopped_ = true;
      stop_ = std::move(shown.stop);
      break;
    }
    if (last_ && !stopped_) add_text(stops_.finish());
    emit(std::move(out));
  }

  // A token goes out with the last of its characters; at the end, with the first: what a stop string cut
  // off entirely is not part of the answer.
  void emit(std::vector<ReplyEvent> events) {
    const std::size_t held = (parser_ != nullptr ? parser_->held() : 0) + stop_held_;
    const std::size_t shown = last_ && !stopped_ ? decoded_ : decoded_ - std::min(decoded_, held);
    const bool last = last_ || stopped_;
    TextPiece piece{std::move(events), {}};
    while (!pending_.empty()) {
      const PendingToken& next = pending_.front();
      const bool out = next.end <= shown || (last && (next.start < shown || !stopped_));
      if (!out) break;
      piece.tokens.push_back(std::move(pending_.front().output));
      pending_.pop_front();
    }
    if (!piece.events.empty() || !piece.tokens.empty()) listener_->on_text(std::move(piece));
  }

  const Tokenizer& tokenizer_;
  std::unique_ptr<ReplyParser> parser_;  ///< nullptr: everything is text
  std::vector<Token> markers_;           ///< control tokens that mean something to the parser
  Utf8Stream characters_;
  std::vector<std::string> stop_texts_;
  StopMatcher stops_;
  bool keep_tokens_;
  std::shared_ptr<GenerationListener> listener_;
  bool stopped_ = false, last_ = false, out_of_memory_ = false;
  std::string stop_;
  std::deque<PendingToken> pending_;
  std::size_t decoded_ = 0;    ///< bytes of text made
  std::size_t stop_held_ = 0;  ///< of those, held by stops_, or cut off with the stop string
};

class Collector final : public GenerationListener {
 public:
  void on_text(TextPiece piece) override {
    for (const ReplyEvent& event : piece.events) append(result_.message, event);
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
  request.constraint = options.constraint;
  request.account = options.account;
  if (!options.shared_prefixes) request.prefix_space = options.account;
  request.priority = options.priority;
  request.admitted = options.admitted;
  request.deadline = options.deadline;
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
