// SPDX-License-Identifier: Apache-2.0
// Goal: whoever guesses, and however wrongly, requests get the tokens that they get without: of each seed,
// and so in distribution; through the prefix cache, through memory that is short, and where a model keeps a
// rolling state. Method: tiny models with and without; as smaller models the model itself, which is right,
// and a stranger; distributions of many seeds against the model's own probabilities.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <cmath>
#include <map>
#include <random>

#include "engine/run/describe.h"
#include "engine/run/drafters.h"
#include "engine/run/model_drafter.h"
#include "engine/run/mtp_drafter.h"
#include "engine/run/scheduler.h"
#include "engine/run/sequence.h"
#include "engine/run/step.h"
#include "support/golden_file.h"
#include "support/run_tokens.h"
#include "tiny_engine.h"

namespace deepwell {
namespace {

using namespace testing_support;
using Tokens = std::vector<std::int32_t>;
using File = std::shared_ptr<const ModelFile>;

File golden(const std::string& name) {
  auto file = open_gguf(golden_path(name));
  DW_CHECK(file.ok());
  return std::move(*file);
}

File tiny(std::uint64_t seed = 1, std::int64_t vocabulary = 128) {
  const TempDir temp;
  TinyModel model;
  model.seed = seed;
  model.vocabulary = vocabulary;
  model.build().write(temp / "tiny.gguf");
  auto file = open_gguf(temp / "tiny.gguf");
  DW_CHECK(file.ok());
  return std::move(*file);
}

EngineOptions guessing(DraftSource source, File model = nullptr) {
  EngineOptions options;
  options.threads = 2;
  options.context = 512;
  options.draft = source;
  options.draft_model = std::move(model);
  return options;
}

std::unique_ptr<Engine> engine_of(File file, EngineOptions options) {
  auto engine = Engine::load(std::move(file), std::move(options), {});
  if (!engine.ok()) ADD_FAILURE() << engine.error().message;
  return engine.ok() ? std::move(*engine) : nullptr;
}

/// Half of them greedy; prompts that repeat themselves, and begin alike.
std::vector<EngineRequest> requests(std::int64_t answer) {
  std::vector<EngineRequest> all;
  for (std::uint64_t i = 0; i < 10; ++i) {
    Tokens prompt = some_prompt(i % 3 == 0 ? 70 : 5 + i * 9, i % 3 == 0 ? 0 : i);
    for (std::int32_t& token : prompt) token %= 96;  // the smallest vocabulary of the models below
    for (int again = 0; again < 2; ++again) prompt.insert(prompt.end(), prompt.begin(), prompt.begin() + 5);
    all.push_back(request_of(prompt, answer, i % 2 == 0 ? std::optional(i) : std::nullopt));
  }
  return all;
}

std::vector<Tokens> answers(Engine& engine, const std::vector<EngineRequest>& wanted, bool together) {
  std::vector<std::shared_ptr<NotingSink>> sinks;
  for (const EngineRequest& request : wanted) {
    sinks.push_back(std::make_shared<NotingSink>());
    EXPECT_TRUE(engine.submit(request, sinks.back()).ok());
    if (!together) sinks.back()->wait();
  }
  std::vector<Tokens> tokens;
  for (const auto& sink : sinks) {
    EXPECT_EQ(sink->wait().reason, FinishReason::kLength);
    tokens.push_back(sink->tokens());
  }
  return tokens;
}

struct Case {
  const char* name;
  File (*file)();
  DraftSource source;
  File (*model)() = nullptr;
};

class SpeculationTest : public testing::TestWithParam<Case> {
 protected:
  EngineOptions options(bool on) const {
    const Case& c = GetParam();
    return guessing(on ? c.source : DraftSource::kOff, on && c.model != nullptr ? c.model() : nullptr);
  }
};

TEST_P(SpeculationTest, ChangesNoToken) {
  const std::vector<EngineRequest> wanted = requests(50);
  const auto want = answers(*engine_of(GetParam().file(), options(false)), wanted, true);
  const auto engine = engine_of(GetParam().file(), options(true));
  EXPECT_EQ(answers(*engine, wanted, true), want) << "together";
  EXPECT_EQ(answers(*engine, wanted, false), want) << "one by one, over prefixes found again";
  const EngineStats stats = settled(*engine);
  EXPECT_GT(stats.draft_tokens, 0) << "a sequence begins hopeful";
  EXPECT_LE(stats.draft_tokens_right, stats.draft_tokens);
  EXPECT_EQ(stats.pages_used, 0);
}

TEST_P(SpeculationTest, ChangesNoTokenWhereMemoryIsShort) {
  const std::vector<EngineRequest> wanted = requests(120);
  const auto want = answers(*engine_of(GetParam().file(), options(false)), wanted, false);
  EngineOptions little = options(true);
  little.cache_bytes = 1;  // of one context
  little.context = 256;
  little.swap_bytes = 100'000;  // then a file
  const auto engine = engine_of(GetParam().file(), little);
  EXPECT_EQ(answers(*engine, wanted, true), want);
  const EngineStats stats = settled(*engine);
  if (cache_layout_of(*GetParam().file(), CacheType::kF16).value().bytes_per_page() > 0) {
    EXPECT_GT(stats.preemptions, 0);
  }
  EXPECT_GT(stats.draft_tokens, 0);
}

File v3() { return golden("mtp/deepseek2_1.gguf"); }
File v4() { return golden("mtp/deepseek4_1.gguf"); }
File v4_whole() { return golden("models/v4_91.gguf"); }
File v4_pro() { return golden("models/v4_pro_94.gguf"); }
File v41() { return golden("models/v41_101.gguf"); }
File v32() { return golden("models/v32_71.gguf"); }
File plain() { return tiny(); }
File stranger() { return tiny(77); }
const Case kCases[] = {{"ngram", plain, DraftSource::kNgram},
                       {"ngram_v32", v32, DraftSource::kNgram},
                       {"ngram_v4", v4_whole, DraftSource::kNgram},
                       {"ngram_v4_pro", v4_pro, DraftSource::kNgram},
                       {"ngram_v41", v41, DraftSource::kNgram},
                       {"mtp_v3", v3, DraftSource::kMtp},
                       {"mtp_v4", v4, DraftSource::kAuto},
                       {"itself", plain, DraftSource::kAuto, plain},
                       {"stranger", plain, DraftSource::kModel, stranger},
                       {"v4_for_v4", v4_whole, DraftSource::kModel, v4_pro},
                       {"itself_v4", v4_whole, DraftSource::kModel, v4_whole}};
INSTANTIATE_TEST_SUITE_P(EveryDrafter, SpeculationTest, testing::ValuesIn(kCases),
                         [](const auto& test) { return std::string(test.param.name); });

TEST(Speculation, AModelThatDraftsForItselfIsRight) {
  for (File (*file)() : {plain, v4_whole}) {
    const auto engine = engine_of(file(), guessing(DraftSource::kModel, file()));
    for (std::uint64_t seed = 0; seed < 8; ++seed)
      answers(*engine, {request_of(some_prompt(30, seed), 40)}, false);
    const EngineStats stats = settled(*engine);
    EXPECT_GT(stats.draft_tokens, 0);  // not many: it costs as much as it saves
    EXPECT_EQ(stats.draft_tokens_right, stats.draft_tokens) << file()->path();
  }
}

/// What the layer that drafts says after these tokens, when it has read all of them in one pass.
Tokens said_from_scratch(Runner& runner, const Tokens& tokens, int most) {
  const std::int64_t rows = std::ssize(tokens) - 1, vocabulary = runner.model().shape().vocabulary;
  const auto width = static_cast<std::size_t>(runner.model().state_width());
  SequenceCache cache(runner.cache());
  cache.grow(rows + most);
  std::vector<std::int32_t> positions(static_cast<std::size_t>(rows));
  std::iota(positions.begin(), positions.end(), 0);
  const BatchSequence sequence{0, rows, &cache};
  std::vector<float> states(static_cast<std::size_t>(rows) * width), next(width),
      logits(static_cast<std::size_t>(vocabulary));
  const auto known = std::span(tokens).first(static_cast<std::size_t>(rows));
  const Batch read{
      .tokens = known, .positions = positions, .sequences = {&sequence, 1}, .draft_states = states.data()};
  DW_CHECK(runner.forward(read, nullptr).ok());
  const std::vector<std::int32_t> last = {static_cast<std::int32_t>(rows) - 1};
  DW_CHECK(runner
               .draft({std::span(tokens).subspan(1), positions, {&sequence, 1}, last}, states.data(),
                      next.data(), logits.data())
               .ok());
  Tokens said;
  for (std::int32_t position = last[0] + 1;; ++position) {
    said.push_back(
        static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin()));
    if (std::ssize(said) == most) return said;
    const BatchSequence one{0, 1, &cache};
    const std::int32_t row = 0;
    states.assign(next.begin(), next.end());
    DW_CHECK(runner
                 .draft({{&said.back(), 1}, {&position, 1}, {&one, 1}, {&row, 1}}, states.data(), next.data(),
                        logits.data())
                 .ok());
  }
}

// However the text came about: in pieces of a prompt, with guesses that came true or did not, without
// guesses.
TEST(Speculation, MtpGoesOnFromTheTruePast) {
  for (File (*file)() : {v3, v4}) {
    SCOPED_TRACE(file()->path());
    const auto load = [&] {
      return std::move(Runner::load(file(), {2, CacheType::kF32, true, 256, true})).value();
    };
    const auto runner = load(), other = load();
    MtpDrafter drafter(*runner);
    Step step(*runner);
    Sequence sequence(request_of(some_prompt(70, 3), 60), std::make_shared<NotingSink>());
    sequence.cache.emplace(runner->cache());
    const auto pass = [&](std::int64_t count) {
      step.clear();
      sequence.cache->grow(sequence.done + count + std::ssize(sequence.guess));
      step.add(sequence, count);
      ASSERT_TRUE(step.run().ok());
      drafter.follow(step);
    };
    while (sequence.reading()) pass(std::min<std::int64_t>(30, sequence.left_alike()));
    int right = 0, wrong = 0;
    for (int i = 0; i < 40; ++i) {
      sequence.guess.clear();
      if (i % 7 < 4) {
        sequence.cache->grow(std::ssize(sequence.tokens) + 4);
        const DraftWish wish{&sequence, 3};
        EXPECT_EQ(drafter.draft({&wish, 1}), 3);
        ASSERT_EQ(sequence.guess, said_from_scratch(*other, sequence.tokens, 3)) << "pass " << i;
        const auto logits = run_tokens(*other, sequence.tokens, 200);
        const auto last = logits.end() - other->model().shape().vocabulary;
        if (i % 2 == 0)  // now one that comes true, before two that most likely do not
          sequence.guess[0] = static_cast<std::int32_t>(std::max_element(last, logits.end()) - last);
      }
      const std::size_t guessed = sequence.guess.size();
      pass(sequence.left());
      right += static_cast<int>(step.parts()[0].right);
      wrong += static_cast<int>(guessed) - static_cast<int>(step.parts()[0].right);
    }
    EXPECT_GE(right, 10);
    EXPECT_GT(wrong, 10);
  }
}

TEST(Speculation, WhatIsNotThereCannotBeChosen) {
  const auto error = [](File file, DraftSource source, File model = nullptr) {
    const auto engine = Engine::load(std::move(file), guessing(source, std::move(model)), {});
    return engine.ok() ? std::string("it loaded") : engine.error().message;
  };
  EXPECT_NE(error(tiny(), DraftSource::kMtp).find("no layer that drafts"), std::string::npos);
  EXPECT_NE(error(tiny(), DraftSource::kModel).find("--draft-model"), std::string::npos);
}

TEST(Speculation, VocabulariesAreComparedTokenByToken) {
  const TempDir temp;
  int number = 0;
  const auto with = [&](std::vector<std::string> tokens, std::vector<std::int32_t> types = {}) {
    GgufBuilder builder = TinyModel{}.build();
    builder.set("tokenizer.ggml.tokens", tokens);
    if (!types.empty()) builder.set("tokenizer.ggml.token_type", types);
    builder.write(temp / fmt::format("{}.gguf", ++number));
    return std::shared_ptr<const ModelFile>(open_gguf(temp / fmt::format("{}.gguf", number)).value());
  };
  const File model = with({"a", "b", "c", "d"});
  EXPECT_TRUE(check_same_vocabulary(*model, *with({"a", "b", "c", "d"})).ok());
  EXPECT_TRUE(
      check_same_vocabulary(*model, *with({"a", "b", "c", "d", "[PAD4]", "<x>"}, {1, 1, 1, 1, 5, 5})).ok());
  const auto other = check_same_vocabulary(*model, *with({"a", "x", "c", "y"}));
  ASSERT_FALSE(other.ok());
  EXPECT_NE(other.error().message.find("token 1 is 'x' there and 'b' here"), std::string::npos)
      << other.error().message;
  const auto shorter = check_same_vocabulary(*model, *with({"a", "b", "c"}));
  ASSERT_FALSE(shorter.ok());
  EXPECT_NE(shorter.error().message.find("token 3 is unused there and 'd' here"), std::string::npos);
  EXPECT_FALSE(check_same_vocabulary(*model, *tiny()).ok());
}

/// Guesses at random, or always the likeliest next token of the model itself.
class TestDrafter final : public Drafter {
 public:
  TestDrafter(File file, bool greedy) : greedy_(greedy) {
    runner_ = std::move(Runner::load(std::move(file), {1, CacheType::kF16, false, 64})).value();
  }
  int draft(std::span<const DraftWish> wishes) override {
    for (const auto& [sequence, most] : wishes) {
      while (std::ssize(sequence->guess) < most) sequence->guess.push_back(next(*sequence));
    }
    return 0;
  }

 private:
  std::int32_t next(const Sequence& sequence) {
    if (!greedy_) return static_cast<std::int32_t>(random_() % 128);
    Tokens tokens = sequence.tokens;
    tokens.insert(tokens.end(), sequence.guess.begin(), sequence.guess.end());
    auto& known = likeliest_[tokens];
    if (known == 0) {
      const auto logits = run_tokens(*runner_, tokens, std::ssize(tokens));
      known = 1 + static_cast<std::int32_t>(std::max_element(logits.end() - 128, logits.end()) -
                                            (logits.end() - 128));
    }
    return known - 1;
  }
  const bool greedy_;
  std::mt19937 random_{3};
  std::unique_ptr<Runner> runner_;
  std::map<Tokens, std::int32_t> likeliest_;
};

// The second token of an answer, whose odds a guess could change.
TEST(Speculation, TokensComeAsOftenAsTheModelSays) {
  constexpr int kSeeds = 3000, kLeastGuesses = 300;  // enough to shift the shares
  constexpr std::size_t kVocabulary = 128;
  const Tokens prompt = {3, 1, 4, 1, 5};
  const File file = tiny();
  const float temperature = 0.5F;
  const auto runner = std::move(Runner::load(file, {2, CacheType::kF16, false, 64 * 200})).value();
  // P(second): each first token by its probability.
  const auto softmax = [&](const float* logits) {
    std::vector<double> p(kVocabulary);
    const float most = *std::max_element(logits, logits + kVocabulary);
    double sum = 0;
    for (std::size_t i = 0; i < kVocabulary; ++i)
      sum += p[i] = std::exp(double{logits[i] - most} / double{temperature});
    for (double& each : p) each /= sum;
    return p;
  };
  const auto logits_after = [&](Tokens tokens) {
    const auto logits = run_tokens(*runner, tokens, std::ssize(tokens));
    return softmax(logits.data() + logits.size() - kVocabulary);
  };
  const std::vector<double> first = logits_after(prompt);
  std::vector<double> second(kVocabulary, 0);
  for (std::size_t t = 0; t < kVocabulary; ++t) {
    Tokens longer = prompt;
    longer.push_back(static_cast<std::int32_t>(t));
    const auto then = logits_after(longer);
    for (std::size_t i = 0; i < kVocabulary; ++i) second[i] += first[t] * then[i];
  }
  for (const bool greedy : {false, true}) {
    EngineOptions options;
    options.parallel = 1;
    EngineInfo info;
    info.vocabulary = kVocabulary;
    info.context = 64;
    auto own = std::move(Runner::load(file, {2, CacheType::kF16, false, 512})).value();
    const auto engine = make_scheduler(std::move(own), std::make_unique<TestDrafter>(file, greedy), options,
                                       info, {}, nullptr);
    std::vector<double> seen(kVocabulary, 0);
    // How many are guessed depends on what they cost here and now.
    int seed = 0;
    for (; seed < kSeeds || (engine->stats().draft_tokens < kLeastGuesses && seed < 20 * kSeeds); ++seed) {
      EngineRequest request = request_of(prompt, 4, static_cast<std::uint64_t>(seed));
      request.sampling.temperature = temperature;
      const auto sink = std::make_shared<NotingSink>();
      ASSERT_TRUE(engine->submit(request, sink).ok());
      sink->wait();
      ++seen[static_cast<std::size_t>(sink->tokens().at(1))];
    }
    const EngineStats stats = settled(*engine);
    EXPECT_GE(stats.draft_tokens, kLeastGuesses);
    double chi = 0, rest_seen = 0, rest = 0;
    int bins = 0;
    const auto count = [&](double got, double want) {
      chi += (got - want) * (got - want) / want;
      ++bins;
    };
    for (std::size_t i = 0; i < kVocabulary; ++i) {
      const double want = second[i] * seed;
      if (want >= 5) {
        count(seen[i], want);
      } else {
        rest += want;
        rest_seen += seen[i];
      }
    }
    if (rest > 0) count(rest_seen, rest);
    const double freedom = bins - 1;
    EXPECT_GT(bins, 10);
    // Seeds are fixed: five standard deviations of a chi-square would be seen once in a million draws.
    EXPECT_LT(chi, freedom + 5 * std::sqrt(2 * freedom)) << (greedy ? "greedy" : "random") << " drafts";
    if (greedy) {
      EXPECT_GT(stats.draft_tokens_right, 0);
    }
  }
}

}  // namespace
}  // namespace deepwell
