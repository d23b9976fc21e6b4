// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "text/tokenizer/tokenizer.h"

namespace deepwell {

/// What an answer must look like.
struct GrammarSource {
  enum class Kind {
    kJsonSchema,  ///< draft 2020-12; text fits it, with object keys in the schema's order
    kRegex,       ///< the whole text matches; syntax of Rust's regex crate
    kLark         ///< llguidance's dialect of Lark
  };
  Kind kind = Kind::kJsonSchema;
  std::string text;
};

/// One answer's place in its grammar. One thread at a time.
class GrammarMatcher {
 public:
  virtual ~GrammarMatcher() = default;
  /// Sets the bit of every token that may come next (token t: bit t % 32 of word t / 32), end tokens too
  /// where the answer may end; clears the others. An error is final.
  virtual Status mask(std::span<std::uint32_t> allowed) = 0;
  virtual Status accept(Token token) = 0;
  virtual bool finished() const = 0;                                 ///< nothing may follow
  virtual bool may_end() = 0;                                        ///< the text so far is whole
  virtual Result<std::unique_ptr<GrammarMatcher>> copy() const = 0;  ///< at the same place
};

/// Makes matchers over one vocabulary. Thread-safe. The first call takes a moment more: it sorts the
/// vocabulary.
class GrammarCompiler {
 public:
  explicit GrammarCompiler(const Tokenizer& tokenizer);  ///< outlives this
  ~GrammarCompiler();

  /// Limits: source 1 MiB, bounded work for compiling and for each token after it; control tokens come only
  /// where a grammar names them. Errors: kInvalid; the text names the keyword or the place that cannot be
  /// honoured.
  /// What was compiled before, or refused, is remembered: agents send the same tools in every turn.
  Result<std::unique_ptr<GrammarMatcher>> compile(const GrammarSource& source) const;
  /// Whether it can be compiled.
  Status check(const GrammarSource& source) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// A JSON Schema as %json of a Lark grammar takes it: held to the same rules as one compiled by itself.
Result<std::string> prepared_schema(std::string_view schema);

/// `text` as a literal of a Lark grammar.
std::string lark_literal(std::string_view text);

}  // namespace deepwell
