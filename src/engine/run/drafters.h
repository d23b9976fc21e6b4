// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "engine/run/drafter.h"
#include "engine/run/engine.h"
#include "engine/run/runner.h"

namespace deepwell {

/// What drafts where it was left open: a smaller model that was given, else the model's own layer for it,
/// else the text so far. kInvalid where `wanted` asks for what is not there.
Result<DraftSource> choose_drafter(const EngineOptions& wanted, const ModelFile& file);
/// `runner`: the one that verifies, loaded with its drafting layer for kMtp. nullptr for kOff.
Result<std::unique_ptr<Drafter>> make_drafter(DraftSource source, const EngineOptions& options,
                                              Runner& runner, std::int64_t cache_tokens);

}  // namespace deepwell
