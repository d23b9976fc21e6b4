// SPDX-License-Identifier: Apache-2.0
// Goal: layers that draft (multi-token prediction) compute what their definition says, from what the model
// thought, and are no part of a model that was loaded without.
// Method: tests/golden/engine/mtp (scripts/golden_mtp.py): tiny random models with a reference in numpy. The
// last rows of a golden go on from the layer's own words and states.
#include <gtest/gtest.h>

#include "engine/models/loader.h"
#include "engine/run/describe.h"
#include "support/golden_file.h"
#include "support/run_tokens.h"

namespace deepwell {
namespace {

using namespace testing_support;

class MtpTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    auto file = open_gguf(GetParam());
    ASSERT_TRUE(file.ok()) << file.error().message;
    file_ = std::move(file).value();
    tokens_ = golden_tokens(*file_);
    states_ = golden_floats(*file_, "golden.states");
    logits_ = golden_floats(*file_, "golden.logits");
    next_ = golden_floats(*file_, "golden.next");
    auto loaded = Runner::load(file_, options(true));
    ASSERT_TRUE(loaded.ok()) << loaded.error().message;
    runner_ = std::move(loaded).value();
    width_ = runner_->model().state_width();
    vocabulary_ = runner_->model().shape().vocabulary;
    given_ = std::ssize(states_) / width_;
    ASSERT_EQ(std::ssize(next_), (given_ + 3) * width_);
    ASSERT_EQ(std::ssize(logits_), (given_ + 3) * vocabulary_);
  }
  static RunnerOptions options(bool drafting) { return {2, CacheType::kF32, true, 256, drafting}; }
  struct Drafted {
    std::vector<float> next, logits;
  };
  /// Rows first .. first + count - 1 of `tokens` with these states, all of them wanted.
  Drafted draft(SequenceCache& cache, const std::vector<std::int32_t>& tokens, std::int64_t first,
                std::int64_t count, const float* states, bool prompt = false) {
    std::vector<std::int32_t> positions, outputs;
    for (std::int64_t i = 0; i < count; ++i) {
      positions.push_back(static_cast<std::int32_t>(first + i));
      outputs.push_back(static_cast<std::int32_t>(i));
    }
    cache.grow(first + count);
    const BatchSequence sequence{0, count, &cache, prompt};
    Drafted out;
    out.next.resize(static_cast<std::size_t>(count * width_));
    out.logits.resize(static_cast<std::size_t>(count * vocabulary_));
    const auto rows =
        std::span(tokens).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
    EXPECT_TRUE(
        runner_->draft({rows, positions, {&sequence, 1}, outputs}, states, out.next.data(), out.logits.data())
            .ok());
    return out;
  }
  static void expect_near(const std::vector<float>& got, const float* want, const char* what) {
    for (std::size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], want[i], 1e-4F) << what << " at " << i;
  }

  std::shared_ptr<const ModelFile> file_;
  std::unique_ptr<Runner> runner_;
  std::vector<std::int32_t> tokens_;
  std::vector<float> states_, logits_, next_;
  std::int64_t width_ = 0, vocabulary_ = 0, given_ = 0;
};

TEST_P(MtpTest, DraftsAsTheReferenceDoesInChunksOfAnySize) {
  for (const bool prompt : {false, true})
    for (const std::int64_t chunk : {given_, std::int64_t{7}, std::int64_t{1}}) {
      SCOPED_TRACE(testing::Message() << "chunks of " << chunk << (prompt ? ", prompt" : ""));
      SequenceCache cache(runner_->cache());
      Drafted last;
      for (std::int64_t done = 0; done < given_; done += chunk) {
        last = draft(cache, tokens_, done, std::min(chunk, given_ - done), states_.data() + done * width_,
                     prompt);
        expect_near(last.logits, logits_.data() + done * vocabulary_, "logits");
        expect_near(last.next, next_.data() + done * width_, "states");
      }
      for (std::int64_t row = given_; row < given_ + 3; ++row) {  // from its own states
        last = draft(cache, tokens_, row, 1, last.next.data() + std::ssize(last.next) - width_);
        expect_near(last.logits, logits_.data() + row * vocabulary_, "logits of the chain");
      }
    }
}

// Whatever it went on with is forgotten when the true tokens come.
TEST_P(MtpTest, WrongGuessesLeaveNothingBehind) {
  SequenceCache cache(runner_->cache());
  draft(cache, tokens_, 0, 40, states_.data());
  const std::vector<std::int32_t> wrong(80, 5);
  draft(cache, wrong, 40, 40, next_.data());
  const Drafted rest = draft(cache, tokens_, 40, given_ - 40, states_.data() + 40 * width_);
  expect_near(rest.logits, logits_.data() + 40 * vocabulary_, "logits");
}

// The model's states are what its own head reads, so logits can be made of them again.
TEST_P(MtpTest, StatesAreWhatTheHeadReads) {
  std::vector<std::int32_t> positions(tokens_.size());
  std::iota(positions.begin(), positions.end(), 0);
  const std::int64_t rows = std::ssize(tokens_);
  SequenceCache cache(runner_->cache());
  cache.grow(rows);
  const BatchSequence sequence{0, rows, &cache, true};
  std::vector<float> states(static_cast<std::size_t>(rows * width_)),
      logits(static_cast<std::size_t>(rows * vocabulary_));
  const Batch batch{.tokens = tokens_,
                    .positions = positions,
                    .sequences = {&sequence, 1},
                    .output_rows = positions,
                    .draft_states = states.data()};
  ASSERT_TRUE(runner_->forward(batch, logits.data()).ok());
  ThreadPool pool(1);
  Loader loader(*file_, pool, {});
  const std::int64_t width = runner_->model().shape().width, streams = width_ / width;
  const auto matrix = loader.floats("output.weight", vocabulary_, width);
  const auto norm = loader.vector("output_norm.weight", width);
  const auto mean_square = [](const float* x, std::int64_t n) {
    double sum = 0;
    for (std::int64_t i = 0; i < n; ++i) sum += double{x[i]} * x[i];
    return sum / static_cast<double>(n) + 1e-6;
  };
  for (const std::int64_t row : {std::int64_t{0}, rows / 2, rows - 1}) {
    const float* const state = states.data() + row * width_;
    std::vector<float> read(state, state + width);
    if (streams > 1) {  // V4: all streams, before they are summed
      const auto project = loader.floats("output_hc_fn.weight", streams, width_);
      const auto base = loader.vector("output_hc_base.weight", streams);
      const auto scale = loader.vector("output_hc_scale.weight", 1);
      const double size = std::sqrt(mean_square(state, width_));
      std::fill(read.begin(), read.end(), 0.0F);
      for (std::int64_t s = 0; s < streams; ++s) {
        double m = 0;
        for (std::int64_t i = 0; i < width_; ++i)
          m += double{project->at(static_cast<std::size_t>(s * width_ + i))} * state[i] / size;
        const double weight =
            1 / (1 + std::exp(-m * scale->at(0) - base->at(static_cast<std::size_t>(s)))) + 1e-6;
        for (std::int64_t i = 0; i < width; ++i)
          read[static_cast<std::size_t>(i)] += static_cast<float>(weight * state[s * width + i]);
      }
      const double end = std::sqrt(mean_square(read.data(), width));
      for (std::size_t i = 0; i < read.size(); ++i) read[i] = static_cast<float>(read[i] / end * norm->at(i));
    }
    for (std::int64_t v = 0; v < vocabulary_; ++v) {
      double sum = 0;
      for (std::int64_t i = 0; i < width; ++i)
        sum +=
            double{matrix->at(static_cast<std::size_t>(v * width + i))} * read[static_cast<std::size_t>(i)];
      ASSERT_NEAR(sum, logits[static_cast<std::size_t>(row * vocabulary_ + v)], 1e-4) << "row " << row;
    }
  }
}

TEST_P(MtpTest, IsNoPartOfAModelLoadedWithout) {
  EXPECT_TRUE(has_drafting_layer(*file_));
  auto plain = Runner::load(file_, options(false));
  ASSERT_TRUE(plain.ok()) << plain.error().message;
  EXPECT_EQ((*plain)->model().state_width(), 0);
  EXPECT_EQ(run_tokens(**plain, tokens_, 20), run_tokens(*runner_, tokens_, 20));
  const CacheLayout with = cache_layout_of(*file_, CacheType::kF16, true).value(),
                    without = cache_layout_of(*file_, CacheType::kF16, false).value();
  EXPECT_EQ(with.layers.size(), without.layers.size() + 1);
  EXPECT_GT(with.bytes_per_page() + with.rolling_bytes(), without.bytes_per_page() + without.rolling_bytes());
  EXPECT_EQ(runner_->cache().layout().bytes_per_page(),
            cache_layout_of(*file_, CacheType::kF32, true).value().bytes_per_page());
}

INSTANTIATE_TEST_SUITE_P(EveryFile, MtpTest, testing::ValuesIn(golden_files("mtp")), golden_name);

TEST(GoldenMtp, AreAllThere) { EXPECT_GE(golden_files("mtp").size(), 6U) << "run scripts/golden_mtp.py"; }

}  // namespace
}  // namespace deepwell
