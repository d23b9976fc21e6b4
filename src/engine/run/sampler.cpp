// SPDX-License-Identifier: Apache-2.0
#include "engine/run/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <unordered_set>

#include "base/check.h"

namespace deepwell {
namespace {

/// SplitMix64 (Steele et al. 2014) of a counter: draw n needs no state from draw n-1.
std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15U;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31);
}
double uniform(std::uint64_t seed, std::uint64_t n) {
  return static_cast<double>(mix(mix(seed) ^ mix(n * 2 + 1)) >> 11) * 0x1p-53;
}

std::uint64_t random_seed() {
  std::random_device device;
  return std::uint64_t{device()} << 32 | device();
}

std::int32_t highest(std::span<const float> logits) {
  return static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

/// The last n of the tokens; all for n < 0.
std::span<const std::int32_t> last(const std::vector<std::int32_t>& tokens, int n) {
  const std::span<const std::int32_t> all(tokens);
  return n < 0 || static_cast<std::size_t>(n) >= all.size() ? all : all.last(static_cast<std::size_t>(n));
}

}  // namespace

Sampler::Sampler(SamplingOptions options, std::span<const std::int32_t> prompt)
    : options_(std::move(options)),
      seed_(options_.seed ? *options_.seed : random_seed()),
      history_(prompt.begin(), prompt.end()),
      prompt_tokens_(prompt.size()) {}

TokenOutput Sampler::sample(std::span<float> logits) {
  adjust(logits);
  return choose(logits);
}

Result<TokenOutput> Sampler::sample(std::span<float> logits, TokenConstraint& constraint) {
  adjust(logits);
  if (constraint.allows_all()) {
    TokenOutput output = choose(logits);
    DW_RETURN_IF_ERROR(constraint.accept(output.token));
    return output;
  }
  allowed_.resize((logits.size() + 31) / 32);
  DW_RETURN_IF_ERROR(constraint.mask(allowed_));
  bool any = false;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const bool allowed = (allowed_[i / 32] >> (i % 32) & 1U) != 0;
    any = any || allowed;
    // What is allowed stays above what is not, however unlikely the model or a bias makes it.
    logits[i] = allowed ? std::max(logits[i], std::numeric_limits<float>::lowest()) : -INFINITY;
  }
  if (!any) return Error{ErrorCode::kInvalid, "no token can continue the text"};
  TokenOutput output = choose(logits);
  DW_RETURN_IF_ERROR(constraint.accept(output.token));
  return output;
}

void Sampler::adjust(std::span<float> logits) const {
  DW_CHECK(!logits.empty());
  penalize(logits);
  // A broken model, an infinite bias or penalty: what is no number cannot be drawn, and infinity is as much
  // as a float can say. From here on every logit is finite or minus infinity.
  for (float& logit : logits) {
    if (std::isnan(logit)) logit = -INFINITY;
    logit = std::min(logit, std::numeric_limits<float>::max());
  }
}

TokenOutput Sampler::choose(std::span<float> logits) {
  TokenOutput output{};
  // A temperature too small to divide by (or not a number) is the limit it stands for.
  const bool greedy = !(options_.temperature > 0) || !std::isfinite(1.0F / options_.temperature);
  output.token = greedy ? highest(logits) : draw(logits);
  if (options_.logprobs >= 0) describe(logits, output);
  history_.push_back(output.token);
  ++generated_[output.token];
  return output;
}

void Sampler::penalize(std::span<float> logits) const {
  const auto inside = [&](std::int32_t token) {
    return token >= 0 && static_cast<std::size_t>(token) < logits.size();
  };
  for (const auto& [token, bias] : options_.logit_bias)
    if (inside(token)) logits[static_cast<std::size_t>(token)] += bias;
  if (options_.repetition_penalty != 1.0F) {
    std::unordered_set<std::int32_t> seen;
    for (std::int32_t token : last(history_, options_.penalty_last_n)) {
      if (!inside(token) || !seen.insert(token).second) continue;
      float& logit = logits[static_cast<std::size_t>(token)];
      logit = logit > 0 ? logit / options_.repetition_penalty : logit * options_.repetition_penalty;
    }
  }
  if (options_.frequency_penalty != 0 || options_.presence_penalty != 0)
    for (const auto& [token, count] : generated_)
      if (inside(token))
        logits[static_cast<std::size_t>(token)] -=
            options_.frequency_penalty * static_cast<float>(count) + options_.presence_penalty;
  if (options_.dry_multiplier > 0) penalize_repeated_runs(logits);
}

// DRY: a token that would extend a run of tokens seen before is penalized by multiplier * base^(run -
// allowed). Runs are found with the Z function of the reversed history: z[i] is how far the end of the
// history agrees with what ends at the i-th token from its end.
void Sampler::penalize_repeated_runs(std::span<float> logits) const {
  const std::span<const std::int32_t> window = last(history_, options_.dry_last_n);
  const std::size_t n = window.size();
  if (n < 2) return;
  const auto back = [&](std::size_t i) { return window[n - 1 - i]; };
  const auto is_breaker = [&](std::int32_t token) {
    return std::find(options_.dry_breakers.begin(), options_.dry_breakers.end(), token) !=
           options_.dry_breakers.end();
  };
  std::size_t longest = 0;  // a run ends at a breaker
  while (longest < n && !is_breaker(back(longest))) ++longest;
  std::unordered_map<std::int32_t, std::size_t> runs;  // token that followed -> longest run before it
  std::vector<std::size_t> z(n, 0);
  for (std::size_t i = 1, left = 0, right = 0; i < n; ++i) {
    if (i < right) z[i] = std::min(right - i, z[i - left]);
    while (i + z[i] < n && back(z[i]) == back(i + z[i])) ++z[i];
    if (i + z[i] > right) {
      left = i;
      right = i + z[i];
    }
    const std::size_t run = std::min(z[i], longest);
    std::size_t& best = runs[back(i - 1)];
    best = std::max(best, run);
  }
  for (const auto& [token, run] : runs) {
    if (run < static_cast<std::size_t>(std::max(1, options_.dry_allowed_length)) || is_breaker(token))
      continue;
    const double power = std::min(static_cast<double>(run) - options_.dry_allowed_length, 60.0);
    if (token >= 0 && static_cast<std::size_t>(token) < logits.size())
      logits[static_cast<std::size_t>(token)] -=
          static_cast<float>(double{options_.dry_multiplier} * std::pow(double{options_.dry_base}, power));
  }
}

void Sampler::sort_front(std::size_t count) {
  count = std::min(count, candidates_.size());
  const auto heavier = [](const Candidate& a, const Candidate& b) {
    return a.weight != b.weight ? a.weight > b.weight : a.token < b.token;
  };
  const auto middle = candidates_.begin() + static_cast<std::ptrdiff_t>(count);
  if (count < candidates_.size()) std::nth_element(candidates_.begin(), middle, candidates_.end(), heavier);
  std::sort(candidates_.begin(), middle, heavier);
}

// Locally typical sampling (Meister et al. 2022): keep the tokens whose surprise is nearest the entropy until
// they hold typical_p of the mass.
void Sampler::keep_typical() {
  double entropy = 0;
  for (const Candidate& c : candidates_)
    if (c.weight > 0) entropy -= double{c.weight} * std::log(double{c.weight});
  const auto distance = [entropy](const Candidate& c) {
    return c.weight > 0 ? std::fabs(-std::log(double{c.weight}) - entropy) : INFINITY;
  };
  std::stable_sort(candidates_.begin(), candidates_.end(),
                   [&](const Candidate& a, const Candidate& b) { return distance(a) < distance(b); });
  double mass = 0;
  std::size_t kept = 0;
  while (kept < candidates_.size() && mass < double{options_.typical_p})
    mass += double{candidates_[kept++].weight};
  candidates_.resize(std::max<std::size_t>(kept, 1));
}

std::int32_t Sampler::draw(std::span<float> logits) {
  const float peak = logits[static_cast<std::size_t>(highest(logits))];
  if (!std::isfinite(peak)) return highest(logits);
  const float inverse = 1.0F / options_.temperature;
  candidates_.clear();
  // exp(-104) is below the smallest float: such tokens have no mass at all.
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const float scaled = (logits[i] - peak) * inverse;
    if (scaled > -104.0F) candidates_.push_back({static_cast<std::int32_t>(i), scaled});
  }
  if (options_.top_k > 0 && static_cast<std::size_t>(options_.top_k) < candidates_.size()) {
    sort_front(static_cast<std::size_t>(options_.top_k));
    candidates_.resize(static_cast<std::size_t>(options_.top_k));
  }
  const auto normalize = [this] {
    double total = 0;
    for (const Candidate& c : candidates_) total += double{c.weight};
    for (Candidate& c : candidates_) c.weight = static_cast<float>(double{c.weight} / total);
  };
  for (Candidate& c : candidates_) c.weight = std::exp(c.weight);
  normalize();
  if (options_.typical_p < 1.0F) {
    keep_typical();
    normalize();
  }
  if (options_.top_p < 1.0F) {
    double mass = 0;
    std::size_t kept = 0;
    for (std::size_t sorted = 64; kept < candidates_.size() && (kept == 0 || mass < double{options_.top_p});
         sorted *= 8) {
      sort_front(sorted);
      mass = 0;
      kept = 0;
      while (kept < std::min(sorted, candidates_.size()) && (kept == 0 || mass < double{options_.top_p}))
        mass += double{candidates_[kept++].weight};
    }
    candidates_.resize(kept);
  }
  if (options_.min_p > 0.0F) {
    float best = 0;
    for (const Candidate& c : candidates_) best = std::max(best, c.weight);
    const float least = best * std::min(options_.min_p, 1.0F);  // the best always stays
    std::erase_if(candidates_, [&](const Candidate& c) { return c.weight < least; });
  }
  // Draw in token order, so that the result does not depend on how far the front was sorted.
  std::sort(candidates_.begin(), candidates_.end(),
            [](const Candidate& a, const Candidate& b) { return a.token < b.token; });
  double total = 0;
  for (const Candidate& c : candidates_) total += double{c.weight};
  double left = uniform(seed_, draws_++) * total;
  for (const Candidate& c : candidates_) {
    left -= double{c.weight};
    if (left < 0) return c.token;
  }
  return candidates_.back().token;
}

void Sampler::describe(std::span<const float> logits, TokenOutput& output) const {
  // With no finite logit at all, all are taken for equal.
  const bool none = !std::isfinite(logits[static_cast<std::size_t>(highest(logits))]);
  const double peak = none ? 0.0 : double{logits[static_cast<std::size_t>(highest(logits))]};
  double total = 0;
  for (float logit : logits) total += none ? 1.0 : std::exp(double{logit} - peak);
  const double log_total = peak + std::log(total);
  const auto logprob = [&](std::int32_t token) {
    const double logit = none ? 0.0 : double{logits[static_cast<std::size_t>(token)]};
    return static_cast<float>(logit - log_total);
  };
  output.logprob = logprob(output.token);
  const auto count = std::min(static_cast<std::size_t>(options_.logprobs), logits.size());
  std::vector<std::int32_t> order(logits.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::int32_t>(i);
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(),
                    [&](std::int32_t a, std::int32_t b) {
                      const float x = logits[static_cast<std::size_t>(a)],
                                  y = logits[static_cast<std::size_t>(b)];
                      return x != y ? x > y : a < b;
                    });
  for (std::size_t i = 0; i < count; ++i) output.top.push_back({order[i], logprob(order[i])});
}

}  // namespace deepwell
