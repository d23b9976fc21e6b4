// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

/// Cutting text into the pieces that byte pair encoding works within.
///
/// A pre-tokenizer is a list of patterns. Each cuts every piece the ones before it left: what it matches
/// becomes a piece, what lies between matches stays one ("Isolated" in Hugging Face's words). A pattern that
/// a file of pre/ knows has a hand-written scanner; any other runs on PCRE2 (regex_scan.h).
namespace deepwell::pretokenizer {

/// Takes pieces, in the order of the text; the pieces of a text, joined, are the text.
class PieceSink {
 public:
  virtual ~PieceSink() = default;
  void add(const char* begin, const char* end) {
    if (count_ == pieces_.size()) flush();
    pieces_[count_++] = {begin, static_cast<std::size_t>(end - begin)};
  }
  void flush() {
    const std::span<const std::string_view> full(pieces_.data(), count_);
    count_ = 0;
    if (!full.empty()) take(full);
  }

 private:
  virtual void take(std::span<const std::string_view> pieces) = 0;
  std::array<std::string_view, 128> pieces_;
  std::size_t count_ = 0;
};

/// One pattern: cuts [begin, end) and adds every piece of it to `out`. Requires begin < end. Total: any
/// bytes.
class Pass {
 public:
  virtual ~Pass() = default;
  virtual void cut(const char* begin, const char* end, PieceSink& out) const = 0;
};

/// A pattern and the scanner that does the same, only faster.
struct Scanner {
  std::string_view pattern;  ///< with \r and \n written as escapes, see canonical()
  void (*cut)(const char* begin, const char* end, PieceSink& out);
};

/// Patterns that no regex can say: what the pre-tokenizer Digits cuts, one by one or in runs.
inline constexpr std::string_view kDigits = "(*DIGITS)";
inline constexpr std::string_view kDigitRuns = "(*DIGIT_RUNS)";

/// A name that a model file may give for its pre-tokenizer.
struct Name {
  std::string_view name;
  bool add_bos = false;  ///< when the file does not say
};

/// What each file of pre/ defines.
struct PreTokenizer {
  std::vector<Name> names;
  std::vector<Scanner> passes;
  bool ignore_merges = false;  ///< a piece that is a token is taken whole
};
const std::vector<PreTokenizer>& all_pretokenizers();  // generated: one entry a file of pre/

/// Null where no pre-tokenizer has that name.
const PreTokenizer* find(std::string_view name, Name* found = nullptr);
/// The pre-tokenizer with exactly these patterns (the more general name where two share them), or null.
const PreTokenizer* find(const std::vector<std::string>& patterns);
std::string known_names();  ///< for error messages

/// The patterns ready to run. Immutable; safe to share between threads.
class Sequence {
 public:
  static Result<Sequence> make(const std::vector<std::string>& patterns);
  void cut(std::string_view text, PieceSink& out) const;  ///< flushes `out` at the end

 private:
  std::vector<std::unique_ptr<Pass>> passes_;
};

/// Writes carriage returns and line feeds as \r and \n: files hold either form of the same pattern.
std::string canonical(std::string_view pattern);

}  // namespace deepwell::pretokenizer
