// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace deepwell {

/// One tensor as the JSON header of a safetensors file says, unchecked.
struct HeaderEntry {
  std::string name, dtype;
  std::vector<std::uint64_t> shape;
  std::pair<std::uint64_t, std::uint64_t> range;  ///< of bytes after the header
};

/// Reads the header in one pass; memory in proportion to the tensors, whatever the text says.
/// Errors (kCorrupt) are the rest of a sentence that begins with the file's path.
Result<std::vector<HeaderEntry>> parse_safetensors_header(std::string_view json);

}  // namespace deepwell
