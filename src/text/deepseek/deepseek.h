// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/chat/prompt_encoder.h"

namespace deepwell {

/// DeepSeek's own chat languages by name: "deepseek-v2", "deepseek-v3", "deepseek-r1", "deepseek-v3.1",
/// "deepseek-v3.2", "deepseek-v4", "deepseek-v4-0731", "deepseek-v4.1".
std::vector<std::string> deepseek_languages();
/// nullptr for a name that is none of them.
std::unique_ptr<PromptEncoder> make_deepseek_encoder(std::string_view name);

/// What a model file says of itself.
struct ModelSigns {
  std::string_view architecture;   ///< "deepseek2"
  std::string_view name;           ///< general.name
  std::string_view chat_template;  ///< the file's own, or ""
  std::function<bool(std::string_view)> has_token;
};
/// The language that a model was taught, or "" when it is none of DeepSeek's: then its template says.
std::string_view deepseek_language_of(const ModelSigns& signs);

}  // namespace deepwell
