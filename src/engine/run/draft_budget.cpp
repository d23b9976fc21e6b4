// SPDX-License-Identifier: Apache-2.0
#include "engine/run/draft_budget.h"

#include <algorithm>

namespace deepwell {
namespace {
constexpr double kStepMemory = 0.98;  // about the last fifty passes
constexpr double kGuessMemory = 0.9;  // about the last ten verifications
constexpr double kCautious = 0.25;    // cost of a row before two kinds of passes were seen
constexpr int kRetryAfter = 24;       // passes without a guess, then one is tried again
}  // namespace

void StepCost::observe(std::int64_t rows, double seconds) {
  const auto x = static_cast<double>(rows);
  for (double* sum : {&weight_, &x_, &y_, &xx_, &xy_}) *sum *= kStepMemory;
  weight_ += 1;
  x_ += x;
  y_ += seconds;
  xx_ += x * x;
  xy_ += x * seconds;
}

double StepCost::each() const {
  const double spread = xx_ - x_ * x_ / weight_;
  return spread < 0.5 ? 0 : (xy_ - x_ * y_ / weight_) / spread;  // else all passes were alike
}

double StepCost::of_pass(std::int64_t rows) const {
  if (weight_ <= 0) return 0;
  return std::max(0.0, y_ / weight_ + each() * (static_cast<double>(rows) - x_ / weight_));
}

double StepCost::of_one_more(std::int64_t rows) const {
  const double pass = of_pass(rows);
  return pass <= 0 || each() == 0 ? kCautious : std::clamp(each() / pass, 0.01, 1.0);
}

void DraftBudget::observe(int guessed, int right) {
  // What comes after the first wrong guess was never put to the test.
  const int reached = std::min(guessed, right + 1);
  right_ = right_ * kGuessMemory + right;
  guessed_ = guessed_ * kGuessMemory + reached;
}

int DraftBudget::worth(double cost_of_one_more, int most) {
  const double chance = right_ / guessed_;
  double tokens = 1, likely = 1, best = 1;
  int worth = 0;
  for (int k = 1; k <= most; ++k) {
    likely *= chance;
    tokens += likely;
    const double rate = tokens / (1 + cost_of_one_more * k);
    if (rate > best * 1.02) {
      best = rate;
      worth = k;
    }
  }
  passes_without_ = worth > 0 ? 0 : passes_without_ + 1;
  if (worth == 0 && passes_without_ > kRetryAfter && most > 0) {
    passes_without_ = 0;
    return 1;
  }
  return worth;
}

}  // namespace deepwell
