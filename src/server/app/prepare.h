// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "server/model/served_model.h"
#include "server/request/request.h"

namespace deepwell {

/// What a request means for a model.
struct PreparedAnswer {
  std::vector<std::vector<Token>> prompts;
  std::vector<std::unique_ptr<GrammarMatcher>> matchers;  ///< one an answer, or none
};
/// Texts become tokens; what the answer is held to, a grammar. Writes into `request` how its reply is read.
/// Refuses what the model cannot do.
ApiResult<PreparedAnswer> prepare(Request& request, const ServedModel& model);

/// The prompts as tokens; for a chat also how its reply is read and held to its rules, in `request`.
ApiResult<std::vector<std::vector<Token>>> encode_prompts(Request& request, const ServedModel& model);

/// What is wrong with a prompt of that field for the model, if anything.
std::optional<ApiError> wrong_prompt(const std::vector<Token>& prompt, const ServedModel& model,
                                     const char* field);

}  // namespace deepwell
