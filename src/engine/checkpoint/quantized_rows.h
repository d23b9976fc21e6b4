// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/result.h"
#include "engine/checkpoint/safetensors.h"
#include "engine/formats/model_file.h"

/// How quantized checkpoints store a matrix, as rows that this build computes with: the same numbers, bit for
/// bit. Errors are the rest of a sentence that begins with the tensor's name.
namespace deepwell::quantized {

/// Scales of blocks of a matrix: F32, BF16, F16, or powers of two (E8M0).
struct Scales {
  const SafetensorsEntry* entry = nullptr;  ///< null: all 1
  std::int64_t block_rows = 128, block_columns = 128;
};
/// E4M3 codes (rows, k) times scales: F8_E4M3, or where its runs would cross a block's border BF16, which
/// powers of two lose nothing in, or F32.
Result<FileTensor> fp8(const SafetensorsEntry& codes, const Scales& scales);

/// Two E2M1 in a byte (rows, k / 2), the first in the low nibble, under E8M0 scales (rows, k / 32): MXFP4.
Result<FileTensor> fp4(const SafetensorsEntry& pairs, const SafetensorsEntry& scales);

/// 4-bit steps, eight in an int32, with half scales (groups, rows): weight = scale * (step - zero).
struct Int4 {
  enum class Kind {
    kGptq,    ///< steps (k / 8, rows), zeros (groups, rows / 8) less one
    kGptqV2,  ///< the same with zeros as they are
    kAwq      ///< steps (k, rows / 8), zeros (groups, rows / 8), eights in the order 0 2 4 6 1 3 5 7
  };
  Kind kind = Kind::kGptq;
  const SafetensorsEntry *steps = nullptr, *zeros = nullptr, *scales = nullptr;
  const SafetensorsEntry* group_of = nullptr;  ///< null: columns are in order
  std::int64_t group_size = 128;               ///< -1: one group
};
/// Q4_0 where every zero is 8, else I4_ZERO; F16 where groups have their columns anywhere (act-order),
/// rounded as the format's own library rounds.
Result<FileTensor> int4(const Int4& from);

}  // namespace deepwell::quantized
