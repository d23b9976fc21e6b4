// SPDX-License-Identifier: Apache-2.0
// A model without weights: a vocabulary of bytes and a few words, ChatML, and an engine that says what it is
// told to. Everything else in a test of the server is real.
#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "server/app/app.h"
#include "server/model/served_model.h"
#include "text/chat/template_encoder.h"

namespace deepwell::fakes {

/// 0..255 are bytes; then control tokens; then words, the longest match wins.
class FakeTokenizer final : public Tokenizer {
 public:
  static constexpr Token kTurnStart = 256, kTurnEnd = 257, kBos = 258, kFirstWord = 259;

  explicit FakeTokenizer(bool add_bos = false) : add_bos_(add_bos) {
    for (int byte = 0; byte < 256; ++byte) texts_.emplace_back(1, static_cast<char>(byte));
    for (const char* control : {"<|im_start|>", "<|im_end|>", "<s>"}) texts_.emplace_back(control);
    for (const char* word : {"Hello", " world", "\n\n", "你好", " the", "STOP"}) texts_.emplace_back(word);
    vocabulary_.tokens = texts_;
    vocabulary_.types.assign(texts_.size(), TokenType::kNormal);
    for (Token token = kTurnStart; token <= kBos; ++token) {
      vocabulary_.types[static_cast<std::size_t>(token)] = TokenType::kControl;
    }
    vocabulary_.bos = kBos;
    vocabulary_.eos = kTurnEnd;
  }

  std::vector<Token> encode(std::string_view text, EncodeOptions options) const override {
    std::vector<Token> tokens;
    if (options.add_special && add_bos_) tokens.push_back(kBos);
    while (!text.empty()) {
      Token best = static_cast<unsigned char>(text[0]);
      for (Token token = kTurnStart; token < size(); ++token) {
        if (token < kFirstWord && !options.parse_special) continue;
        const std::string& candidate = texts_[static_cast<std::size_t>(token)];
        if (text.starts_with(candidate) && candidate.size() > texts_[static_cast<std::size_t>(best)].size())
          best = token;
      }
      tokens.push_back(best);
      text.remove_prefix(texts_[static_cast<std::size_t>(best)].size());
    }
    return tokens;
  }
  std::string_view token_bytes(Token token, bool show_control = false) const override {
    if (token < 0 || token >= size()) return {};
    if (!show_control && token >= kTurnStart && token <= kBos) return {};
    return texts_[static_cast<std::size_t>(token)];
  }
  Token size() const override { return static_cast<Token>(texts_.size()); }
  const Vocabulary& vocabulary() const override { return vocabulary_; }
  std::optional<Token> find(std::string_view text) const override {
    for (Token token = 0; token < size(); ++token) {
      if (texts_[static_cast<std::size_t>(token)] == text) return token;
    }
    return std::nullopt;
  }
  bool ends_generation(Token token) const override { return token == kTurnEnd; }

 private:
  bool add_bos_;
  std::vector<std::string> texts_;
  Vocabulary vocabulary_;
};

class FakeTemplate final : public ChatTemplate {
 public:
  explicit FakeTemplate(bool writes_bos = false) : writes_bos_(writes_bos) {}
  Result<std::vector<PromptPart>> render(std::string_view context_json) const override {
    const auto context = nlohmann::json::parse(context_json);
    std::vector<PromptPart> parts;
    if (writes_bos_) parts.push_back({context["bos_token"].get<std::string>(), true});
    for (const auto& message : context["messages"]) {
      if (message["content"] == "raise") return Error{ErrorCode::kInvalid, "the template says no"};
      parts.push_back({"<|im_start|>" + message["role"].get<std::string>() + "\n", true});
      parts.push_back({message["content"].get<std::string>(), false});
      parts.push_back({"<|im_end|>\n", true});
    }
    if (context["add_generation_prompt"] == true) parts.push_back({"<|im_start|>assistant\n", true});
    return parts;
  }

 private:
  bool writes_bos_;
};

/// What the fake engine says, and how.
struct Script {
  std::vector<Token> reply;
  std::function<std::vector<Token>(const EngineRequest&)> choose{};  ///< instead of `reply`
  std::chrono::microseconds per_token{0};
  bool held = false;    ///< takes requests but computes nothing until release()
  int pause_at = -1;    ///< tokens of an answer, then it waits until release()
  int fail_after = -1;  ///< tokens, then kError
  int parallel = 64, queue = 1000;
  std::int64_t context = 4096;
};

class FakeEngine final : public Engine {
 public:
  FakeEngine(const Tokenizer& tokenizer, Script script) : script_(std::move(script)) {
    info_.name = "fake";
    info_.architecture = "fake";
    info_.vocabulary = tokenizer.size();
    info_.context = script_.context;
    info_.width = 4;
    thread_ = std::thread([this] { work(); });
  }
  ~FakeEngine() override {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  Result<std::uint64_t> submit(EngineRequest request, std::shared_ptr<TokenSink> sink) override {
    const std::lock_guard lock(mutex_);
    if (static_cast<int>(runs_.size()) >= script_.parallel + script_.queue) {
      return Error{ErrorCode::kOverloaded,
                   "the queue is full (" + std::to_string(script_.queue) + " waiting)"};
    }
    last_ = request;
    std::vector<Token> reply = script_.choose ? script_.choose(request) : script_.reply;
    runs_.push_back({++next_id_, std::move(request), std::move(sink), std::move(reply)});
    ++stats_.requests;
    changed_.notify_all();
    return next_id_;
  }
  void cancel(std::uint64_t id) override {
    const std::lock_guard lock(mutex_);
    for (Run& run : runs_) {
      if (run.id == id) run.cancelled = true;
    }
    changed_.notify_all();
  }
  void look_up(std::vector<std::int32_t> prompt, std::string /*space*/,
               std::function<void(std::int64_t)> then) override {
    then(static_cast<std::int64_t>(prompt.size() / 64 * 64));
  }
  const EngineInfo& info() const override { return info_; }
  EngineStats stats() const override {
    const std::lock_guard lock(mutex_);
    EngineStats stats = stats_;
    stats.running = std::min(static_cast<int>(runs_.size()), script_.parallel);
    stats.waiting = static_cast<int>(runs_.size()) - stats.running;
    stats.pages_total = 100;
    stats.pages_used = stats.running;
    return stats;
  }

  void release() { pause_at(-1); }
  /// Answers under way, and later ones, go on to so many tokens; -1: to their end.
  void pause_at(int tokens) {
    const std::lock_guard lock(mutex_);
    script_.held = false;
    script_.pause_at = tokens;
    changed_.notify_all();
  }
  EngineRequest last_request() const {
    const std::lock_guard lock(mutex_);
    return last_;
  }

 private:
  struct Run {
    std::uint64_t id;
    EngineRequest request;
    std::shared_ptr<TokenSink> sink;
    std::vector<Token> reply;
    std::size_t made = 0, said = 0;
    bool cancelled = false, stopped = false;
  };

  void work() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return stop_ || ready(); });
      const std::size_t batch = std::min(runs_.size(), static_cast<std::size_t>(script_.parallel));
      for (std::size_t i = 0; i < batch; ++i) {
        if (!runs_[i].cancelled && (paused(runs_[i]) || stop_)) continue;
        step(lock, runs_[i].id);
      }
      drop_finished(lock);
      if (stop_ && runs_.empty()) return;
      if (script_.per_token.count() > 0) changed_.wait_for(lock, script_.per_token, [this] { return stop_; });
    }
  }
  bool ready() const {
    return std::any_of(runs_.begin(), runs_.end(),
                       [this](const Run& run) { return run.cancelled || !paused(run); });
  }
  bool paused(const Run& run) const { return script_.held || static_cast<int>(run.made) == script_.pause_at; }
  Run* find(std::uint64_t id) {
    for (Run& run : runs_) {
      if (run.id == id) return &run;
    }
    return nullptr;
  }
  bool is_over(const Run& run) const {
    if (run.request.pooling) return stop_ || run.cancelled || run.stopped;
    if (run.request.constraint != nullptr)
      return stop_ || run.cancelled || run.stopped || run.request.constraint->finished() ||
             run.made >= 2000 || static_cast<int>(run.made) == script_.fail_after ||
             (run.request.max_tokens >= 0 && run.made >= static_cast<std::size_t>(run.request.max_tokens));
    const auto max =
        run.request.max_tokens < 0 ? run.reply.size() : static_cast<std::size_t>(run.request.max_tokens);
    return stop_ || run.cancelled || run.stopped || run.made >= std::min(max, run.reply.size()) ||
           static_cast<int>(run.made) == script_.fail_after;
  }
  // What the script says where it may, else whatever leads to an end.
  Token constrained(Run& run) {
    std::vector<std::uint32_t> bits(static_cast<std::size_t>(info_.vocabulary + 31) / 32);
    if (!run.request.constraint->mask(bits)) {
      run.stopped = true;
      return 0;
    }
    const auto allowed = [&](Token token) {
      return (bits[static_cast<std::size_t>(token) / 32] >> (token % 32) & 1U) != 0;
    };
    Token chosen = run.said < run.reply.size() ? run.reply[run.said] : Token{FakeTokenizer::kTurnEnd};
    if (run.said < run.reply.size() && allowed(chosen)) {
      ++run.said;
    } else {
      for (const Token token :
           {Token{FakeTokenizer::kTurnEnd}, Token{'"'}, Token{'}'}, Token{']'}, Token{'7'}})
        if (chosen = token; allowed(token)) break;
      for (Token token = 33; !allowed(chosen) && token < info_.vocabulary + 33; ++token)
        chosen = token % static_cast<Token>(info_.vocabulary);
    }
    if (!run.request.constraint->accept(chosen)) run.stopped = true;
    return chosen;
  }
  // Sinks are called without the lock, as an engine must: they may call cancel().
  void step(std::unique_lock<std::mutex>& lock, std::uint64_t id) {
    Run* run = find(id);
    if (is_over(*run)) return;
    if (run->request.pooling) {
      run->stopped = true;
      const auto sink = run->sink;
      const auto tokens = static_cast<float>(run->request.prompt.size());
      lock.unlock();
      sink->on_embedding({3, 0, 4, tokens});
      lock.lock();
      return;
    }
    TokenOutput output{
        run->request.constraint != nullptr ? constrained(*run) : run->reply[run->made], std::nullopt, {}};
    ++run->made;
    if (run->request.constraint != nullptr && output.token == FakeTokenizer::kTurnEnd) {
      --run->made;
      run->stopped = true;
      return;
    }
    const int logprobs = run->request.sampling.logprobs;
    if (logprobs >= 0) {
      output.logprob = -0.25F;
      for (int i = 0; i < logprobs; ++i)
        output.top.push_back({i == 0 ? output.token : 'a' + i, -0.25F - static_cast<float>(i)});
    }
    ++stats_.generated_tokens;
    const auto sink = run->sink;
    lock.unlock();
    const bool go_on = sink->on_token(output);
    lock.lock();
    if (!go_on) find(id)->stopped = true;
  }
  void drop_finished(std::unique_lock<std::mutex>& lock) {
    for (std::size_t i = 0; i < runs_.size();) {
      if (!is_over(runs_[i])) {
        ++i;
        continue;
      }
      Run run = std::move(runs_[i]);
      runs_.erase(runs_.begin() + static_cast<std::ptrdiff_t>(i));
      FinishInfo info{};
      const bool failed = static_cast<int>(run.made) == script_.fail_after;
      const bool shut_down = stop_ && run.made < run.reply.size();
      info.reason = run.cancelled || shut_down ? FinishReason::kCancelled
                    : failed                   ? FinishReason::kError
                    : run.stopped              ? FinishReason::kStop
                    : run.request.constraint != nullptr && run.request.constraint->finished()
                        ? FinishReason::kStop
                    : run.made >= run.reply.size() ? FinishReason::kStop
                                                   : FinishReason::kLength;
      if (failed) info.error = "the fake engine was told to fail";
      info.prompt_tokens = static_cast<std::int64_t>(run.request.prompt.size());
      info.generated_tokens = static_cast<std::int64_t>(run.made);
      info.prefill_seconds = 0.01;
      info.decode_seconds = 0.02;
      stats_.prompt_tokens += info.prompt_tokens;
      if (run.cancelled) ++stats_.cancelled;
      lock.unlock();
      run.sink->on_finish(info);
      run.sink.reset();
      lock.lock();
    }
  }

  Script script_;
  EngineInfo info_{};
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Run> runs_;
  EngineStats stats_;
  EngineRequest last_;
  std::uint64_t next_id_ = 0;
  bool stop_ = false;
  std::thread thread_;
};

inline std::vector<Token> tokens_of(std::string_view text) { return FakeTokenizer().encode(text, {}); }

/// `chat_source`: what the template is said to be; it decides how replies are read.
inline std::shared_ptr<ServedModel> fake_model(Script script, const std::string& id = "fake-model",
                                               std::string_view chat_source = "") {
  auto model = std::make_shared<ServedModel>();
  model->id = id;
  model->created_unix_seconds = 1700000000;
  model->tokenizer = std::make_unique<FakeTokenizer>();
  model->grammars = std::make_unique<GrammarCompiler>(*model->tokenizer);
  model->chat = make_template_encoder(std::make_unique<FakeTemplate>(), chat_source, "<s>", "<|im_end|>");
  model->engine = std::make_unique<FakeEngine>(*model->tokenizer, std::move(script));
  return model;
}

}  // namespace deepwell::fakes
