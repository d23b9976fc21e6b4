// SPDX-License-Identifier: Apache-2.0
#include "text/deepseek/dsml_writer.h"

#include <unordered_map>

#include "text/json/json_escape.h"

namespace deepwell {
namespace {

void open_tag(PromptWriter& prompt, const DsmlStyle& style, std::string_view name) {
  prompt.markup("<").markup(kDsml).markup(style.gap).markup(name);
}
void close_tag(PromptWriter& prompt, const DsmlStyle& style, std::string_view name) {
  prompt.markup("</").markup(kDsml).markup(style.gap).markup(name).markup(">");
}

void write_parameter(std::string_view key, std::string_view text, bool is_string, const DsmlStyle& style,
                     PromptWriter& prompt) {
  open_tag(prompt, style, "parameter name=\"");
  prompt.text(key).markup(is_string ? "\" string=\"true\">" : "\" string=\"false\">").text(text);
  close_tag(prompt, style, "parameter");
  prompt.markup("\n");
}

void write_parameters(const ToolCall& call, const DsmlStyle& style, PromptWriter& prompt) {
  const std::string_view arguments = without_blanks(call.arguments);
  if (!arguments.starts_with('{') || !is_json(arguments))
    return write_parameter("arguments", call.arguments, true, style, prompt);
  // A key that stands twice keeps its first place and its last value, as in every parsed document.
  std::vector<std::pair<std::string, std::string_view>> members;
  std::unordered_map<std::string, std::size_t> places;
  for (auto& [key, value] : json_members(arguments)) {
    const auto [place, is_new] = places.emplace(key, members.size());
    if (is_new) {
      members.emplace_back(std::move(key), value);
    } else {
      members[place->second].second = value;
    }
  }
  if (members.empty()) prompt.markup(style.no_parameters);
  for (const auto& [key, value] : members) {
    const bool is_string = is_json_string(value);
    write_parameter(key, is_string ? json_string(value) : json_rewritten(value, style.numbers), is_string,
                    style, prompt);
  }
}

}  // namespace

void write_dsml_calls(const std::vector<ToolCall>& calls, const DsmlStyle& style, PromptWriter& prompt) {
  if (calls.empty()) return;
  prompt.markup("\n\n");
  open_tag(prompt, style, style.block);
  prompt.markup(">\n");
  for (const ToolCall& call : calls) {
    open_tag(prompt, style, "invoke name=\"");
    prompt.text(call.name).markup("\">\n");
    write_parameters(call, style, prompt);
    close_tag(prompt, style, "invoke");
    prompt.markup("\n");
  }
  close_tag(prompt, style, style.block);
}

}  // namespace deepwell
