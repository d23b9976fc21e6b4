// SPDX-License-Identifier: Apache-2.0
// Reads one JSON object a line: {"schema": ..., "texts": [...], "draws": n}. Writes one a line: {"error":
// text} or
// {"fits": [bool, ...], "drawn": [text, ...], "cut": n}. Draws are uniform over what is allowed, as from a
// model that knows nothing; long ones are led to an end, and "cut" counts those that found none.
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>
#include <random>

#include "text/grammar/byte_tokenizer.h"
#include "text/grammar/grammar.h"

namespace {
using namespace deepwell;
using json = nlohmann::ordered_json;

constexpr int kTokensMax = 600, kCalmAfter = 24;

std::vector<Token> allowed_by(GrammarMatcher& matcher, Token count) {
  std::vector<std::uint32_t> bits(static_cast<std::size_t>(count + 31) / 32);
  std::vector<Token> tokens;
  if (!matcher.mask(bits)) return tokens;
  for (Token token = 0; token < count; ++token)
    if ((bits[static_cast<std::size_t>(token) / 32] >> (token % 32) & 1U) != 0) tokens.push_back(token);
  return tokens;
}

bool fits(const GrammarMatcher& fresh, const Tokenizer& tokenizer, const std::string& text) {
  auto matcher = fresh.copy();
  if (!matcher) return false;
  for (const Token token : tokenizer.encode(text, {})) {
    const std::vector<Token> may = allowed_by(**matcher, tokenizer.size());
    if ((*matcher)->finished() || std::find(may.begin(), may.end(), token) == may.end()) return false;
    if (!(*matcher)->accept(token)) return false;
  }
  return (*matcher)->may_end();
}

/// A random text, or nothing when it found no end.
std::optional<std::string> draw(const GrammarMatcher& fresh, const ByteTokenizer& tokenizer,
                                std::mt19937& random) {
  auto matcher = fresh.copy();
  if (!matcher) return std::nullopt;
  std::string text;
  for (int i = 0; i < kTokensMax && !(*matcher)->finished(); ++i) {
    const std::vector<Token> may = allowed_by(**matcher, tokenizer.size());
    if (may.empty()) return std::nullopt;
    Token token = may[random() % may.size()];
    if (i > kCalmAfter && random() % 2 == 0) {
      for (const Token closing : {tokenizer.end(), Token{'}'}, Token{']'}, Token{'"'}}) {
        if (std::find(may.begin(), may.end(), closing) == may.end()) continue;
        token = closing;
        break;
      }
    }
    if (!(*matcher)->accept(token)) return std::nullopt;
    text += tokenizer.token_bytes(token);
  }
  if (!(*matcher)->finished()) return std::nullopt;
  return text;
}
}  // namespace

int main() {
  const ByteTokenizer tokenizer;
  const GrammarCompiler compiler(tokenizer);
  std::mt19937 random(1);
  for (std::string line; std::getline(std::cin, line);) {
    const json task = json::parse(line);
    const auto made = compiler.compile({GrammarSource::Kind::kJsonSchema, task["schema"].dump()});
    json out;
    if (!made) {
      out["error"] = made.error().message;
    } else {
      out["fits"] = json::array();
      for (const json& text : task["texts"])
        out["fits"].push_back(fits(**made, tokenizer, text.get<std::string>()));
      out["drawn"] = json::array();
      int cut = 0;
      for (int i = 0; i < task["draws"].get<int>(); ++i) {
        if (auto text = draw(**made, tokenizer, random)) {
          out["drawn"].push_back(*text);
        } else {
          ++cut;
        }
      }
      out["cut"] = cut;
    }
    std::cout << out.dump(-1, ' ', false, json::error_handler_t::replace) << std::endl;
  }
}
