// SPDX-License-Identifier: Apache-2.0
// A tokenizer.json from anywhere: an error or a tokenizer that gives every text back.
// Input: the file, then from the first zero byte on the text to encode.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "text/tokenizer/nfc.h"
#include "text/tokenizer/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t zero = input.find('\0');
  const std::string_view json = input.substr(0, zero);
  const std::string_view text = zero == std::string_view::npos ? input : input.substr(zero + 1);
  const auto made = deepwell::Tokenizer::from_json(json);
  if (!made.ok()) {
    DW_CHECK(!made.error().message.empty());
    return 0;
  }
  const deepwell::Tokenizer& tokenizer = **made;
  bool every_byte = true;  // only then does every text have tokens
  for (int b = 0; b < 256; ++b) {
    const char byte = static_cast<char>(b);
    const auto tokens = tokenizer.encode({&byte, 1});
    every_byte = every_byte && tokens.size() == 1 &&
                 tokenizer.token_bytes(tokens[0], true) == std::string_view(&byte, 1);
  }
  for (const bool parse_special : {false, true}) {
    const auto tokens = tokenizer.encode(text, {.parse_special = parse_special});
    for (const deepwell::Token token : tokens) DW_CHECK(token >= 0 && token < tokenizer.size());
    if (!every_byte) continue;
    std::string memory;
    const bool composed = tokenizer.vocabulary().nfc;
    if (!composed || !parse_special)  // between special tokens each part is composed by itself
      DW_CHECK(tokenizer.decode(tokens, /*show_control=*/true) ==
               (composed ? deepwell::to_nfc(text, memory) : text));
  }
  tokenizer.encode(text, {.parse_special = true, .add_special = true});
  tokenizer.find(text);
  return 0;
}
