// SPDX-License-Identifier: Apache-2.0
// Any bytes as a GGUF: an error, or a model all of whose tensor bytes can be read.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "engine/formats/gguf_part.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace deepwell;
  const auto part = parse_gguf_part(std::as_bytes(std::span(data, size)), "fuzz.gguf");
  if (!part.ok()) {
    DW_CHECK(part.error().message.find('\n') == std::string::npos);
    return 0;
  }
  unsigned sum = 0;
  for (const FileTensor& tensor : part->tensors)
    for (const std::byte byte : tensor.bytes) sum += std::to_integer<unsigned>(byte);
  // Kept from being optimized away.
  return sum == 0xFFFFFFFF ? -1 : 0;
}
