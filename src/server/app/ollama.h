// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "server/app/answer.h"

namespace deepwell {

/// {"error": "..."}
std::string ollama_error(const ApiError& error);
/// Answers one JSON object a line, as a message of a chat or as a "response".
std::unique_ptr<Dialect> make_ollama_dialect(bool chat);
inline constexpr std::string_view kOllamaStream = "application/x-ndjson";
/// Nothing to say: the model is to be there, or gone (`keep_alive` 0).
void reply_ollama_loaded(const Call& call, const Request& request, bool chat);
std::string rfc3339(std::chrono::system_clock::time_point when);
std::string rfc3339_now();
/// What /api/tags and /api/ps say of a model.
nlohmann::json ollama_model(const ModelState& model);

}  // namespace deepwell
