// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace deepwell {

/// The instruction sets kernels are written for, ordered: each one includes those before it.
///   kAvx2    AVX2, FMA and F16C
///   kAvx512  those, and AVX-512 F, BW, DQ, VL and VNNI
enum class Isa { kScalar, kAvx2, kAvx512 };

std::string_view isa_name(Isa isa);                       ///< "scalar", "avx2", "avx512"
std::optional<Isa> isa_from_name(std::string_view name);  ///< the reverse; nothing for another word

/// What this CPU and operating system can run, whatever the environment says.
Isa cpu_isa();

/// The variant to compute with: `wanted` is the value of DEEPWELL_ISA ("" or null: not set). It can lower
/// the choice, never raise it above what the CPU has. kInvalid for an unknown word, kUnsupported for one
/// above `has`.
Result<Isa> choose_isa(const char* wanted, Isa has);

/// choose_isa(DEEPWELL_ISA, cpu_isa()), read once. main() calls this first to report a bad value.
const Result<Isa>& isa_from_environment();

/// The same, for code that runs after main() checked it; a bad value falls back to cpu_isa().
Isa best_isa();

bool has_avx512_bf16();  ///< and best_isa() is kAvx512
bool has_avx512_vbmi();  ///< and best_isa() is kAvx512

/// Cores this process may compute on: distinct physical cores of its affinity mask, at most the cgroup's CPU
/// quota (rounded up). At least 1.
int physical_cores();

/// "AMD EPYC 9B14", or "unknown CPU".
std::string cpu_name();

/// For tests of the parsing: the quota in the text of a cpu.max file; nothing for "max" or for what is not
/// such a text.
std::optional<double> parse_cpu_max(std::string_view text);

}  // namespace deepwell
