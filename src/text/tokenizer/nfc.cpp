// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer/nfc.h"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

namespace deepwell {
namespace {

constexpr int kMarksMax = 256;

/// Nothing before U+0300 composes with what is before it.
bool starts_anew(char byte) { return static_cast<unsigned char>(byte) < 0xCC; }

void append_composed(std::string_view piece, std::string& out) {
  utf8proc_uint8_t* composed = nullptr;
  const utf8proc_ssize_t size = utf8proc_map(
      reinterpret_cast<const utf8proc_uint8_t*>(piece.data()), static_cast<utf8proc_ssize_t>(piece.size()),
      &composed, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(composed, &std::free);
  if (size < 0)  // no memory: the caller's pieces are valid
    out.append(piece);
  else
    out.append(reinterpret_cast<const char*>(composed), static_cast<std::size_t>(size));
}

}  // namespace

std::string_view to_nfc(std::string_view text, std::string& memory) {
  if (std::all_of(text.begin(), text.end(), starts_anew)) return text;
  memory.clear();
  std::size_t begin = 0, at = 0;  // of the piece, and in it
  int marks = 0;
  const auto flush = [&] {
    if (at > begin) append_composed(text.substr(begin, at - begin), memory);
    begin = at;
    marks = 0;
  };
  while (at < text.size()) {
    utf8proc_int32_t character = -1;
    const utf8proc_ssize_t size =
        utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data() + at),
                         static_cast<utf8proc_ssize_t>(text.size() - at), &character);
    if (size <= 0) {
      flush();
      memory.push_back(text[at]);
      begin = ++at;
      continue;
    }
    marks = utf8proc_get_property(character)->combining_class == 0 ? 0 : marks + 1;
    if (marks > kMarksMax) flush();
    at += static_cast<std::size_t>(size);
  }
  flush();
  return memory;
}

}  // namespace deepwell
