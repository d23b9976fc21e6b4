// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "server/request/json_reader.h"
#include "server/request/request.h"

namespace deepwell {

/// Whether `choice` is {"type": "allowed_tools", ...}; then the other tools are taken out of the chat, and
/// its tool choice is the mode. `flat`: mode and tools stand beside the type, as the Responses API has it.
/// Source: OpenAI API reference, "Allowed tools".
bool read_allowed_tools(JsonReader& reader, const Json& choice, bool flat, Conversation& chat);

}  // namespace deepwell
