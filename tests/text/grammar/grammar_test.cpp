// SPDX-License-Identifier: Apache-2.0
// What a grammar lets through and what it refuses, token by token; what cannot be honoured is refused with
// its name. json_schema_test.py judges schemas at large.
#include "text/grammar/grammar.h"

#include <gtest/gtest.h>

#include "text/grammar/byte_tokenizer.h"

namespace deepwell {
namespace {
using Kind = GrammarSource::Kind;

class Grammar : public testing::Test {
 protected:
  std::unique_ptr<GrammarMatcher> compile(Kind kind, const std::string& text) {
    auto made = compiler.compile({kind, text});
    EXPECT_TRUE(made.ok()) << made.error().message;
    return made ? std::move(*made) : nullptr;
  }
  std::string refusal(Kind kind, const std::string& text) {
    const auto made = compiler.compile({kind, text});
    return made ? "compiled" : made.error().message;
  }
  bool allowed(GrammarMatcher& matcher, Token token) {
    std::vector<std::uint32_t> bits(static_cast<std::size_t>(tokenizer.size() + 31) / 32 + 2, ~0U);
    EXPECT_TRUE(matcher.mask(bits).ok());
    EXPECT_EQ(bits.back(), 0U) << "bits beyond the vocabulary";
    return (bits[static_cast<std::size_t>(token) / 32] >> (token % 32) & 1) != 0;
  }
  /// The text is let through token by token, and may end there.
  bool fits(Kind kind, const std::string& grammar, std::string_view text) {
    const auto matcher = compile(kind, grammar);
    if (matcher == nullptr) return false;
    for (const Token token : tokenizer.encode(text, {})) {
      if (matcher->finished() || !allowed(*matcher, token)) return false;
      if (!matcher->accept(token)) return false;
    }
    return matcher->may_end();
  }
  ByteTokenizer tokenizer;
  GrammarCompiler compiler{tokenizer};
};

TEST_F(Grammar, ASchemaLetsWhatFitsThroughAndNothingElse) {
  const std::string schema =
      R"({"type":"object","properties":{"z":{"type":"integer"},"a":{"enum":["x","y"]}},"required":["z"],"additionalProperties":false})";
  EXPECT_TRUE(fits(Kind::kJsonSchema, schema, R"({"z":12,"a":"x"})"));
  EXPECT_TRUE(fits(Kind::kJsonSchema, schema, "{\n  \"z\": -3\n}"));
  EXPECT_FALSE(fits(Kind::kJsonSchema, schema, R"({"a":"x"})")) << "z is required";
  EXPECT_FALSE(fits(Kind::kJsonSchema, schema, R"({"a":"x","z":1})")) << "keys come in the schema's order";
  EXPECT_FALSE(fits(Kind::kJsonSchema, schema, R"({"z":1.5})"));
  EXPECT_FALSE(fits(Kind::kJsonSchema, schema, R"({"z":1,"b":2})"));
  EXPECT_FALSE(fits(Kind::kJsonSchema, schema, R"({"z":1)"));
  EXPECT_FALSE(fits(Kind::kJsonSchema, schema, "{" + std::string(50, ' ') + R"("z":1})")) << "endless blanks";
}

TEST_F(Grammar, OtherKinds) {
  EXPECT_TRUE(fits(Kind::kRegex, "[a-c]+\\d{2}", "abc12"));
  EXPECT_FALSE(fits(Kind::kRegex, "[a-c]+\\d{2}", "abc1"));
  EXPECT_TRUE(fits(Kind::kRegex, "a/b", "a/b"));
  const std::string lark = "start: " + lark_literal("say \"hi\"\n\\") + " | " + lark_literal("你好");
  EXPECT_TRUE(fits(Kind::kLark, lark, "say \"hi\"\n\\"));
  EXPECT_TRUE(fits(Kind::kLark, lark, "你好"));
  EXPECT_FALSE(fits(Kind::kLark, lark, "say"));
}

TEST_F(Grammar, ControlTokensComeOnlyWhereAGrammarNamesThem) {
  const auto text = compile(Kind::kRegex, "(?s:.*)");
  EXPECT_TRUE(allowed(*text, 'x'));
  EXPECT_FALSE(allowed(*text, tokenizer.tool()));
  EXPECT_TRUE(allowed(*text, tokenizer.end())) << "the empty text fits: the answer may end";
  const auto call = compile(Kind::kLark, "start: \"a\" <[" + std::to_string(tokenizer.tool()) + "]> \"b\"");
  EXPECT_FALSE(allowed(*call, tokenizer.tool()));
  ASSERT_TRUE(call->accept('a').ok());
  EXPECT_TRUE(allowed(*call, tokenizer.tool()));
  EXPECT_FALSE(allowed(*call, '<')) << "its text is not the token";
  ASSERT_TRUE(call->accept(tokenizer.tool()).ok());
  ASSERT_TRUE(call->accept('b').ok());
  EXPECT_TRUE(call->finished());
}

TEST_F(Grammar, EndsAreAllowedOnlyWhereTheTextIsWhole) {
  const auto matcher = compile(Kind::kRegex, "ab?");
  EXPECT_FALSE(allowed(*matcher, tokenizer.end()));
  ASSERT_TRUE(matcher->accept('a').ok());
  EXPECT_TRUE(allowed(*matcher, tokenizer.end()));
  EXPECT_FALSE(matcher->finished());
  ASSERT_TRUE(matcher->accept(tokenizer.end()).ok());
  EXPECT_TRUE(matcher->finished());
}

TEST_F(Grammar, ACopyGoesItsOwnWay) {
  const auto matcher = compile(Kind::kRegex, "a(b|c)d");
  ASSERT_TRUE(matcher->accept('a').ok());
  const auto copied = matcher->copy();
  ASSERT_TRUE(copied.ok());
  ASSERT_TRUE(matcher->accept('b').ok());
  EXPECT_TRUE(allowed(**copied, 'c'));
  ASSERT_TRUE((*copied)->accept('c').ok());
  EXPECT_TRUE(allowed(*matcher, 'd'));
}

TEST_F(Grammar, WhatDoesNotFitIsAFinalError) {
  const auto matcher = compile(Kind::kRegex, "ab");
  EXPECT_FALSE(matcher->accept('z').ok());
  std::vector<std::uint32_t> bits(20);
  EXPECT_FALSE(matcher->mask(bits).ok());
  EXPECT_FALSE(compile(Kind::kRegex, "ab")->accept(-1).ok());
}

TEST_F(Grammar, WhatCannotBeHonouredIsRefusedByName) {
  EXPECT_NE(refusal(Kind::kJsonSchema, R"({"not":{"type":"string"}})").find("'not'"), std::string::npos);
  EXPECT_NE(refusal(Kind::kJsonSchema, R"({"type":"array","uniqueItems":true})").find("'uniqueItems'"),
            std::string::npos);
  EXPECT_NE(refusal(Kind::kJsonSchema, R"({"oneOf":[{"type":"integer"},{"minimum":2}]})").find("oneOf"),
            std::string::npos);
  EXPECT_NE(refusal(Kind::kJsonSchema, R"({"$ref":"http://example.com/x"})").find("$ref"), std::string::npos);
  EXPECT_NE(refusal(Kind::kJsonSchema, R"({"type":"string","format":"no-such"})").find("no-such"),
            std::string::npos);
  EXPECT_NE(refusal(Kind::kJsonSchema, R"({"x-guidance":{"lenient":true},"not":{}})").find("'not'"),
            std::string::npos)
      << "a client cannot ask for leniency";
  for (const char* schema : {"", "{", "3", "\"x\"", "false", R"({"type":"nothing"})", R"({"enum":[]})",
                             R"({"type":"integer","minimum":3,"maximum":2})", R"({"$ref":"#/$defs/none"})"})
    EXPECT_NE(refusal(Kind::kJsonSchema, schema), "compiled") << schema;
  for (const char* regex : {"(", "[", "a{3,1}", "(?=a)"})
    EXPECT_NE(refusal(Kind::kRegex, regex), "compiled") << regex;
  EXPECT_NE(refusal(Kind::kRegex, "(").find("unclosed group"), std::string::npos)
      << refusal(Kind::kRegex, "(");
  EXPECT_NE(refusal(Kind::kRegex, "a(?=b)").find("look-around"), std::string::npos)
      << refusal(Kind::kRegex, "a(?=b)");
  EXPECT_NE(refusal(Kind::kLark, "start: /x[a/").find("unclosed character class"), std::string::npos)
      << refusal(Kind::kLark, "start: /x[a/");
  for (const char* lark : {"", "x: \"a\"", "start: y", "start: <|nobody|>"})
    EXPECT_NE(refusal(Kind::kLark, lark), "compiled") << lark;
}

TEST_F(Grammar, HostileSourcesAreRefusedInTime) {
  std::string deep_schema = "true";
  for (int i = 0; i < 5000; ++i) deep_schema = R"({"items":)" + deep_schema + "}";
  EXPECT_NE(refusal(Kind::kJsonSchema, deep_schema), "compiled");
  EXPECT_NE(refusal(Kind::kLark, "start: " + std::string(100000, '(') + "\"a\"" + std::string(100000, ')')),
            "compiled");
  EXPECT_NE(refusal(Kind::kRegex, std::string(100000, '(') + "a" + std::string(100000, ')')), "compiled");
  EXPECT_NE(refusal(Kind::kJsonSchema, R"({"const":")" + std::string(2U << 20, 'x') + "\"}"), "compiled");
  EXPECT_NE(refusal(Kind::kRegex, "\xff"), "compiled");
}

}  // namespace
}  // namespace deepwell
