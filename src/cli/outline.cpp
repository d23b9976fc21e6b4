// SPDX-License-Identifier: Apache-2.0
#include "cli/outline.h"

#include <algorithm>
#include <string_view>

namespace deepwell {
namespace {

// CLI11 keeps a set validator's members only in its text: "TEXT:{bash,zsh,fish}".
std::vector<std::string> choices_in(const std::string& type) {
  std::vector<std::string> choices;
  const std::size_t open = type.find('{');
  const std::size_t close = type.find('}', open == std::string::npos ? 0 : open);
  if (open == std::string::npos || close == std::string::npos) return choices;
  std::string_view rest = std::string_view(type).substr(open + 1, close - open - 1);
  while (!rest.empty()) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    std::string_view one = rest.substr(0, comma);
    one = one.substr(0, one.find("->"));  // a checked transformer writes "name->value"
    choices.emplace_back(one);
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  return choices;
}

std::string first_line(std::string text) {
  text.resize(std::min(text.find('\n'), text.size()));
  return text;
}

ArgumentOutline outline_of(const CLI::Option& option) {
  ArgumentOutline argument;
  argument.positional = option.get_lnames().empty() && option.get_snames().empty();
  if (argument.positional) argument.names.push_back(option.get_name(true));
  for (const std::string& name : option.get_lnames()) argument.names.push_back("--" + name);
  for (const std::string& name : option.get_snames()) argument.names.push_back("-" + name);
  argument.description = first_line(option.get_description());
  if (option.get_items_expected_max() > 0) {
    const std::string type = option.get_type_name();
    argument.choices = choices_in(type);
    argument.value = type.substr(0, type.find(':'));
    if (argument.value.empty()) argument.value = "VALUE";
  }
  argument.default_value = option.get_default_str();
  argument.environment = option.get_envname();
  argument.required = option.get_required();
  argument.repeats = option.get_items_expected_max() > 1;
  return argument;
}

}  // namespace

CommandOutline outline_of(const CLI::App& app) {
  CommandOutline outline{app.get_name(), app.get_description(), app.get_footer(), {}, {}};
  for (const CLI::Option* option : app.get_options())
    if (!option->get_group().empty()) outline.arguments.push_back(outline_of(*option));
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; }))
    if (!sub->get_group().empty() && !sub->get_name().empty()) outline.commands.push_back(outline_of(*sub));
  std::ranges::sort(outline.commands, {}, &CommandOutline::name);
  return outline;
}

}  // namespace deepwell
