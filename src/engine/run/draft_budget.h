// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace deepwell {

/// What a forward pass costs by its rows, learned from the passes: seconds = fixed + rows * each. Reading the
/// weights is the fixed part; on a machine at its memory bus more rows are nearly free, at many rows none is.
class StepCost {
 public:
  void observe(std::int64_t rows, double seconds);
  /// Of one row more, as a share of a pass of `rows`. Before it is known: cautious.
  double of_one_more(std::int64_t rows) const;
  /// Seconds of a pass of `rows`; 0 before it is known.
  double of_pass(std::int64_t rows) const;

 private:
  double each() const;  // 0: not known
  // Sums of a weighted least-squares line; old passes fade.
  double weight_ = 0, x_ = 0, y_ = 0, xx_ = 0, xy_ = 0;
};

/// How often a sequence's guesses come true, and how many are therefore worth verifying.
class DraftBudget {
 public:
  void observe(int guessed, int right);
  /// Tokens to verify in a pass, 0..most, so that the tokens gained are worth the time: a token more takes
  /// `cost_of_one_more` of a pass without any. Where guesses keep failing it is 0, and one is tried now and
  /// then.
  int worth(double cost_of_one_more, int most);

 private:
  double right_ = 3, guessed_ = 4;  // of the guesses that were reached; fading. Begins hopeful.
  int passes_without_ = 0;
};

}  // namespace deepwell
