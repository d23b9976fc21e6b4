// SPDX-License-Identifier: Apache-2.0
// Goal: tokens are drawn from exactly the distribution the options describe, repeatably, whatever the logits.
// Method: an independent computation of each distribution in double, straight from its definition; 40,000
// draws against it (chi-squared); penalties and DRY through the reported logprobs.
#include "engine/run/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <random>
#include <set>

namespace deepwell {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
using Tokens = std::vector<std::int32_t>;

std::vector<float> some_logits(std::size_t n, unsigned seed, float spread = 2.0F) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0F, spread);
  std::vector<float> logits(n);
  for (float& logit : logits) logit = normal(random);
  return logits;
}

std::vector<double> softmax(const std::vector<double>& logits) {
  const double peak = *std::max_element(logits.begin(), logits.end());
  std::vector<double> p;
  for (const double logit : logits) p.push_back(std::exp(logit - peak));
  const double total = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& value : p) value /= total;
  return p;
}

/// Zero where `keep` is false, the rest normalized.
std::vector<double> restricted(std::vector<double> p, const std::vector<bool>& keep) {
  for (std::size_t i = 0; i < p.size(); ++i)
    if (!keep[i]) p[i] = 0;
  const double total = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& value : p) value /= total;
  return p;
}

/// Tokens in an order, kept until their mass reaches `mass`.
std::vector<bool> until_mass(const std::vector<double>& p, std::vector<std::size_t> order, double mass) {
  std::vector<bool> keep(p.size(), false);
  double sum = 0;
  for (std::size_t i = 0; i < order.size() && (i == 0 || sum < mass); ++i) {
    keep[order[i]] = true;
    sum += p[order[i]];
  }
  return keep;
}

/// temperature, top-k, typical, top-p, min-p, from their definitions.
std::vector<double> distribution(const std::vector<float>& logits, const SamplingOptions& options) {
  std::vector<double> scaled;
  for (const float logit : logits) scaled.push_back(double{logit} / double{options.temperature});
  std::vector<double> p = softmax(scaled);
  std::vector<std::size_t> likeliest(p.size());
  std::iota(likeliest.begin(), likeliest.end(), std::size_t{0});
  std::stable_sort(likeliest.begin(), likeliest.end(),
                   [&](std::size_t a, std::size_t b) { return p[a] > p[b]; });
  if (options.top_k > 0) {
    std::vector<bool> keep(p.size(), false);
    for (std::size_t i = 0; i < std::min(p.size(), static_cast<std::size_t>(options.top_k)); ++i)
      keep[likeliest[i]] = true;
    p = restricted(p, keep);
  }
  if (options.typical_p < 1) {
    double entropy = 0;
    for (const double value : p)
      if (value > 0) entropy -= value * std::log(value);
    std::vector<std::size_t> typical;
    for (std::size_t i = 0; i < p.size(); ++i)
      if (p[i] > 0) typical.push_back(i);
    std::stable_sort(typical.begin(), typical.end(), [&](std::size_t a, std::size_t b) {
      return std::fabs(-std::log(p[a]) - entropy) < std::fabs(-std::log(p[b]) - entropy);
    });
    p = restricted(p, until_mass(p, typical, double{options.typical_p}));
  }
  if (options.top_p < 1) {
    std::stable_sort(likeliest.begin(), likeliest.end(),
                     [&](std::size_t a, std::size_t b) { return p[a] > p[b]; });
    p = restricted(p, until_mass(p, likeliest, double{options.top_p}));
  }
  if (options.min_p > 0) {
    const double best = *std::max_element(p.begin(), p.end());
    std::vector<bool> keep;
    for (const double value : p) keep.push_back(value >= best * double{options.min_p});
    p = restricted(p, keep);
  }
  return p;
}

/// Draws often and compares counts with the distribution: no token outside it, chi-squared below its 1 - 1e-6
/// quantile (by Wilson and Hilferty's approximation).
void expect_draws(const std::vector<float>& logits, SamplingOptions options) {
  const int kDraws = logits.size() < 100 ? 40000 : 10000;
  options.seed = 99;
  const std::vector<double> p = distribution(logits, options);
  std::vector<int> counts(logits.size(), 0);
  Sampler sampler(options, {});
  for (int i = 0; i < kDraws; ++i) {
    std::vector<float> work = logits;
    ++counts[static_cast<std::size_t>(sampler.sample(work).token)];
  }
  double chi = 0, rare_expected = 0, rare_count = 0;
  int cells = 0;
  for (std::size_t i = 0; i < p.size(); ++i) {
    if (p[i] == 0) {
      EXPECT_EQ(counts[i], 0) << "token " << i << " should never be drawn";
      continue;
    }
    const double expected = p[i] * kDraws;
    if (expected < 5) {
      rare_expected += expected;
      rare_count += counts[i];
      continue;
    }
    chi += (counts[i] - expected) * (counts[i] - expected) / expected;
    ++cells;
  }
  if (rare_expected > 5) {
    chi += (rare_count - rare_expected) * (rare_count - rare_expected) / rare_expected;
    ++cells;
  }
  if (cells < 2) return;
  const double freedom = cells - 1, z = 4.76;
  const double limit = freedom * std::pow(1 - 2 / (9 * freedom) + z * std::sqrt(2 / (9 * freedom)), 3);
  EXPECT_LT(chi, limit) << cells << " cells";
}

TEST(Sampler, DrawsFromEachDistributionAndFromMixtures) {
  const auto with = [](auto change) {
    SamplingOptions options;
    change(options);
    return options;
  };
  const std::vector<SamplingOptions> all = {
      with([](SamplingOptions&) {}),
      with([](SamplingOptions& o) { o.temperature = 0.5F; }),
      with([](SamplingOptions& o) { o.temperature = 3.0F; }),
      with([](SamplingOptions& o) { o.top_k = 1; }),
      with([](SamplingOptions& o) { o.top_k = 7; }),
      with([](SamplingOptions& o) { o.top_k = 5000; }),
      with([](SamplingOptions& o) { o.top_p = 0.0F; }),
      with([](SamplingOptions& o) { o.top_p = 0.3F; }),
      with([](SamplingOptions& o) { o.top_p = 0.95F; }),
      with([](SamplingOptions& o) { o.min_p = 0.05F; }),
      with([](SamplingOptions& o) { o.min_p = 1.0F; }),
      with([](SamplingOptions& o) { o.typical_p = 0.2F; }),
      with([](SamplingOptions& o) { o.typical_p = 0.9F; }),
      with([](SamplingOptions& o) { o.temperature = 0.8F, o.top_k = 40, o.top_p = 0.9F, o.min_p = 0.02F; }),
      with(
          [](SamplingOptions& o) { o.temperature = 1.3F, o.top_k = 30, o.typical_p = 0.8F, o.top_p = 0.7F; }),
  };
  for (std::size_t i = 0; i < all.size(); ++i) {
    SCOPED_TRACE(testing::Message() << "options " << i);
    expect_draws(some_logits(12, 1), all[i]);
    expect_draws(some_logits(700, 2), all[i]);  // more than one step of the partial sort
  }
}

TEST(Sampler, GreedyTakesTheHighestAndOfEqualsTheLowest) {
  SamplingOptions options;
  options.temperature = 0;
  Sampler sampler(options, {});
  std::vector<float> logits = {1, 5, 3, 5, -2};
  for (int i = 0; i < 3; ++i) {
    auto work = logits;
    EXPECT_EQ(sampler.sample(work).token, 1);
  }
}

TEST(Sampler, ATemperatureThatCannotBeDividedByIsGreedy) {
  for (const float temperature :
       {1e-40F, std::numeric_limits<float>::denorm_min(), -1.0F, float{NAN}, -kInf}) {
    SamplingOptions options;
    options.temperature = temperature;
    std::vector<float> logits = {1, 2, 9, 3};
    EXPECT_EQ(Sampler(options, {}).sample(logits).token, 2) << temperature;
  }
  SamplingOptions options;
  options.temperature = kInf;  // all alike
  std::set<std::int32_t> seen;
  Sampler sampler(options, {});
  for (int i = 0; i < 200; ++i) {
    std::vector<float> logits = {1, 20, -30, 4};
    seen.insert(sampler.sample(logits).token);
  }
  EXPECT_EQ(seen.size(), 4U);
}

TEST(Sampler, ExtremeOptionsStillDrawAToken) {
  for (const float value : {-kInf, -1.0F, 0.0F, 1e-30F, 1.0F, 2.0F, 1e30F, kInf, float{NAN}}) {
    for (int which = 0; which < 8; ++which) {
      SamplingOptions options;
      options.seed = 1;
      options.logprobs = 2;
      float* const fields[] = {&options.temperature,
                               &options.top_p,
                               &options.min_p,
                               &options.typical_p,
                               &options.repetition_penalty,
                               &options.frequency_penalty,
                               &options.presence_penalty,
                               &options.dry_multiplier};
      *fields[which] = value;
      options.dry_base = which % 2 == 0 ? value : 1.75F;
      Sampler sampler(options, Tokens{1, 2, 3, 1, 2, 3});
      for (int i = 0; i < 20; ++i) {
        auto logits = some_logits(30, static_cast<unsigned>(i));
        const TokenOutput output = sampler.sample(logits);
        ASSERT_GE(output.token, 0);
        ASSERT_LT(output.token, 30);
        ASSERT_FALSE(std::isnan(*output.logprob)) << which << " = " << value;
      }
    }
  }
}

TEST(Sampler, BrokenLogitsStillGiveATokenAndNumbers) {
  const std::vector<std::vector<float>> all = {
      {NAN, NAN, NAN}, {-kInf, -kInf, -kInf}, {kInf, kInf, 1},    {NAN, 1, NAN},
      {-kInf, 3, NAN}, {kInf, NAN, -kInf},    {3e38F, -3e38F, 0}, {1}};
  for (const auto& logits : all) {
    for (const float temperature : {0.0F, 1.0F}) {
      SamplingOptions options;
      options.temperature = temperature;
      options.logprobs = 20;
      options.seed = 5;
      auto work = logits;
      const TokenOutput output = Sampler(options, {}).sample(work);
      ASSERT_GE(output.token, 0);
      ASSERT_LT(static_cast<std::size_t>(output.token), logits.size());
      EXPECT_FALSE(std::isnan(*output.logprob));
      EXPECT_EQ(output.top.size(), logits.size());
      for (const TokenLogprob& top : output.top) EXPECT_FALSE(std::isnan(top.logprob));
      const auto first = logits[static_cast<std::size_t>(output.token)];
      const bool any = std::any_of(logits.begin(), logits.end(), [](float x) { return x > -kInf; });
      if (any) {
        EXPECT_GT(first, -kInf) << "a token that cannot be was drawn";
      }
    }
  }
}

/// Allows the tokens it is told to; fails from the given draw on.
class Allowing final : public TokenConstraint {
 public:
  explicit Allowing(Tokens tokens, int fails_at = -1) : tokens_(std::move(tokens)), fails_at_(fails_at) {}
  Status mask(std::span<std::uint32_t> allowed) override {
    if (static_cast<int>(accepted.size()) == fails_at_) return Error{ErrorCode::kInvalid, "it is over"};
    std::fill(allowed.begin(), allowed.end(), 0);
    for (const std::int32_t token : tokens_)
      allowed[static_cast<std::size_t>(token) / 32] |= 1U << (static_cast<unsigned>(token) % 32);
    return Done{};
  }
  Status accept(std::int32_t token) override {
    accepted.push_back(token);
    return Done{};
  }
  bool finished() const override { return false; }
  Tokens accepted;

 private:
  Tokens tokens_;
  int fails_at_;
};

TEST(Sampler, OnlyWhatAConstraintAllowsIsDrawn) {
  for (const float temperature : {0.0F, 0.01F, 1.0F, 50.0F}) {
    for (const float allowed_logit : {3.0F, -1e30F, -kInf, NAN, kInf}) {
      SamplingOptions options;
      options.temperature = temperature;
      options.seed = 3;
      options.logprobs = 5;
      options.top_k = 2;
      options.logit_bias = {{70, -100.0F}, {1, 100.0F}};
      Sampler sampler(options, Tokens{70, 35});
      Allowing constraint({35, 70});
      for (unsigned i = 0; i < 20; ++i) {
        auto logits = some_logits(90, i);
        logits[35] = logits[70] = allowed_logit;
        const Result<TokenOutput> output = sampler.sample(logits, constraint);
        ASSERT_TRUE(output.ok());
        ASSERT_TRUE(output->token == 35 || output->token == 70) << output->token << " at " << temperature;
        ASSERT_EQ(constraint.accepted.back(), output->token);
      }
    }
  }
}

TEST(Sampler, AConstraintThatFailsOrAllowsNothingIsAnError) {
  Sampler sampler({}, {});
  auto logits = some_logits(40, 1);
  Allowing nothing({});
  EXPECT_FALSE(sampler.sample(logits, nothing).ok());
  Allowing once({7}, 1);
  logits = some_logits(40, 1);
  EXPECT_EQ(sampler.sample(logits, once)->token, 7);
  const Result<TokenOutput> failed = sampler.sample(logits, once);
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().message, "it is over");
}

TEST(Sampler, TheSameSeedGivesTheSameTokensAndOthersOthers) {
  const auto run = [](std::optional<std::uint64_t> seed) {
    SamplingOptions options;
    options.seed = seed;
    Sampler sampler(options, {});
    Tokens tokens;
    for (unsigned i = 0; i < 50; ++i) {
      auto logits = some_logits(100, i, 0.5F);
      tokens.push_back(sampler.sample(logits).token);
    }
    return tokens;
  };
  EXPECT_EQ(run(7), run(7));
  EXPECT_NE(run(7), run(8));
  EXPECT_NE(run(0), run(1));
  EXPECT_NE(run(std::nullopt), run(std::nullopt));
}

/// The logits after bias and penalties, up to a constant: every token's reported logprob.
std::vector<float> logprobs_of(SamplingOptions options, const Tokens& prompt, const Tokens& drawn,
                               std::vector<float> logits) {
  options.logprobs = static_cast<int>(logits.size());
  options.temperature = 0;
  Sampler sampler(options, prompt);
  for (const std::int32_t token : drawn) {
    std::vector<float> forced(logits.size(), -1e30F);
    forced[static_cast<std::size_t>(token)] = 1e30F;  // above what any penalty takes away
    EXPECT_EQ(sampler.sample(forced).token, token);
  }
  const TokenOutput output = sampler.sample(logits);
  std::vector<float> result(output.top.size());
  for (const TokenLogprob& top : output.top) result[static_cast<std::size_t>(top.token)] = top.logprob;
  return result;
}

void expect_logprobs(const std::vector<float>& got, const std::vector<double>& logits) {
  const auto p = softmax(logits);
  ASSERT_EQ(got.size(), p.size());
  for (std::size_t i = 0; i < p.size(); ++i)
    EXPECT_NEAR(double{got[i]}, std::log(p[i]), 1e-4) << "token " << i;
}

std::vector<double> doubles(const std::vector<float>& values) { return {values.begin(), values.end()}; }

TEST(Sampler, LogprobsSumToOneAndComeInOrder) {
  SamplingOptions options;
  options.logprobs = 20;
  options.temperature = 0.3F;  // must not show in logprobs
  options.top_k = 2;
  options.seed = 3;
  const auto logits = some_logits(20, 4);
  auto work = logits;
  const TokenOutput output = Sampler(options, {}).sample(work);
  ASSERT_EQ(output.top.size(), 20U);
  double sum = 0;
  for (const TokenLogprob& top : output.top) sum += std::exp(double{top.logprob});
  EXPECT_NEAR(sum, 1, 1e-6);
  for (std::size_t i = 1; i < 20; ++i) EXPECT_GE(output.top[i - 1].logprob, output.top[i].logprob);
  expect_logprobs(logprobs_of({}, {}, {}, logits), doubles(logits));
  options.logprobs = 0;
  work = logits;
  const TokenOutput only = Sampler(options, {}).sample(work);
  EXPECT_TRUE(only.logprob.has_value());
  EXPECT_TRUE(only.top.empty());
  options.logprobs = -1;
  work = logits;
  EXPECT_FALSE(Sampler(options, {}).sample(work).logprob.has_value());
}

TEST(Sampler, LogitBiasAddsAndTokensOutsideAreIgnored) {
  SamplingOptions options;
  options.logit_bias = {{2, 1.5F}, {0, -3.0F}, {99, 5.0F}, {-1, 5.0F}, {4, -kInf}};
  const auto logits = some_logits(6, 5);
  auto want = doubles(logits);
  want[2] += 1.5;
  want[0] -= 3;
  want[4] = -1e300;
  auto got = logprobs_of(options, {}, {}, logits);
  EXPECT_EQ(got[4], -kInf);
  got.erase(got.begin() + 4);
  want.erase(want.begin() + 4);
  expect_logprobs(got, want);
}

TEST(Sampler, PenaltiesFollowTheirDefinitions) {
  const std::vector<float> logits = {2, -1, 0.5F, 3, -2, 1, 0, 4};
  SamplingOptions options;
  options.repetition_penalty = 1.5F;  // of prompt and reply, once a token
  auto want = doubles(logits);
  want[0] /= 1.5, want[1] *= 1.5, want[3] /= 1.5, want[4] *= 1.5;
  expect_logprobs(logprobs_of(options, {0, 1, 0, 0}, {3, 4, 3}, logits), want);
  options.penalty_last_n = 3;  // the last three only: 0, 3, 4
  want = doubles(logits);
  want[0] /= 1.5, want[3] /= 1.5, want[4] *= 1.5;
  expect_logprobs(logprobs_of(options, {1, 1, 0}, {3, 4}, logits), want);
  options.penalty_last_n = 0;
  expect_logprobs(logprobs_of(options, {1, 1, 0}, {3, 4}, logits), doubles(logits));

  SamplingOptions counted;
  counted.frequency_penalty = 0.25F;  // of the reply only, by count
  counted.presence_penalty = 1.0F;
  want = doubles(logits);
  want[3] -= 1 + 2 * 0.25, want[4] -= 1 + 0.25;
  expect_logprobs(logprobs_of(counted, {0, 1, 0}, {3, 4, 3}, logits), want);
}

/// DRY by its definition: for every earlier place of every token, how far what stood before it agrees with
/// the end of the text (not across a breaker).
std::vector<double> naive_dry(const Tokens& text, const SamplingOptions& options,
                              std::vector<double> logits) {
  Tokens window = text;
  if (options.dry_last_n >= 0 && window.size() > static_cast<std::size_t>(options.dry_last_n))
    window.erase(window.begin(), window.end() - options.dry_last_n);
  const auto n = static_cast<int>(window.size());
  const auto breaker = [&](int i) {
    return std::count(options.dry_breakers.begin(), options.dry_breakers.end(),
                      window[static_cast<std::size_t>(i)]) > 0;
  };
  std::map<std::int32_t, int> longest;
  for (int place = 1; place < n; ++place) {  // the token at `place` followed a run
    int run = 0;
    while (run < place && !breaker(n - 1 - run) &&
           window[static_cast<std::size_t>(place - 1 - run)] == window[static_cast<std::size_t>(n - 1 - run)])
      ++run;
    if (!breaker(place)) {
      int& best = longest[window[static_cast<std::size_t>(place)]];
      best = std::max(best, run);
    }
  }
  for (const auto& [token, run] : longest)
    if (run >= std::max(1, options.dry_allowed_length))
      logits[static_cast<std::size_t>(token)] -=
          double{options.dry_multiplier} *
          std::pow(double{options.dry_base}, run - options.dry_allowed_length);
  return logits;
}

TEST(Sampler, DryEqualsItsDefinitionOnRandomTexts) {
  std::mt19937 random(6);
  int penalized = 0;
  for (int round = 0; round < 400; ++round) {
    SCOPED_TRACE(testing::Message() << "round " << round);
    SamplingOptions options;
    options.dry_multiplier = 0.8F;
    options.dry_base = 1.2F;
    options.dry_allowed_length = static_cast<int>(random() % 4);
    options.dry_last_n = random() % 3 == 0 ? static_cast<int>(random() % 40) : -1;
    if (random() % 2 == 0) options.dry_breakers = {3};
    const std::size_t letters = 2 + random() % 3;
    Tokens text;
    for (std::size_t length = random() % 60; text.size() < length;)
      text.push_back(static_cast<std::int32_t>(random() % letters));
    const auto logits = some_logits(6, static_cast<unsigned>(round), 1.0F);
    const auto want = naive_dry(text, options, doubles(logits));
    penalized += want != doubles(logits);
    expect_logprobs(logprobs_of(options, text, {}, logits), want);
  }
  EXPECT_GT(penalized, 200);
}

}  // namespace
}  // namespace deepwell
