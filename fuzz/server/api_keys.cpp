// SPDX-License-Identifier: Apache-2.0
// Any bytes as a file of keys: what is read says the same again when it is written, and an error tells no
// key.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "server/access/api_keys.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace deepwell;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Result<ApiKeys> keys = ApiKeys::parse(text, "keys");
  if (!keys) {
    DW_CHECK(keys.error().message.starts_with("keys: line "));
    DW_CHECK(keys.error().message.find('\n') == std::string::npos);
    return 0;
  }
  std::string written;
  for (const ApiKey& key : keys->all()) written += key.line() + "\n";
  const Result<ApiKeys> again = ApiKeys::parse(written, "keys");
  DW_CHECK(again.ok());
  DW_CHECK(again->all().size() == keys->all().size());
  for (std::size_t i = 0; i < keys->all().size(); ++i) {
    DW_CHECK(again->all()[i].digest == keys->all()[i].digest);
    DW_CHECK(again->all()[i].name == keys->all()[i].name);
    DW_CHECK(again->all()[i].role == keys->all()[i].role);
    DW_CHECK(again->all()[i].limits == keys->all()[i].limits);
  }
  return 0;
}
