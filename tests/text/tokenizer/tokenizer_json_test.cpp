// SPDX-License-Identifier: Apache-2.0
// Goal: a tokenizer.json is read exactly, or refused with an error that names what is in the way.
#include "text/tokenizer/support.h"

namespace deepwell::testing_tokenizer {
namespace {

using Json = nlohmann::json;

Json small_file() {
  Json file = {{"added_tokens", Json::array()},
               {"normalizer", nullptr},
               {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}}},
               {"post_processor", nullptr},
               {"decoder", {{"type", "ByteLevel"}}},
               {"model", {{"type", "BPE"}, {"vocab", Json::object()}, {"merges", {"h e", "he y"}}}}};
  Json& vocab = file["model"]["vocab"];
  for (int b = 0; b < 256; ++b)
    vocab[std::string(byte_alphabet::letter_of(static_cast<unsigned char>(b)))] = b;
  vocab["he"] = 256;
  vocab["hey"] = 257;
  file["added_tokens"] = {{{"id", 258}, {"content", "<s>"}, {"special", true}},
                          {{"id", 259}, {"content", "<think>"}, {"special", false}}};
  return file;
}

void expect_error(const Json& file, ErrorCode code, const std::string& part) {
  const auto tokenizer = Tokenizer::from_json(file.dump());
  ASSERT_FALSE(tokenizer.ok()) << "expected: " << part;
  EXPECT_EQ(tokenizer.error().code, code) << tokenizer.error().message;
  EXPECT_NE(tokenizer.error().message.find(part), std::string::npos) << tokenizer.error().message;
}

Json changed(const char* pointer, Json value) {
  Json file = small_file();
  file[Json::json_pointer(pointer)] = std::move(value);
  return file;
}

TEST(TokenizerJsonTest, ReadsBothFormsOfMerges) {
  for (const Json& merges :
       {Json::array({"h e", "he y"}), Json::array({Json::array({"h", "e"}), Json::array({"he", "y"})})}) {
    const auto tokenizer = Tokenizer::from_json(changed("/model/merges", merges).dump());
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
    EXPECT_EQ((*tokenizer)->encode("hey<think>", {.parse_special = true}), (std::vector<Token>{257, 259}));
    EXPECT_EQ((*tokenizer)->vocabulary().types[258], TokenType::kControl);
    EXPECT_EQ((*tokenizer)->vocabulary().types[259], TokenType::kUserDefined);
    EXPECT_EQ((*tokenizer)->vocabulary().pre, "gpt-2");
  }
}

TEST(TokenizerJsonTest, TakesFirstAndLastTokensFromTheTemplate) {
  const Json sequence = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  const Json special = {{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}};
  const auto with = [&](Json single) {
    return changed("/post_processor", {{"type", "Sequence"},
                                       {"processors",
                                        {{{"type", "ByteLevel"}},
                                         {{"type", "TemplateProcessing"},
                                          {"single", std::move(single)},
                                          {"special_tokens", {{"<s>", {{"id", "<s>"}, {"ids", {258}}}}}}}}}});
  };
  const auto encode = [](const Json& file) {
    const auto tokenizer = Tokenizer::from_json(file.dump());
    EXPECT_TRUE(tokenizer.ok()) << tokenizer.error().message;
    return (*tokenizer)->encode("he", {.add_special = true});
  };
  EXPECT_EQ(encode(with({special, sequence})), (std::vector<Token>{258, 256}));
  EXPECT_EQ(encode(with({sequence, special})), (std::vector<Token>{256, 258}));
  EXPECT_EQ(encode(with({sequence})), (std::vector<Token>{256}));
  expect_error(with({special, special, sequence}), ErrorCode::kUnsupported, "several tokens");
  expect_error(with({sequence, sequence}), ErrorCode::kUnsupported, "repeats the text");
}

TEST(TokenizerJsonTest, NamesWhatItCannotDo) {
  const auto unsupported = [](const char* pointer, Json value, const char* part) {
    expect_error(changed(pointer, std::move(value)), ErrorCode::kUnsupported, part);
  };
  unsupported("/model/type", "WordPiece", "'WordPiece'");
  unsupported("/model/type", "Unigram", "'Unigram'");
  unsupported("/model/dropout", 0.1, "dropout");
  unsupported("/model/byte_fallback", true, "byte_fallback");
  unsupported("/model/end_of_word_suffix", "</w>", "end_of_word_suffix");
  unsupported("/model/continuing_subword_prefix", "##", "continuing_subword_prefix");
  unsupported("/normalizer", {{"type", "NFKC"}}, "normalizer 'NFKC'");
  unsupported("/normalizer", {{"type", "Sequence"}, {"normalizers", {{{"type", "Lowercase"}}}}},
              "'Lowercase'");
  unsupported("/pre_tokenizer", nullptr, "without ByteLevel");
  unsupported("/pre_tokenizer", {{"type", "Metaspace"}}, "'Metaspace'");
  unsupported("/pre_tokenizer/add_prefix_space", true, "add_prefix_space");
  unsupported("/pre_tokenizer", {{"type", "Split"}, {"pattern", {{"Regex", "a"}}}, {"behavior", "Removed"}},
              "'Removed'");
  unsupported("/post_processor", {{"type", "RobertaProcessing"}}, "'RobertaProcessing'");
  unsupported("/decoder", {{"type", "WordPiece"}}, "'WordPiece'");
  unsupported("/added_tokens/0/lstrip", true, "'<s>' with lstrip");
  unsupported("/added_tokens/0/single_word", true, "single_word");
  Json lacking = changed("/model/unk_token", "<s>");
  EXPECT_TRUE(Tokenizer::from_json(lacking.dump()).ok());  // never needed: every byte is there
  lacking["model"]["vocab"].erase("A");
  lacking["model"]["vocab"]["other"] = 'A';
  expect_error(lacking, ErrorCode::kUnsupported, "unk_token");
}

TEST(TokenizerJsonTest, RefusesDamage) {
  const auto corrupt = [](const char* pointer, Json value, const char* part) {
    expect_error(changed(pointer, std::move(value)), ErrorCode::kCorrupt, part);
  };
  corrupt("/model/vocab/hey", 259, "is both");
  corrupt("/model/vocab/hey", -1, "has id -1");
  corrupt("/model/vocab/hey", 1e9, "has no number");
  corrupt("/model/vocab/hey", 1'000'000'000, "has id 1000000000");
  corrupt("/model/vocab/hey", "257", "has no number");
  corrupt("/model/vocab/hey", Json::array(), "has no number");
  corrupt("/model/vocab/hey", 300, "no token has id 257");
  corrupt("/model/merges", {{"h", "e", "y"}}, "not two tokens");
  corrupt("/model/merges", Json::array({Json::array({"h e", "y"})}), "blank inside");
  corrupt("/model/merges", {1}, "other than two tokens");
  corrupt("/model/merges", {"h x"}, "no token");
  corrupt("/added_tokens", 5, "no list");
  corrupt("/added_tokens/0", "x", "without content or id");
  corrupt("/added_tokens/0/content", "", "without content or id");
  corrupt("/added_tokens/1/content", "<s>", "are both");
  corrupt("/model", 3, "no model");
}

TEST(TokenizerJsonTest, RefusesWhatIsNoJson) {
  const auto message = [](std::string_view text) {
    const auto tokenizer = Tokenizer::from_json(text);
    EXPECT_FALSE(tokenizer.ok());
    return tokenizer.ok() ? "" : tokenizer.error().message;
  };
  for (const char* text : {"", "{", "[]", "3", "null", "{\"model\":", "{}", "{\"a\" 1}"})
    EXPECT_NE(message(text), "");
  EXPECT_NE(message(std::string(100'000, '[')).find("64 levels"), std::string::npos);
  EXPECT_NE(message("{\"model\":{\"vocab\":{},\"vocab\":{}}}").find("two members"), std::string::npos);
  const std::string whole = small_file().dump();
  for (std::size_t size = 0; size < whole.size(); size += 7) message(std::string_view(whole).substr(0, size));
}

}  // namespace
}  // namespace deepwell::testing_tokenizer
