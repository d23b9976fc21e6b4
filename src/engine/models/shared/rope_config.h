// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/models/loader.h"
#include "engine/nn/rope.h"

namespace deepwell {

/// The rotary embedding that a file's metadata asks for: rope.freq_base, rope.scaling.* (none, linear, yarn)
/// and the divisors of "rope_freqs.weight" (Llama 3). `pairs` is half the rotated width.
///
struct RopeReading {
  bool yarn_magnitude = true;  ///< YaRN also scales cosine and sine by 0.1 ln(factor) + 1 (not where a model
                               ///< scales its scores)
  bool scaling = true;         ///< false: rope.scaling.* is not meant for this one
  std::string_view base = "rope.freq_base";  ///< the key of the base
};
Result<Rope> read_rope(Loader& loader, RopeLayout layout, std::int64_t pairs, const RopeReading& how = {});

/// YaRN's blend of a pair's frequency and that divided by `factor`. Source: Peng et al. 2023, "YaRN",
/// sec. 3.2, with the rounding of the correction range that released models use.
std::vector<double> yarn_frequencies(std::int64_t pairs, double base, double factor, double original_context,
                                     double beta_fast, double beta_slow);

}  // namespace deepwell
