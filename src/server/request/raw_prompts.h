// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "server/request/json_reader.h"
#include "server/request/request.h"

namespace deepwell {

/// The field `name`: a string, a list of strings, a list of token ids, or a list of such lists; `most` at
/// once.
void read_raw_prompts(JsonReader& reader, const char* name, std::size_t most,
                      std::vector<Request::RawPrompt>& out);

}  // namespace deepwell
