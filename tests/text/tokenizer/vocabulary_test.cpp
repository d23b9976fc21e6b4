// SPDX-License-Identifier: Apache-2.0
// Goal: a vocabulary is believed only after it was checked; what it asks for (special tokens, bos, eos)
// happens.
#include <algorithm>

#include "text/tokenizer/support.h"

namespace deepwell::testing_tokenizer {
namespace {

void expect_error(Vocabulary vocabulary, ErrorCode code, const std::string& part) {
  const auto tokenizer = Tokenizer::from_vocabulary(std::move(vocabulary));
  ASSERT_FALSE(tokenizer.ok()) << "expected: " << part;
  EXPECT_EQ(tokenizer.error().code, code) << tokenizer.error().message;
  EXPECT_NE(tokenizer.error().message.find(part), std::string::npos) << tokenizer.error().message;
}

/// 256 bytes, "he", "hel", and at 258: <s> control, </s> control, <think> user-defined, <think>x
/// user-defined.
Vocabulary with_specials() {
  Vocabulary v = byte_vocabulary({"h e", "he l"});
  v.types.assign(v.tokens.size(), TokenType::kNormal);
  const auto add = [&](const char* text, TokenType type) {
    v.tokens.emplace_back(text);
    v.types.push_back(type);
  };
  add("<s>", TokenType::kControl);
  add("</s>", TokenType::kControl);
  add("<think>", TokenType::kUserDefined);
  add("<think>x", TokenType::kUserDefined);
  v.bos = 258;
  v.eos = 259;
  return v;
}

TEST(VocabularyTest, RefusesWhatCannotBeRight) {
  const auto broken = [](auto change) {
    Vocabulary v = with_specials();
    change(v);
    return v;
  };
  expect_error(Vocabulary{}, ErrorCode::kCorrupt, "vocabulary is empty");
  expect_error(broken([](Vocabulary& v) { v.types.pop_back(); }), ErrorCode::kCorrupt,
               "261 token types for 262");
  expect_error(broken([](Vocabulary& v) { v.types[3] = static_cast<TokenType>(9); }), ErrorCode::kCorrupt,
               "token 3 has type 9");
  expect_error(broken([](Vocabulary& v) { v.types[3] = TokenType::kByte; }), ErrorCode::kUnsupported,
               "SentencePiece");
  expect_error(broken([](Vocabulary& v) { v.tokens[5] = v.tokens[4]; }), ErrorCode::kCorrupt,
               "tokens 4 and 5 are both");
  expect_error(broken([](Vocabulary& v) { v.tokens[5] = ""; }), ErrorCode::kCorrupt, "token 5 is empty");
  expect_error(broken([](Vocabulary& v) { v.tokens[5].assign(70'000, 'a'); }), ErrorCode::kCorrupt,
               "70000 bytes");
  expect_error(broken([](Vocabulary& v) { v.tokens[260].assign(2'000, 'a'); }), ErrorCode::kCorrupt,
               "2000 bytes");
  expect_error(broken([](Vocabulary& v) { v.merges[0] = "he"; }), ErrorCode::kCorrupt,
               "merge 0 'he' is not two");
  expect_error(broken([](Vocabulary& v) { v.merges[0] = "he "; }), ErrorCode::kCorrupt, "is not two");
  expect_error(broken([](Vocabulary& v) { v.merges[0] = ""; }), ErrorCode::kCorrupt, "is not two");
  expect_error(broken([](Vocabulary& v) { v.merges[1] = "hx l"; }), ErrorCode::kCorrupt,
               "'hx', which is no token");
  expect_error(broken([](Vocabulary& v) { v.merges[1] = "h l"; }), ErrorCode::kCorrupt,
               "makes 'hl', which is no token");
  expect_error(broken([](Vocabulary& v) { v.merges[1] = "h e"; }), ErrorCode::kCorrupt, "is there twice");
  expect_error(broken([](Vocabulary& v) {
                 v.tokens[260] = "Ġh";
                 v.merges.push_back("Ġ h");
               }),
               ErrorCode::kCorrupt, "special token whose text means other bytes");
  expect_error(broken([](Vocabulary& v) { v.eos = 262; }), ErrorCode::kCorrupt, "eos token is 262");
  expect_error(broken([](Vocabulary& v) { v.bos = -1; }), ErrorCode::kCorrupt, "bos token is -1");
  expect_error(broken([](Vocabulary& v) { v.pre = "klingon"; }), ErrorCode::kUnsupported,
               "'klingon'; known are");
  expect_error(broken([](Vocabulary& v) { v.patterns = {"(a"}; }), ErrorCode::kUnsupported, "'(a'");
  Vocabulary pieces;
  pieces.tokens = {"hello", "world"};
  expect_error(pieces, ErrorCode::kUnsupported, "byte-level");
  Vocabulary huge;
  huge.tokens.resize((1 << 21) + 1);
  expect_error(std::move(huge), ErrorCode::kUnsupported, "2097153 tokens");
}

TEST(VocabularyTest, PaddingRowsMayBeAlike) {
  Vocabulary v = with_specials();
  for (int i = 0; i < 3; ++i) {
    v.tokens.emplace_back("[PAD]");
    v.types.push_back(TokenType::kUnused);
  }
  const auto tokenizer = make(std::move(v));
  EXPECT_EQ(tokenizer->size(), 265);
  EXPECT_FALSE(tokenizer->find("[PAD]"));
}

TEST(VocabularyTest, SpecialTextsAreTokensOnlyWhenAskedFor) {
  const auto tokenizer = make(with_specials());
  const std::string text = "hel<s>hel<think>xy<think></s";
  EXPECT_EQ(tokenizer->encode(text, {.parse_special = true}),
            (std::vector<Token>{257, 258, 257, 261, 'y', 260, '<', '/', 's'}));  // the longest first
  const auto plain = tokenizer->encode(text);
  EXPECT_EQ(std::count_if(plain.begin(), plain.end(), [](Token t) { return t >= 258; }), 0);
  EXPECT_EQ(tokenizer->decode(plain), text);
  EXPECT_EQ(tokenizer->encode("", {.parse_special = true}), std::vector<Token>{});
}

TEST(VocabularyTest, ControlTokensShowOnlyWhenAskedFor) {
  const auto tokenizer = make(with_specials());
  const std::vector<Token> tokens = {258, 256, 260, 259};
  EXPECT_EQ(tokenizer->decode(tokens), "he<think>");
  EXPECT_EQ(tokenizer->decode(tokens, true), "<s>he<think></s>");
  EXPECT_EQ(tokenizer->token_bytes(-1), "");
  EXPECT_EQ(tokenizer->token_bytes(262), "");
  EXPECT_EQ(tokenizer->find("<think>"), 260);
  EXPECT_EQ(tokenizer->find("hel"), 257);
  EXPECT_EQ(tokenizer->find("nope"), std::nullopt);
}

TEST(VocabularyTest, AddsFirstAndLastTokensByFileThenByPreTokenizer) {
  const auto ends = [](const char* pre, std::optional<bool> bos, std::optional<bool> eos) {
    Vocabulary v = with_specials();
    v.pre = pre;
    v.add_bos = bos;
    v.add_eos = eos;
    return make(std::move(v))->encode("he", {.add_special = true});
  };
  EXPECT_EQ(ends("gpt-2", {}, {}), (std::vector<Token>{256}));
  EXPECT_EQ(ends("llama-bpe", {}, {}), (std::vector<Token>{258, 256}));
  EXPECT_EQ(ends("deepseek-v3", {}, {}), (std::vector<Token>{258, 256}));
  EXPECT_EQ(ends("joyai-llm", {}, {}), (std::vector<Token>{256}));
  EXPECT_EQ(ends("llama-bpe", false, true), (std::vector<Token>{256, 259}));
  EXPECT_EQ(ends("gpt-2", true, {}), (std::vector<Token>{258, 256}));
  Vocabulary v = with_specials();
  v.add_bos = true;
  const auto tokenizer = make(std::move(v));  // a template that wrote bos itself: not twice
  EXPECT_EQ(tokenizer->encode("<s>he", {.parse_special = true, .add_special = true}),
            (std::vector<Token>{258, 256}));
  EXPECT_EQ(tokenizer->encode("", {.add_special = true}), (std::vector<Token>{258}));
}

TEST(VocabularyTest, KnowsWhatEndsAReply) {
  Vocabulary v = with_specials();
  for (const char* text : {"<|im_end|>", "<|EOT|>"}) {
    v.tokens.emplace_back(text);
    v.types.push_back(TokenType::kUserDefined);
  }
  v.eot = 5;
  const auto tokenizer = make(std::move(v));
  for (const Token token : {259, 262, 263, 5}) EXPECT_TRUE(tokenizer->ends_generation(token)) << token;
  for (const Token token : {258, 260, 256, -1, 9999})
    EXPECT_FALSE(tokenizer->ends_generation(token)) << token;
}

TEST(VocabularyTest, TakesAWholePieceWhereMergesAreIgnored) {
  Vocabulary v = byte_vocabulary({"h e"});
  v.tokens.emplace_back("hello");  // no merge leads here
  const auto by_merges = make(v);
  v.ignore_merges = true;
  const auto whole = make(v);
  EXPECT_EQ(by_merges->encode("hello"),
            (std::vector<Token>{256, by_merges->encode("l")[0], by_merges->encode("l")[0],
                                by_merges->encode("o")[0]}));
  EXPECT_EQ(whole->encode("hello"), (std::vector<Token>{257}));
}

TEST(VocabularyTest, BytesWithoutATokenAreDroppedOrReplaced) {
  Vocabulary v = golden_vocabulary("deepseek-llm");  // lacks the bytes that UTF-8 never has
  const auto tokenizer = make(std::move(v));
  EXPECT_EQ(tokenizer->decode(tokenizer->encode("a\xFF"
                                                "b\xC0")),
            "a\uFFFDb\uFFFD");
  EXPECT_EQ(tokenizer->decode(tokenizer->encode("a\xE4\x80 b")), "a\xE4\x80 b");
  Vocabulary no_tabs = byte_vocabulary();
  no_tabs.tokens.erase(no_tabs.tokens.begin() + '\t');
  const auto lacking = make(std::move(no_tabs));
  EXPECT_EQ(lacking->decode(lacking->encode("a\tb")), "ab");  // as Hugging Face does
}

}  // namespace
}  // namespace deepwell::testing_tokenizer
