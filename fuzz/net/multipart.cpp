// SPDX-License-Identifier: Apache-2.0
// Any bytes as a form: the first line is its content type. What comes back lies inside what was given.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "net/http/multipart.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const std::string_view type = all.substr(0, all.find('\n'));
  const std::string_view body = all.substr(std::min(type.size() + 1, all.size()));
  const auto form = deepwell::http::parse_form(type, body);
  if (!form) return 0;
  DW_CHECK(form->size() <= 32);
  for (const auto& part : *form) {
    DW_CHECK(part.body.data() >= body.data() &&
             part.body.data() + part.body.size() <= body.data() + body.size());
  }
  return 0;
}
