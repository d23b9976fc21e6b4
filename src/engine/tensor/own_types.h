// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/tensor/type.h"

namespace deepwell {

/// Types of our own: how weights of a checkpoint's directory are kept in memory. They have no number in GGUF
/// and are in no file.
inline constexpr TypeId kF8_E4M3{0x10000};  ///< 128 codes under a float: (float scale, 128 E4M3)
/// 32 steps of 4 bits under a half, with a zero point: (half scale, zero, 16 bytes).
inline constexpr TypeId kI4_ZERO{0x10001};

}  // namespace deepwell
