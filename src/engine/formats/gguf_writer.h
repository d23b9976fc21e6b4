// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "engine/formats/model_file.h"

namespace deepwell {

constexpr std::int64_t kGgufAlignment = 32;

/// The header of a GGUF (v3) whose tensors follow in this order, each padded to kGgufAlignment. Of `tensors`,
/// names, types and shapes are used. Integers become u32 where they fit, in arrays i32, else i64; numbers
/// become f32. Requires types that files may have.
std::string gguf_header(const Metadata& metadata, std::span<const FileTensor> tensors);

inline std::int64_t gguf_padded(std::int64_t bytes) {
  return (bytes + kGgufAlignment - 1) / kGgufAlignment * kGgufAlignment;
}

}  // namespace deepwell
