// SPDX-License-Identifier: Apache-2.0
// Any bytes as a safetensors file: an error in one line, or tensors all of whose bytes can be read.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "engine/checkpoint/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace deepwell;
  const auto parsed = parse_safetensors(std::as_bytes(std::span(data, size)), "fuzz.safetensors");
  if (!parsed.ok()) {
    DW_CHECK(parsed.error().message.find('\n') == std::string::npos);
    return 0;
  }
  unsigned sum = 0;
  for (const SafetensorsEntry& entry : *parsed)
    for (const std::byte byte : entry.bytes) sum += std::to_integer<unsigned>(byte);
  // Kept from being optimized away.
  return sum == 0xFFFFFFFF ? -1 : 0;
}
