// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "text/grammar/reply_grammar.h"

namespace deepwell {

/// Calls of tools in a model's own markup, as parts of a Lark grammar.
struct CallRules {
  std::string opener;        ///< what starts the calls: an expression
  std::string opener_regex;  ///< the same as a regular expression, when it is text
  bool opener_is_token = false;
  std::string rest;   ///< all that follows the opener: an expression
  std::string rules;  ///< the rules that `rest` names
};
Result<CallRules> make_call_rules(const ReplyRules& rules, const Tokenizer& tokenizer,
                                  const GrammarCompiler& compiler);

/// `text` as a Lark expression in which control tokens are those tokens: never letters that look like them.
std::string marker(const Tokenizer& tokenizer, std::string_view text);

}  // namespace deepwell
