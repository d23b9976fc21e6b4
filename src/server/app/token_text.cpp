// SPDX-License-Identifier: Apache-2.0
#include "server/app/token_text.h"

#include <fmt/format.h>

#include <cmath>

#include "text/stream/detokenizer.h"

namespace deepwell {
namespace {
bool is_whole_utf8(std::string_view bytes) {
  Utf8Stream stream;
  return stream.push(bytes) == bytes && stream.finish().empty();
}
}  // namespace

std::string readable(std::string_view bytes) {
  Utf8Stream stream;
  std::string text = stream.push(bytes);
  text += stream.finish();
  return text;
}

std::string readable_or_bytes(std::string_view bytes) {
  if (is_whole_utf8(bytes)) return std::string(bytes);
  std::string text = "bytes:";
  for (const char byte : bytes) text += fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
  return text;
}

std::size_t characters_in(std::string_view bytes) {
  std::size_t count = 0;
  for (const char byte : bytes) count += (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U;
  return count;
}

nlohmann::json bytes_of(std::string_view bytes) {
  nlohmann::json list = nlohmann::json::array();
  for (const char byte : bytes) list.push_back(static_cast<unsigned char>(byte));
  return list;
}

double finite(float logprob) { return std::isfinite(logprob) ? static_cast<double>(logprob) : -9999.0; }

}  // namespace deepwell
