// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "server/app/answer.h"

namespace deepwell {

/// {"error": "..."}
std::string ollama_error(const ApiError& error);
/// Answers one JSON object a line, as a message of a chat or as a "response".
std::unique_ptr<Dialect> make_ollama_dialect(bool chat);
/// Nothing to say: the model is there.
void reply_ollama_loaded(const Call& call, const std::string& model, bool chat);
std::string rfc3339_now();
/// What /api/tags and /api/ps say of a model.
nlohmann::json ollama_model(const ServedModel& model);

}  // namespace deepwell
