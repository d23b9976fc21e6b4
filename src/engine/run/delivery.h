// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "engine/run/sequence.h"

namespace deepwell {

// What a request hears of the steps it was in.

/// Hands on the tokens drawn for it. A reason when one of them was the last; for kError, Sequence::failure
/// says what.
std::optional<FinishReason> deliver(Sequence& sequence, const Engine::EndToken& ends_generation);
/// Hands on the vector of one with pooling.
void deliver_vector(Sequence& sequence);
/// How it went, told at its end.
FinishInfo finish_info(const Sequence& sequence, FinishReason reason, std::string error);

}  // namespace deepwell
