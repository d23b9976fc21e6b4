// SPDX-License-Identifier: Apache-2.0
#include "text/reply/reply_parser.h"

#include <fmt/format.h>

#include "base/check.h"
#include "text/reply/languages.h"
#include "text/reply/reply_machine.h"

namespace deepwell {
namespace {

/// Text without calls of tools.
class TextParser final : public ReplyMachine {
 public:
  TextParser(ReplyOptions options, bool thinks)
      : ReplyMachine(std::move(options), {.openers = {}, .thinks = thinks}) {
    begin();
  }

 private:
  void inside_tag(std::size_t, std::string_view, bool) override { DW_CHECK(false); }
  void inside_text(std::string_view) override { DW_CHECK(false); }
};

}  // namespace

std::unique_ptr<ReplyParser> make_text_parser(ReplyOptions options, bool thinks) {
  return std::make_unique<TextParser>(std::move(options), thinks);
}

std::unique_ptr<ReplyParser> ReplyParser::make(ReplyLanguage language, ReplyOptions options) {
  switch (language) {
    case ReplyLanguage::kPlain:
      options.start = {ReplyStart::In::kText, /*continues=*/true};  // not even a newline is markup
      return make_text_parser(std::move(options), false);
    case ReplyLanguage::kThinking:
      return make_text_parser(std::move(options), true);
    case ReplyLanguage::kDeepSeekTokens:
      return make_token_parser(std::move(options));
    case ReplyLanguage::kDeepSeekDsml:
      return make_dsml_parser(std::move(options));
    case ReplyLanguage::kHermes:
      return make_hermes_parser(std::move(options));
    case ReplyLanguage::kLlama3:
      return make_llama3_parser(std::move(options));
  }
  DW_CHECK(false);
  return nullptr;
}

std::vector<std::string_view> ReplyParser::markers(ReplyLanguage language) {
  std::vector<std::string_view> texts;
  if (language != ReplyLanguage::kPlain) texts = {"<think>", "</think>"};
  switch (language) {
    case ReplyLanguage::kPlain:
    case ReplyLanguage::kThinking:
      break;
    case ReplyLanguage::kDeepSeekTokens:
      texts.insert(texts.end(), {"<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>", "<｜tool▁call▁begin｜>",
                                 "<｜tool▁call▁end｜>", "<｜tool▁sep｜>"});
      break;
    case ReplyLanguage::kDeepSeekDsml:
      texts.insert(texts.end(), {"｜DSML｜", "<｜DSML｜", "</｜DSML｜"});
      break;
    case ReplyLanguage::kHermes:
      texts.insert(texts.end(), {"<tool_call>", "</tool_call>"});
      break;
    case ReplyLanguage::kLlama3:
      texts.emplace_back("<|python_tag|>");
      break;
  }
  return texts;
}

std::string json_escaped(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
        } else {
          out += c;
        }
    }
  }
  return out;
}

std::string_view without_blanks(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace deepwell
