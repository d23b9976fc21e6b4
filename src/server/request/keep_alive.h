// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "server/request/json_reader.h"

namespace deepwell {

/// Ollama's `keep_alive`: seconds, or a duration as in Go ("5m", "1h30m"); below zero: for good, which is -1
/// here. Nothing when the field is absent.
std::optional<double> read_keep_alive(JsonReader& reader);

}  // namespace deepwell
