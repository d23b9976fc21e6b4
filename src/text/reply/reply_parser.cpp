// SPDX-License-Identifier: Apache-2.0
#include "text/reply/reply_parser.h"

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

}  // namespace deepwell
