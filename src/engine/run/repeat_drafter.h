// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

namespace deepwell {

/// Guesses what a sequence says next: what followed the last time its latest tokens stood in it. Answers that
/// quote, edit or go on with their prompt (code, summaries, extracts) repeat long runs of it.
///
/// Memory 8 to 20 bytes a token. Time of guess(): constant for each token that is new, and at most kTries
/// comparisons of kLongest tokens.
class RepeatDrafter {
 public:
  static constexpr int kShortest = 2;  ///< tokens that must have stood together before
  static constexpr int kLongest = 16;  ///< beyond this a longer match says no more
  static constexpr int kTries = 24;    ///< earlier places looked at, the latest first

  /// Puts at most `most` tokens into `guess`, those after the longest match (of equals the latest); a match
  /// that overlaps the end repeats itself, as text of a short period does. Returns how many of the latest
  /// tokens matched; 0: no guess. `text` is the one of the last call, gone on with.
  int guess(std::span<const std::int32_t> text, int most, std::vector<std::int32_t>& guess);

 private:
  void learn(std::span<const std::int32_t> text);

  std::vector<std::int32_t> before_;                      // by token: where its pair ended before; -1: never
  std::unordered_map<std::uint64_t, std::int32_t> last_;  // pair of tokens -> where it last ended
};

}  // namespace deepwell
