// SPDX-License-Identifier: Apache-2.0
// Goal: a text's vector is what transformers computes, and the same bits alone, in a crowd, in pieces and
// behind a prefix that was found. Method: tests/golden/engine/run/embeddings.txt
// (scripts/golden_embeddings.py) over the golden models.
#include <cmath>
#include <fstream>
#include <future>
#include <sstream>

#include "support/golden_file.h"
#include "tiny_engine.h"

namespace deepwell {
namespace {

using namespace testing_support;
using Vector = std::vector<float>;

class VectorSink final : public TokenSink {
 public:
  bool on_token(const TokenOutput& /*output*/) override {
    ADD_FAILURE() << "a vector was asked for";
    return false;
  }
  void on_embedding(Vector vector) override { vector_ = std::move(vector); }
  void on_finish(const FinishInfo& info) override {
    EXPECT_EQ(info.reason, FinishReason::kStop) << info.error;
    {
      const std::lock_guard lock(mutex_);
      info_ = info;
      done_ = true;
    }
    changed_.notify_all();
  }
  Vector wait() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::minutes(1), [&] { return done_; }));
    return vector_;
  }
  FinishInfo info_{};

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;
  Vector vector_;
};

std::shared_ptr<VectorSink> ask(Engine& engine, std::vector<std::int32_t> prompt, Pooling pooling) {
  EngineRequest request;
  request.prompt = std::move(prompt);
  request.pooling = pooling;
  auto sink = std::make_shared<VectorSink>();
  const auto id = engine.submit(std::move(request), sink);
  EXPECT_TRUE(id.ok());
  return sink;
}

TEST(Embedding, IsWhatTransformersComputes) {
  std::ifstream lines(golden_path("run/embeddings.txt"));
  std::string text;
  int compared = 0;
  for (; std::getline(lines, text); ++compared) {
    std::istringstream line(text);
    std::string name, pooling;
    line >> name >> pooling;
    SCOPED_TRACE(name + " " + pooling);
    std::vector<double> want;
    for (double x = 0; line >> x;) want.push_back(x);
    auto file = open_gguf(golden_path("models/" + name));
    ASSERT_TRUE(file.ok());
    std::vector<std::int32_t> tokens = golden_tokens(**file);
    EngineOptions options;
    options.threads = 2;
    options.exact = true;
    options.cache_type = CacheType::kF32;
    auto engine = Engine::load(std::shared_ptr<const ModelFile>(std::move(*file)), options, {});
    ASSERT_TRUE(engine.ok());
    const Vector got =
        ask(**engine, std::move(tokens), pooling == "mean" ? Pooling::kMean : Pooling::kLast)->wait();
    ASSERT_EQ(got.size(), want.size());
    for (std::size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(double{got[i]}, want[i], 1e-4) << i;
  }
  EXPECT_EQ(compared, 8);
}

TEST(Embedding, IsTheSameAloneInACrowdAndInPieces) {
  EngineOptions options;
  options.prefill_chunk = 37;
  options.parallel = 4;
  const auto whole = tiny_engine(), pieces = tiny_engine(options);
  for (const Pooling pooling : {Pooling::kMean, Pooling::kLast}) {
    std::vector<Vector> alone;
    for (std::size_t i = 0; i < 12; ++i)
      alone.push_back(ask(*whole, some_prompt(40 + 17 * i, i), pooling)->wait());
    std::vector<std::shared_ptr<VectorSink>> crowd;
    const auto talking = std::make_shared<NotingSink>();
    ASSERT_TRUE(pieces->submit(request_of(some_prompt(90, 99), 100), talking).ok());
    for (std::size_t i = 0; i < 12; ++i) crowd.push_back(ask(*pieces, some_prompt(40 + 17 * i, i), pooling));
    for (std::size_t i = 0; i < 12; ++i) EXPECT_EQ(crowd[i]->wait(), alone[i]) << i;
    talking->wait();
  }
  EXPECT_EQ(settled(*pieces).pages_used, 0);
}

TEST(Embedding, OfTheLastTokenGoesOnFromAPrefix) {
  const auto engine = tiny_engine();
  const auto first = ask(*engine, some_prompt(200, 1), Pooling::kLast);
  const Vector vector = first->wait();
  const auto second = ask(*engine, some_prompt(200, 1), Pooling::kLast);
  EXPECT_EQ(second->wait(), vector);
  EXPECT_EQ(second->info_.cached_tokens, 192);
  const auto mean = ask(*engine, some_prompt(200, 1), Pooling::kMean);
  EXPECT_NE(mean->wait(), vector);
  EXPECT_EQ(mean->info_.cached_tokens, 0);
}

TEST(Embedding, WhatWasTakenInIsNotRefusedByAFullQueue) {
  EngineOptions options;
  options.queue = 0;
  options.parallel = 1;
  const auto engine = tiny_engine(options);
  const auto talking = std::make_shared<NotingSink>();
  std::promise<void> tried;
  talking->go_on = [until = tried.get_future().share()](std::size_t) {
    until.wait();  // it must not end before the others have asked
    return true;
  };
  ASSERT_TRUE(engine->submit(request_of(some_prompt(10, 1), 100), talking).ok());
  EngineRequest request = request_of(some_prompt(10, 2), 1);
  EXPECT_FALSE(engine->submit(request, talking).ok());
  request.admitted = true;
  const auto later = std::make_shared<NotingSink>();
  EXPECT_TRUE(engine->submit(request, later).ok());
  tried.set_value();
  later->wait();
  talking->wait();
}

}  // namespace
}  // namespace deepwell
