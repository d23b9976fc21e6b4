// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include "text/chat/conversation.h"
#include "text/grammar/grammar.h"
#include "text/reply/reply_parser.h"

namespace deepwell {

/// What a reply has to keep to.
struct ReplyRules {
  ReplyLanguage language = ReplyLanguage::kPlain;
  ReplyStart start{};
  bool may_think = false;  ///< the reply may open with thinking although the prompt did not
  std::vector<Tool> tools{};
  ToolChoice choice{};
  bool parallel = true;                   ///< more than one call
  std::optional<GrammarSource> format{};  ///< of the answer's text
};

/// The grammar of such replies, markup, thinking and all; nothing when any reply will do.
///
/// A call names an offered tool and its arguments fit the tool's schema. A schema that cannot be honoured is
/// refused for a tool that is "strict"; any other tool then takes any object. With choice kRequired or kNamed
/// a reply is nothing but calls (after thinking), whatever the model would like. kPlain calls as kHermes
/// does. Errors: kInvalid for a client.
Result<std::optional<GrammarSource>> reply_grammar(const ReplyRules& rules, const Tokenizer& tokenizer,
                                                   const GrammarCompiler& compiler);

}  // namespace deepwell
