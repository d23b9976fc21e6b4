// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "engine/formats/model_file.h"
#include "engine/run/engine.h"
#include "support/eventually.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace deepwell::testing_support {

/// Notes all that a request says, and lets a test wait for its end.
class NotingSink final : public TokenSink {
 public:
  std::function<bool(std::size_t tokens)> go_on;  ///< called with the number of tokens so far
  std::function<void()> progressed;

  bool on_token(const TokenOutput& output) override {
    std::size_t count = 0;
    {
      const std::lock_guard lock(mutex_);
      tokens_.push_back(output.token);
      outputs_.push_back(output);
      count = tokens_.size();
    }
    changed_.notify_all();
    return !go_on || go_on(count);
  }
  void on_progress(std::int64_t done, std::int64_t total) override {
    {
      const std::lock_guard lock(mutex_);
      progress_.emplace_back(done, total);
    }
    if (progressed) progressed();
  }
  void on_finish(const FinishInfo& info) override {
    {
      const std::lock_guard lock(mutex_);
      ++finishes_;
      info_ = info;
    }
    changed_.notify_all();
  }

  /// Waits up to a minute; a request that never ends fails the test.
  FinishInfo wait() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::minutes(1), [&] { return finishes_ > 0; }));
    return info_;
  }
  void wait_for_tokens(std::size_t count) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::minutes(1),
                                  [&] { return tokens_.size() >= count || finishes_ > 0; }));
  }
  std::vector<std::int32_t> tokens() const { return copy(tokens_); }
  std::vector<TokenOutput> outputs() const { return copy(outputs_); }
  std::vector<std::pair<std::int64_t, std::int64_t>> progress() const { return copy(progress_); }
  int finishes() const { return copy(finishes_); }

 private:
  template <class T>
  T copy(const T& value) const {
    const std::lock_guard lock(mutex_);
    return value;
  }
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::int32_t> tokens_;
  std::vector<TokenOutput> outputs_;
  std::vector<std::pair<std::int64_t, std::int64_t>> progress_;
  int finishes_ = 0;
  FinishInfo info_{};
};

/// An engine over a tiny random model of 128 tokens and a context of 512.
inline std::unique_ptr<Engine> tiny_engine(EngineOptions options = {}, Engine::EndToken ends = {}) {
  const TempDir temp;
  TinyModel{}.build().write(temp / "tiny.gguf");
  auto file = open_gguf(temp / "tiny.gguf");
  DW_CHECK(file.ok());
  if (options.threads == 0) options.threads = 2;
  auto engine = Engine::load(std::shared_ptr<const ModelFile>(std::move(file).value()), std::move(options),
                             std::move(ends));
  DW_CHECK(engine.ok());
  return std::move(engine).value();
}

inline std::vector<std::int32_t> some_prompt(std::size_t length, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<std::int32_t> tokens;
  while (tokens.size() < length) tokens.push_back(static_cast<std::int32_t>(random() % 128));
  return tokens;
}

inline EngineRequest request_of(std::vector<std::int32_t> prompt, std::int64_t max_tokens,
                                std::optional<std::uint64_t> seed = std::nullopt) {
  EngineRequest request;
  request.prompt = std::move(prompt);
  request.max_tokens = max_tokens;
  request.sampling.seed = seed;
  if (!seed) request.sampling.temperature = 0;
  return request;
}

/// When the engine thread has put its books in order (after the last on_finish).
inline EngineStats settled(const Engine& engine) {
  EngineStats stats{};
  eventually([&] {
    stats = engine.stats();
    return stats.running == 0 && stats.waiting == 0 && stats.pages_used == 0;
  });
  return stats;
}

/// Holds the engine's thread, where a sink passes it, until told otherwise: meanwhile nothing starts or ends.
class Gate {
 public:
  void pass() {
    std::unique_lock lock(mutex_);
    reached_ = true;
    changed_.notify_all();
    changed_.wait(lock, [&] { return open_; });
  }
  void wait_until_reached() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return reached_; });
  }
  void let_go() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false, reached_ = false;
};

}  // namespace deepwell::testing_support
