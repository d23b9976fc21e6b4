// SPDX-License-Identifier: Apache-2.0
// Goal: tokens that read alike have one number, in order of appearance, and broken ones their own. Method: by
// hand, and a vocabulary of what is hard to tell against Hugging Face's normalizers
// (scripts/golden_checkpoint41.py).
#include "text/tokenizer/alike.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "text/tokenizer/byte_alphabet.h"
#include "text/tokenizer/tokenizer_json.h"

namespace deepwell {
namespace {

/// Texts as a byte-level vocabulary writes them.
std::vector<std::int32_t> numbers_of(std::initializer_list<std::string_view> texts) {
  std::vector<std::string> tokens;
  for (const std::string_view text : texts) {
    tokens.emplace_back();
    for (const char c : text) tokens.back() += byte_alphabet::letter_of(static_cast<unsigned char>(c));
  }
  return numbers_of_alike(tokens);
}
using Numbers = std::vector<std::int32_t>;

TEST(AlikeTest, CaseAccentsFormAndBlanksDoNotCount) {
  EXPECT_EQ(numbers_of({"the", "The", " THE ", "caf\u00e9", "Cafe\u0301", "\ufb01ne", "fine", "\uff26INE",
                        "\u2460", "1"}),
            (Numbers{0, 0, 0, 1, 1, 2, 2, 2, 3, 3}));
  EXPECT_EQ(numbers_of({"a \t\r\n b", "a b", "ab", "\n\na\u2028", "a"}), (Numbers{0, 0, 1, 2, 2}));
}

TEST(AlikeTest, ABlankAloneStaysAndWhatBecomesNothingIsItself) {
  EXPECT_EQ(numbers_of({" ", "\t", "\n\n", "\u3000", "", "\u000b", "\u0301", "\u0302"}),
            (Numbers{0, 0, 0, 0, 1, 2, 3, 4}));
}

TEST(AlikeTest, PartsOfCharactersAreLikeNoneButThemselves) {
  EXPECT_EQ(numbers_of({"\xe4", "\xe4\xbd", "\xc3", "\xe4", "\xef\xbf\xbd", "A\xcc", "a\xcc"}),
            (Numbers{0, 1, 2, 0, 3, 4, 5}));
}

TEST(AlikeTest, WhatIsNotWrittenInTheAlphabetIsItsText) {
  const std::vector<std::string> tokens{"<\uff5cUser\uff5c>", "<|user|>", "", ""};
  EXPECT_EQ(numbers_of_alike(tokens), (Numbers{0, 0, 1, 1}));  // a wide bar is a bar in another form
}

std::string contents(const char* name) {
  std::ifstream file(std::string(DEEPWELL_SOURCE_DIR "/tests/golden/engine/checkpoint41/") + name,
                     std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(AlikeTest, NumbersAreThoseOfHuggingFacesNormalizers) {
  const auto vocabulary = vocabulary_from_json(contents("tokenizer.json"));
  ASSERT_TRUE(vocabulary.ok()) << vocabulary.error().message;
  const std::string golden = contents("golden.safetensors");
  std::uint64_t header = 0;
  ASSERT_GT(golden.size(), sizeof header);
  std::memcpy(&header, golden.data(), sizeof header);
  const auto place = nlohmann::json::parse(golden.substr(8, header))["token_map"]["data_offsets"];
  Numbers want((place[1].get<std::size_t>() - place[0].get<std::size_t>()) / 4);
  std::memcpy(want.data(), golden.data() + 8 + header + place[0].get<std::size_t>(), want.size() * 4);
  EXPECT_GT(want.size(), 400U);
  EXPECT_EQ(numbers_of_alike(vocabulary->tokens), want);
}

}  // namespace
}  // namespace deepwell
