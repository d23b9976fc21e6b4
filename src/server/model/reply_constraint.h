// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "engine/run/constraint.h"
#include "server/model/served_model.h"
#include "text/grammar/grammar.h"

namespace deepwell {

/// Holds an answer to its grammar, and its thinking to a number of tokens or until somebody wants the answer:
/// then the end of thinking is forced.
class ReplyConstraint final : public TokenConstraint {
 public:
  /// `matcher` may be nullptr: no grammar. `thinking_tokens_max` -1: no limit. `in_thinking`: the prompt
  /// opened it.
  ReplyConstraint(const Tokenizer& tokenizer, std::unique_ptr<GrammarMatcher> matcher, bool in_thinking,
                  std::int64_t thinking_tokens_max);
  /// Thinking that runs, or is yet to begin, ends with the next token. From any thread.
  void answer_now() { now_ = true; }

  bool allows_all() const override { return matcher_ == nullptr && !must_close(); }
  Status mask(std::span<std::uint32_t> allowed) override;
  Status accept(std::int32_t token) override;
  bool finished() const override;

 private:
  bool must_close() const;
  void follow(std::int32_t token);

  const Tokenizer& tokenizer_;
  std::unique_ptr<GrammarMatcher> matcher_;
  const std::int64_t thinking_tokens_max_;
  std::vector<Token> closing_;  ///< the tokens of </think>
  std::atomic<bool> now_ = false;
  std::size_t closed_ = 0;  ///< of those, forced so far
  bool thinking_;
  bool ended_ = false;  ///< thinking is over, or never was
  std::int64_t thought_ = 0;
  std::string tail_;  ///< of the text, to find the tags in
};

}  // namespace deepwell
