// SPDX-License-Identifier: Apache-2.0
#include "cli/repl/visible_text.h"

namespace deepwell {

std::string visible_text(std::string_view text) {
  std::string visible;
  visible.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const auto byte = static_cast<unsigned char>(c);
    // U+0080 to U+009F are controls too: C2 80 to C2 9F in UTF-8.
    if (byte == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0) {
      ++i;
      continue;
    }
    if ((byte >= 0x20 && byte != 0x7F) || c == '\n' || c == '\t') visible.push_back(c);
  }
  return visible;
}

}  // namespace deepwell
