// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/formats/model_file.h"

namespace deepwell {

/// Limits on what a header may ask for, far above any real model: what is built from a header takes at most
/// about 0.7 GB, whatever the header says.
struct GgufLimits {
  static constexpr std::uint64_t kKeys = 1 << 16;
  static constexpr std::uint64_t kKeyBytes = (1 << 16) - 1;
  static constexpr std::uint64_t kArrayElements = 1 << 24;  ///< over all arrays of a file
  static constexpr std::uint64_t kTextBytes = 1 << 28;      ///< over all strings of a file
  static constexpr std::uint64_t kTensors = 1 << 18;
  static constexpr std::uint64_t kTensorNameBytes = 63;
  static constexpr std::int64_t kAlignment = 1 << 20;
};

/// One GGUF file, or one part of a split set.
struct GgufPart {
  std::uint32_t version = 0;
  std::int64_t alignment = 32;
  std::size_t data_start = 0;  ///< byte of the file where tensor data begins
  Metadata metadata;
  std::vector<FileTensor> tensors;  ///< their bytes lie in the given file
};

/// Reads and checks one file's header; tensor data is located, not touched. `path` is for messages.
/// Errors: kInvalid (not a GGUF), kUnsupported (version, type), kCorrupt (all else).
Result<GgufPart> parse_gguf_part(std::span<const std::byte> file, const std::string& path);

}  // namespace deepwell
