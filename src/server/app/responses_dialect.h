// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "server/app/answer.h"

namespace deepwell {

/// OpenAI's response object without output.
nlohmann::json response_object(const ResponsesRequest& request, const AnswerHead& head, const char* status);

/// Writes an answer as OpenAI's response object, whole or as events, and keeps it when asked to.
/// `conversation`: the turns before the answer, without instructions.
std::unique_ptr<Dialect> make_responses_dialect(const Call& call, ResponsesRequest request,
                                                std::vector<Message> conversation);

}  // namespace deepwell
