// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

namespace deepwell {

/// Guesses what a sequence says next: what followed the last time its latest tokens stood in it. Answers that
/// quote, edit or go on with their prompt (code, summaries, extracts) repeat long runs of it.
///
/// Memory 12 to 24 bytes a token. Time of append(): constant; of guess(): at most kTries comparisons of
/// kLongest tokens.
class RepeatDrafter {
 public:
  static constexpr int kShortest = 2;  ///< tokens that must have stood together before
  static constexpr int kLongest = 16;  ///< beyond this a longer match says no more
  static constexpr int kTries = 24;    ///< earlier places looked at, the latest first

  void append(std::int32_t token);
  std::size_t size() const { return history_.size(); }
  /// Puts at most `most` tokens into `tokens`, those after the longest match (of equals the latest); a match
  /// that overlaps the end repeats itself, as text of a short period does. Returns how many of the latest
  /// tokens matched; 0: no guess.
  int guess(int most, std::vector<std::int32_t>& tokens) const;

 private:
  /// The two tokens that end at `at`.
  std::uint64_t pair_at(std::size_t at) const {
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(history_[at - 1])) << 32 |
           static_cast<std::uint32_t>(history_[at]);
  }
  int matched(std::int32_t earlier) const;

  std::vector<std::int32_t> history_;
  std::vector<std::int32_t> before_;  // where the pair that ends here ended before; -1: never
  std::unordered_map<std::uint64_t, std::int32_t> last_;  // pair -> where it last ended
};

}  // namespace deepwell
