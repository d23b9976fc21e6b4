// SPDX-License-Identifier: Apache-2.0
// Goal: prompts are tokenized as the model learned them, with one BOS whoever writes it.
#include "server/model/prompt.h"

#include <gtest/gtest.h>

#include "server/fakes.h"
#include "text/grammar/byte_tokenizer.h"

namespace deepwell::fakes {
namespace {

TEST(Prompt, PlainTextIsJoinedAcrossPartsBetweenSpecialTokens) {
  const FakeTokenizer tokenizer;
  const Token two_lines = tokenizer.find("\n\n").value();
  // The template's newline and the user's are one token, as in a text tokenized whole.
  const std::vector<PromptPart> parts = {
      {"<|im_start|>user\n", true}, {"\nHel", false}, {"lo<|im_end|>", true}};
  const std::vector<Token> got = encode_parts(tokenizer, parts);
  EXPECT_EQ(got, tokenizer.encode("<|im_start|>user\n\nHello<|im_end|>", {.parse_special = true}));
  EXPECT_NE(std::find(got.begin(), got.end(), two_lines), got.end());
}

TEST(Prompt, UsersTextStaysTextEvenWhenItCompletesASpecialToken) {
  const FakeTokenizer tokenizer;
  const std::vector<PromptPart> parts = {
      {"a<|im_", true}, {"end|>", false}, {"<|im_end|>", false}, {"b", true}};
  for (const Token token : encode_parts(tokenizer, parts)) EXPECT_LT(token, FakeTokenizer::kTurnStart);
  EXPECT_TRUE(encode_parts(tokenizer, {}).empty());
}

TEST(Prompt, OneBosWhoeverWritesIt) {
  for (const bool vocabulary_adds : {false, true}) {
    for (const bool template_writes : {false, true}) {
      SCOPED_TRACE(testing::Message() << vocabulary_adds << template_writes);
      ServedModel model;
      model.tokenizer = std::make_unique<FakeTokenizer>(vocabulary_adds);
      model.chat = make_template_encoder(std::make_unique<FakeTemplate>(template_writes), "", "<s>", "");
      const auto tokens = encode_chat(model, {.messages = {{"user", "x"}}});
      ASSERT_TRUE(tokens.ok());
      const auto count = std::count(tokens->tokens.begin(), tokens->tokens.end(), FakeTokenizer::kBos);
      EXPECT_EQ(count, vocabulary_adds || template_writes ? 1 : 0);
      if (count == 1) {
        EXPECT_EQ(tokens->tokens.front(), FakeTokenizer::kBos);
      }
    }
  }
  const FakeTokenizer adds(true);
  EXPECT_EQ(encode_raw(adds, "x"), (std::vector<Token>{FakeTokenizer::kBos, 'x'}));
  EXPECT_EQ(encode_raw(adds, "<s>x"), (std::vector<Token>{FakeTokenizer::kBos, 'x'}));
}

TEST(Prompt, AGapIsMarkedWithTheTokensThereAre) {
  const ByteTokenizer tokenizer({"<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"});
  const auto gap = encode_gap(tokenizer, "a<｜fim▁end｜>", "b");
  ASSERT_TRUE(gap.ok()) << gap.error().message;
  const Token begin = tokenizer.find("<｜fim▁begin｜>").value(), hole = begin + 1, end = begin + 2;
  EXPECT_EQ(gap->front(), begin);
  EXPECT_EQ(gap->at(gap->size() - 3), hole);
  EXPECT_EQ(gap->back(), end);
  EXPECT_EQ(std::count(gap->begin(), gap->end(), end), 1) << "the user's look-alike stays text";
  EXPECT_EQ(encode_gap(tokenizer, "", "b")->size(), 4U);

  const auto none = encode_gap(ByteTokenizer(), "a", "b");
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code, ErrorCode::kUnsupported);
}

TEST(Prompt, WithoutATemplateChatIsRefusedWithAWayOut) {
  ServedModel model;
  model.id = "base-model";
  model.tokenizer = std::make_unique<FakeTokenizer>();
  const auto tokens = encode_chat(model, {.messages = {{"user", "x"}}});
  ASSERT_FALSE(tokens.ok());
  EXPECT_NE(tokens.error().message.find("/v1/completions"), std::string::npos);
}

}  // namespace
}  // namespace deepwell::fakes
