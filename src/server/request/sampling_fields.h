// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "server/request/json_reader.h"
#include "server/request/request.h"

namespace deepwell {

/// The fields that both dialects share: model, stream, stop, n, seed, samplers, penalties, logit_bias.
void read_common_fields(JsonReader& reader, Request& request);

}  // namespace deepwell
