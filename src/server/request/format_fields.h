// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "server/request/json_reader.h"
#include "server/request/request.h"

namespace deepwell {

/// What the answer's text must look like: OpenAI's response_format, vLLM's guided_* and structured_outputs,
/// llama.cpp's json_schema. At most one of them.
void read_format_fields(JsonReader& reader, Request& request);

/// {"type": "text" | "json_object" | "json_schema", ...}; `flat`: name and schema stand beside the type, as
/// the Responses API has it.
void read_format_object(JsonReader& reader, const Json& format, const std::string& where, bool flat,
                        Request& request);
/// A schema for the answer; `field` names it in refusals.
void set_schema(JsonReader& reader, const Json& schema, const std::string& field, Request& request);

}  // namespace deepwell
