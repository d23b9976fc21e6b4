// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "base/result.h"
#include "engine/formats/gguf_cursor.h"
#include "engine/formats/model_file.h"

namespace deepwell {

/// Reads `count` key-value pairs. Requires count <= GgufLimits::kKeys.
Result<Metadata> read_gguf_metadata(GgufCursor& cursor, std::uint64_t count);

}  // namespace deepwell
