// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "text/chat/prompt_encoder.h"

namespace deepwell {

/// Speaks with a model by its Jinja template. What language the model answers in is read off the `source`.
std::unique_ptr<PromptEncoder> make_template_encoder(std::unique_ptr<const ChatTemplate> chat_template,
                                                     std::string_view source, std::string bos_text,
                                                     std::string eos_text);

}  // namespace deepwell
