// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "engine/formats/model_file.h"
#include "text/chat/prompt_encoder.h"
#include "text/tokenizer/tokenizer.h"

namespace deepwell {

/// The value of --chat-template: the name of a language as it is, the content of a file otherwise, "" for "".
/// Errors: kNotFound, with the names there are.
Result<std::string> chat_template_of(const std::string& flag);
/// "deepseek-v2, deepseek-v3, ...": for help texts.
std::string chat_template_names();

/// The chat language of a model: `chosen` (a name or Jinja source) if it is not empty; else DeepSeek's own
/// code where the model is theirs; else the file's template; else ChatML where the vocabulary has its turns;
/// else nullptr. Errors: kInvalid, with the line of the template.
Result<std::unique_ptr<const PromptEncoder>> chat_language_of(const std::string& chosen,
                                                              const Metadata& metadata,
                                                              const Tokenizer& tokenizer);

}  // namespace deepwell
