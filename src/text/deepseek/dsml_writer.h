// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "text/deepseek/prompt_writer.h"
#include "text/json/json_text.h"

namespace deepwell {

/// How a generation writes calls of tools as DSML.
struct DsmlStyle {
  std::string_view block;  ///< "tool_calls"
  NumberStyle numbers;
  std::string_view no_parameters;  ///< what stands in a call without any
  std::string_view gap{};          ///< before a tag's name: V4.1 has a blank there
};
/// A turn's calls, with the blank line before them.
void write_dsml_calls(const std::vector<ToolCall>& calls, const DsmlStyle& style, PromptWriter& prompt);

inline constexpr std::string_view kDsml = "｜DSML｜";

}  // namespace deepwell
