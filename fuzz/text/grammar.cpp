// SPDX-License-Identifier: Apache-2.0
// Any bytes as a schema, a regular expression or a Lark grammar: refused with a reason, or a grammar that
// lets only tokens through that it then accepts. First byte: the kind; up to a NUL: the source; the rest:
// choices.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "../tests/text/grammar/byte_tokenizer.h"
#include "base/check.h"
#include "text/grammar/grammar.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace deepwell;
  static const ByteTokenizer tokenizer;
  static const GrammarCompiler compiler(tokenizer);
  if (size < 2) return 0;
  const auto kind = static_cast<GrammarSource::Kind>(data[0] % 3);
  std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string_view source = rest.substr(0, rest.find('\0'));
  rest.remove_prefix(std::min(rest.size(), source.size() + 1));
  const auto made = compiler.compile({kind, std::string(source)});
  if (!made) {
    DW_CHECK(!made.error().message.empty());
    return 0;
  }
  std::vector<std::uint32_t> bits(static_cast<std::size_t>(tokenizer.size() + 31) / 32);
  for (const char choice : rest.substr(0, 64)) {
    if ((*made)->finished() || !(*made)->mask(bits)) return 0;
    std::vector<Token> may;
    for (Token token = 0; token < tokenizer.size(); ++token)
      if ((bits[static_cast<std::size_t>(token) / 32] >> (token % 32) & 1U) != 0) may.push_back(token);
    if (may.empty()) return 0;
    DW_CHECK((*made)->accept(may[static_cast<unsigned char>(choice) % may.size()]).ok());
  }
  return 0;
}
