// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "text/tokenizer/byte_alphabet.h"
#include "text/tokenizer/tokenizer.h"
#include "text/tokenizer/tokenizer_json.h"

namespace deepwell::testing_tokenizer {

inline std::string golden_folder() { return DEEPWELL_SOURCE_DIR "/tests/golden/tokenizer"; }

inline std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << "cannot read " << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Every committed vocabulary is named for its pre-tokenizer, but for the one whose pattern has no scanner.
inline const std::vector<std::string>& golden_names() {
  static const std::vector<std::string> names = {"gpt-2",          "default",     "deepseek-llm",
                                                 "deepseek-coder", "deepseek-v3", "qwen2",
                                                 "llama-bpe",      "smollm",      "other-regex"};
  return names;
}

inline Vocabulary golden_vocabulary(const std::string& name) {
  auto vocabulary = vocabulary_from_json(read_file(golden_folder() + "/" + name + ".tokenizer.json"));
  EXPECT_TRUE(vocabulary.ok()) << vocabulary.error().message;
  return std::move(vocabulary).value();
}

inline std::unique_ptr<Tokenizer> make(Vocabulary vocabulary) {
  auto tokenizer = Tokenizer::from_vocabulary(std::move(vocabulary));
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  return std::move(tokenizer).value();
}

inline std::unique_ptr<Tokenizer> golden_tokenizer(const std::string& name) {
  return make(golden_vocabulary(name));
}

/// All 256 bytes, then what the caller adds.
inline Vocabulary byte_vocabulary(const std::vector<std::string>& merges = {}) {
  Vocabulary v;
  for (int b = 0; b < 256; ++b)
    v.tokens.emplace_back(byte_alphabet::letter_of(static_cast<unsigned char>(b)));
  for (const std::string& merge : merges) {
    std::string merged = merge;
    merged.erase(merged.find(' '), 1);
    v.tokens.push_back(merged);
    v.merges.push_back(merge);
  }
  v.pre = "gpt-2";
  return v;
}

inline std::string random_bytes(std::mt19937& random, std::size_t count) {
  std::string text(count, '\0');
  for (char& c : text) c = static_cast<char>(random());
  return text;
}

}  // namespace deepwell::testing_tokenizer
