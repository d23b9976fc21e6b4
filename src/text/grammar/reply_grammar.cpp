// SPDX-License-Identifier: Apache-2.0
#include "text/grammar/reply_grammar.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "text/grammar/call_rules.h"

namespace deepwell {
namespace {
constexpr const char* kAnyText = "/[\\s\\S]*/";

std::string regex_literal(std::string_view regex) {
  std::string out = "/";
  for (std::size_t i = 0; i < regex.size(); ++i) {
    if (regex[i] == '\\' && i + 1 < regex.size()) {
      out += regex[i];
      out += regex[++i];
    } else if (regex[i] == '/') {
      out += "\\/";
    } else if (regex[i] == '\n') {
      out += "\\n";
    } else {
      out += regex[i];
    }
  }
  return out + "/";
}

Result<std::string> format_rule(const GrammarSource& format) {
  switch (format.kind) {
    case GrammarSource::Kind::kJsonSchema: {
      DW_TRY(const std::string schema, prepared_schema(format.text));
      return "%json " + schema;
    }
    case GrammarSource::Kind::kRegex:
      return regex_literal(format.text);
    case GrammarSource::Kind::kLark:
      return "%lark {\n" + format.text + "\n}";
  }
  return Error{ErrorCode::kInvalid, "unknown kind of format"};
}

}  // namespace

Result<std::optional<GrammarSource>> reply_grammar(const ReplyRules& rules, const Tokenizer& tokenizer,
                                                   const GrammarCompiler& compiler) {
  using Choice = ToolChoice::Kind;
  const bool forced = rules.choice.kind == Choice::kRequired || rules.choice.kind == Choice::kNamed;
  // A reply of Llama's that is all JSON may be a call or an answer: nothing can be said before it ends.
  const bool calls =
      forced || (rules.choice.kind == Choice::kAuto && !rules.tools.empty() &&
                 rules.language != ReplyLanguage::kPlain && rules.language != ReplyLanguage::kThinking &&
                 rules.language != ReplyLanguage::kLlama3);
  if (!calls && !rules.format) return std::optional<GrammarSource>();
  const bool opens_in_thinking = rules.start.in == ReplyStart::In::kReasoning;
  const bool thinks = opens_in_thinking || (rules.may_think && rules.start.in == ReplyStart::In::kText);
  if (!calls && !thinks) return std::optional<GrammarSource>(*rules.format);

  std::string text;
  std::string body;
  if (calls) {
    DW_TRY(const CallRules call_rules, make_call_rules(rules, tokenizer, compiler));
    text += call_rules.rules;
    const bool open = rules.start.in == ReplyStart::In::kToolCalls;
    const std::string& block = open ? call_rules.rest : call_rules.opener + " " + call_rules.rest;
    if (forced || open) {
      body = block;
    } else if (rules.format) {
      body = block + " | answer";
    } else if (call_rules.opener_is_token) {
      body = fmt::format("any_text ({})?", block);
    } else {
      // The lazy one wins as soon as the opener is there.
      text += call_rules.opener.find("<[") != std::string::npos
                  ? fmt::format("lead: any_text {}\n", call_rules.opener)
                  : fmt::format("lead[lazy]: /[\\s\\S]*{}/\n", call_rules.opener_regex);
      body = fmt::format("lead {} | any_text", call_rules.rest);
    }
  } else {
    body = "answer";
  }
  if (rules.format) {
    DW_TRY(const std::string format, format_rule(*rules.format));
    text += "answer: " + format + "\n";
  }
  std::string start = "body";
  if (thinks) {
    const std::string end = marker(tokenizer, "</think>");
    text += end.starts_with("<[") ? fmt::format("think: any_text {}\n", end)
                                  : std::string("think[lazy]: /[\\s\\S]*<\\/think>/\n");
    text += "gap: /\\n{0,2}/\n";
    start = opens_in_thinking ? "think gap body"
                              : fmt::format("({} think gap)? body", marker(tokenizer, "<think>"));
  }
  text = fmt::format("start: {}\nbody: {}\nany_text: {}\n", start, body, kAnyText) + text;
  return std::optional<GrammarSource>({GrammarSource::Kind::kLark, std::move(text)});
}

}  // namespace deepwell
