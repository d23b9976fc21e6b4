// SPDX-License-Identifier: Apache-2.0
// Whatever a model would like to say, a reply under its grammar is read back by the reply's parser as calls
// of offered tools with arguments that are JSON. Method: random draws among what is allowed, in every
// language, with markup as control tokens and as text.
#include "text/grammar/reply_grammar.h"

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "text/grammar/byte_tokenizer.h"
#include "text/stream/detokenizer.h"

namespace deepwell {
namespace {
using Json = nlohmann::ordered_json;
using Choice = ToolChoice::Kind;

const std::vector<const char*> kMarkup = {"<｜tool▁calls▁begin｜>",
                                          "<｜tool▁calls▁end｜>",
                                          "<｜tool▁call▁begin｜>",
                                          "<｜tool▁call▁end｜>",
                                          "<｜tool▁sep｜>",
                                          "｜DSML｜",
                                          "<tool_call>",
                                          "</tool_call>",
                                          "<think>",
                                          "</think>"};

std::vector<Tool> tools() {
  return {
      {"get_weather",
       R"({"name":"get_weather","parameters":{"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer","minimum":0,"maximum":9},"unit":{"enum":["c","f"]}},"required":["city","unit"],"additionalProperties":false}})"},
      {"now", R"({"name":"now","description":"the time"})"},
      {"odd", R"({"name":"odd","parameters":{"type":"object","not":{"required":["x"]}}})"}};
}

struct Read {
  std::string text, reasoning;
  std::vector<std::pair<std::string, std::string>> calls;
  int ended = 0;
};

Read read_reply(const ReplyRules& rules, const std::string& reply) {
  ReplyOptions options;
  options.start = rules.start;
  options.parse_tools = !rules.tools.empty();
  const ReplyLanguage language =
      rules.language == ReplyLanguage::kPlain || rules.language == ReplyLanguage::kThinking
          ? ReplyLanguage::kHermes
          : rules.language;
  const auto parser = ReplyParser::make(language, options);
  auto events = parser->feed(reply);
  for (ReplyEvent& event : parser->finish()) events.push_back(std::move(event));
  Read out;
  for (const ReplyEvent& event : events) {
    if (event.kind == ReplyEvent::Kind::kText) out.text += event.text;
    if (event.kind == ReplyEvent::Kind::kReasoning) out.reasoning += event.text;
    if (event.kind == ReplyEvent::Kind::kToolStart) out.calls.emplace_back(event.text, "");
    if (event.kind == ReplyEvent::Kind::kToolArguments) out.calls.back().second += event.text;
    if (event.kind == ReplyEvent::Kind::kToolEnd) ++out.ended;
  }
  return out;
}

class ReplyGrammar : public testing::TestWithParam<std::tuple<ReplyLanguage, bool>> {
 protected:
  ReplyGrammar() : tokenizer(std::get<1>(GetParam()) ? kMarkup : std::vector<const char*>{}) {}

  /// A random reply under the rules; "" when it found no end.
  std::string draw(const ReplyRules& rules) {
    const auto grammar = reply_grammar(rules, tokenizer, compiler);
    EXPECT_TRUE(grammar.ok()) << grammar.error().message;
    if (!grammar || !grammar->has_value()) return {};
    auto matcher = compiler.compile(**grammar);
    EXPECT_TRUE(matcher.ok()) << matcher.error().message << "\n" << (*grammar)->text;
    if (!matcher) return {};
    std::vector<std::uint32_t> bits(static_cast<std::size_t>(tokenizer.size() + 31) / 32);
    std::string reply;
    for (int i = 0; i < 3000 && !(*matcher)->finished(); ++i) {
      EXPECT_TRUE((*matcher)->mask(bits).ok());
      const auto allowed = [&](Token token) {
        return (bits[static_cast<std::size_t>(token) / 32] >> (token % 32) & 1U) != 0;
      };
      std::vector<Token> may;
      for (Token token = 0; token < tokenizer.size(); ++token)
        if (allowed(token)) may.push_back(token);
      EXPECT_FALSE(may.empty());
      Token token = may[random_() % may.size()];
      // Led to an end: closings of JSON, thinking and markup, or what most texts need for them.
      if (i > 20 && random_() % 3 != 0) {
        std::vector<Token> closing;
        for (const char* text : {"<|end|>", "}", "\"", "</think>", "</tool_call>", "</｜DSML｜parameter>\n",
                                 "</｜DSML｜ parameter>\n", "｜DSML｜", "</", "<"}) {
          if (const auto found = tokenizer.find(text); found && allowed(*found)) closing.push_back(*found);
        }
        if (!closing.empty()) token = closing[random_() % closing.size()];
      }
      EXPECT_TRUE((*matcher)->accept(token).ok());
      if (!tokenizer.ends_generation(token)) reply += tokenizer.token_bytes(token, true);
    }
    if (!(*matcher)->finished()) return {};
    Utf8Stream characters;
    std::string text = characters.push(reply);
    return text + characters.finish();
  }

  ByteTokenizer tokenizer;
  GrammarCompiler compiler{tokenizer};
  std::mt19937 random_{7};
};

TEST_P(ReplyGrammar, AForcedReplyIsCallsAndNothingElse) {
  ReplyRules rules;
  rules.language = std::get<0>(GetParam());
  rules.tools = tools();
  std::map<std::string, int> seen;
  int whole = 0;
  for (int i = 0; i < 60; ++i) {
    rules.choice.kind = i % 2 == 0 ? Choice::kRequired : Choice::kNamed;
    rules.choice.name = "get_weather";
    rules.parallel = i % 4 < 2;
    const bool thinks = i % 8 >= 4 && rules.language != ReplyLanguage::kLlama3;
    rules.start.in = thinks ? ReplyStart::In::kReasoning : ReplyStart::In::kText;
    const std::string reply = draw(rules);
    if (reply.empty()) continue;
    ++whole;
    SCOPED_TRACE(reply);
    const Read read = read_reply(rules, reply);
    ASSERT_FALSE(read.calls.empty());
    EXPECT_TRUE(rules.parallel || read.calls.size() == 1);
    EXPECT_EQ(read.ended, static_cast<int>(read.calls.size()));
    EXPECT_EQ(read.text, "");
    for (const auto& [name, arguments] : read.calls) {
      ++seen[name];
      const Json json = Json::parse(arguments, nullptr, false);
      ASSERT_TRUE(json.is_object()) << arguments;
      EXPECT_TRUE(rules.choice.kind != Choice::kNamed || name == "get_weather") << name;
      if (name != "get_weather") continue;
      ASSERT_TRUE(json.contains("city") && json["city"].is_string()) << arguments;
      ASSERT_TRUE(json["unit"] == "c" || json["unit"] == "f") << arguments;
      const Json days = json.value("days", Json(0));
      ASSERT_TRUE(days.is_number_integer() && days <= 9) << arguments;
    }
  }
  EXPECT_GT(whole, 5);
  EXPECT_GE(seen.size(), 2U);
}

TEST_P(ReplyGrammar, AFreeReplyCallsRightOrNotAtAll) {
  ReplyRules rules;
  rules.language = std::get<0>(GetParam());
  rules.tools = tools();
  const auto grammar = reply_grammar(rules, tokenizer, compiler);
  ASSERT_TRUE(grammar.ok());
  if (rules.language == ReplyLanguage::kPlain || rules.language == ReplyLanguage::kThinking ||
      rules.language == ReplyLanguage::kLlama3) {
    EXPECT_FALSE(grammar->has_value());
    return;
  }
  for (int i = 0; i < 40; ++i) {
    const std::string reply = draw(rules);
    SCOPED_TRACE(reply);
    for (const auto& [name, arguments] : read_reply(rules, reply).calls)
      ASSERT_TRUE(Json::accept(arguments)) << name << " " << arguments;
  }
}

TEST_P(ReplyGrammar, AnAnswerInAFormatComesAfterThinking) {
  ReplyRules rules;
  rules.language = std::get<0>(GetParam());
  rules.start.in = ReplyStart::In::kReasoning;
  for (const GrammarSource& format :
       {GrammarSource{GrammarSource::Kind::kJsonSchema, R"({"enum":[12,true]})"},
        GrammarSource{GrammarSource::Kind::kRegex, "(12|true)"},
        GrammarSource{GrammarSource::Kind::kLark, "start: \"12\" | \"true\""}}) {
    rules.format = format;
    for (int i = 0; i < 5; ++i) {
      const std::string reply = draw(rules);
      if (reply.empty()) continue;
      SCOPED_TRACE(reply);
      const Read read = read_reply(rules, reply);
      EXPECT_TRUE(read.text == "12" || read.text == "true") << read.text;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Languages, ReplyGrammar,
                         testing::Combine(testing::Values(ReplyLanguage::kPlain, ReplyLanguage::kThinking,
                                                          ReplyLanguage::kDeepSeekTokens,
                                                          ReplyLanguage::kDeepSeekDsml,
                                                          ReplyLanguage::kHermes, ReplyLanguage::kLlama3),
                                          testing::Bool()));

TEST(ReplyGrammarRules, StrictToolsAreHonouredOrRefused) {
  const ByteTokenizer tokenizer;
  const GrammarCompiler compiler(tokenizer);
  ReplyRules rules;
  rules.language = ReplyLanguage::kHermes;
  rules.tools = {{"odd", R"({"name":"odd","strict":true,"parameters":{"type":"object","not":{}}})"}};
  const auto refused = reply_grammar(rules, tokenizer, compiler);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("'not'"), std::string::npos) << refused.error().message;
  EXPECT_NE(refused.error().message.find("'odd'"), std::string::npos);
}

TEST(ReplyGrammarRules, NoRulesNoGrammar) {
  const ByteTokenizer tokenizer;
  const GrammarCompiler compiler(tokenizer);
  ReplyRules rules;
  EXPECT_FALSE(reply_grammar(rules, tokenizer, compiler)->has_value());
  rules.format = GrammarSource{GrammarSource::Kind::kRegex, "a"};
  EXPECT_EQ((*reply_grammar(rules, tokenizer, compiler))->text, "a")
      << "as it is, where nothing comes before it";
  rules.choice.kind = Choice::kRequired;
  EXPECT_FALSE(reply_grammar(rules, tokenizer, compiler).ok()) << "no tool to call";
}

}  // namespace
}  // namespace deepwell
