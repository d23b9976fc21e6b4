// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string>

#include "store/quant.h"

namespace deepwell {

/// What a checkpoint's variant is called: "hf.co/OWNER/REPO:SAFETENSORS".
inline constexpr std::string_view kCheckpointQuant = "SAFETENSORS";

/// The Hugging Face checkpoint at the top of a repository: its index, or its only safetensors file, first;
/// then the other files of weights, configuration and vocabulary. Nothing where there is no config.json.
std::optional<ModelVariant> find_checkpoint(std::span<const std::string> paths);

}  // namespace deepwell
