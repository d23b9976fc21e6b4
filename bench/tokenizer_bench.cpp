// SPDX-License-Identifier: Apache-2.0
// How fast a tokenizer loads and encodes. bench/tokenizer_vs_hf.py runs it beside Hugging Face tokenizers.
//   tokenizer_bench TOKENIZER_JSON TEXT_FILE [ROUNDS]    one JSON line of figures, the best of the rounds
//   tokenizer_bench --ids TOKENIZER_JSON CASES_JSON      the tokens of each string of a list, one line each
#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>

#include "text/tokenizer/tokenizer.h"
#include "text/tokenizer/tokenizer_json.h"

namespace {

using deepwell::Tokenizer;

std::string read(const char* path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    std::cerr << "tokenizer_bench: cannot read " << path << "\n";
    std::exit(1);
  }
  return {std::istreambuf_iterator<char>(file), {}};
}

template <class T>
T must(deepwell::Result<T> result) {
  if (!result.ok()) {
    std::cerr << "tokenizer_bench: " << result.error().message << "\n";
    std::exit(1);
  }
  return std::move(result).value();
}

/// Of processor time: one thread works here, and what else the machine does should not count.
template <class Work>
double seconds(const Work& work) {
  const std::clock_t start = std::clock();
  work();
  return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

int print_ids(const char* tokenizer_path, const char* cases_path) {
  const auto tokenizer = must(Tokenizer::from_json(read(tokenizer_path)));
  const auto cases = nlohmann::json::parse(read(cases_path), nullptr, /*allow_exceptions=*/false);
  for (const auto& text : cases)
    std::cout << nlohmann::json(tokenizer->encode(text.get<std::string>(), {.parse_special = true})).dump()
              << "\n";
  return 0;
}

int measure(const char* tokenizer_path, const char* text_path, int rounds) {
  const std::string json = read(tokenizer_path), text = read(text_path);
  double json_s = 1e9, load_s = 1e9, first_s = 0, best_s = 1e9;
  std::unique_ptr<Tokenizer> tokenizer;
  for (int i = 0; i < 3; ++i) {
    deepwell::Vocabulary vocabulary;
    json_s = std::min(json_s, seconds([&] { vocabulary = must(deepwell::vocabulary_from_json(json)); }));
    load_s = std::min(load_s,
                      seconds([&] { tokenizer = must(Tokenizer::from_vocabulary(std::move(vocabulary))); }));
  }
  std::size_t tokens = 0;
  for (int i = 0; i < rounds; ++i) {
    const double s = seconds([&] { tokens = tokenizer->encode(text).size(); });
    if (i == 0) first_s = s;
    best_s = std::min(best_s, s);
  }
  const double megabytes = static_cast<double>(text.size()) / 1e6;
  const nlohmann::json figures = {{"bytes", text.size()},           {"tokens", tokens},
                                  {"json_ms", json_s * 1e3},        {"load_ms", load_s * 1e3},
                                  {"mb_per_s", megabytes / best_s}, {"mb_per_s_first", megabytes / first_s}};
  std::cout << figures.dump() << "\n";
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 4 && std::string_view(argv[1]) == "--ids") return print_ids(argv[2], argv[3]);
  if (argc == 3 || argc == 4)
    return measure(argv[1], argv[2], argc == 4 ? std::max(1, std::atoi(argv[3])) : 5);
  std::cerr << "usage: tokenizer_bench TOKENIZER_JSON TEXT_FILE [ROUNDS] | --ids TOKENIZER_JSON CASES_JSON\n";
  return 2;
}
