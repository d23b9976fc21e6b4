// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

/// GPT-2's way to write any bytes as visible text: one character a byte. The printable ones of Latin-1 stand
/// for themselves, the other 68 for U+0100 and up.
namespace deepwell::byte_alphabet {

std::string_view letter_of(unsigned char byte);  ///< UTF-8, one or two bytes
std::optional<unsigned char> byte_of(char32_t letter);
/// The bytes that `text` writes; nothing where a character is no letter of the alphabet.
std::optional<std::string> bytes_of(std::string_view text);
/// The same onto the end of `out`, which is left as it was where there is no answer.
bool append_bytes_of(std::string_view text, std::string& out);

}  // namespace deepwell::byte_alphabet
