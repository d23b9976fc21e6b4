// SPDX-License-Identifier: Apache-2.0
#include "cli/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "cli/suggest.h"

#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

namespace deepwell {
namespace {

constexpr std::size_t kConfigBytesMax = 1 << 20;

std::string variable_name(const std::string& flag) {
  std::string name = "DEEPWELL_" + flag;
  std::ranges::transform(name, name.begin(),
                         [](unsigned char c) { return c == '-' ? '_' : static_cast<char>(std::toupper(c)); });
  return name;
}

std::vector<CLI::App*> commands_of(CLI::App& root) {
  return root.get_subcommands([](const CLI::App*) { return true; });
}

bool can_be_set(const CLI::App& app, const CLI::Option& option) {
  return !option.get_lnames().empty() && &option != app.get_help_ptr() &&
         option.get_lnames().front() != "version";
}

CLI::Option* flag_named(CLI::App& command, const std::string& name) {
  CLI::Option* option = command.get_option_no_throw("--" + name);
  return option != nullptr && can_be_set(command, *option) ? option : nullptr;
}

std::vector<std::string> flags_of(CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options())
    if (can_be_set(command, *option)) names.push_back(option->get_lnames().front());
  return names;
}

std::string environment_value(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

Error problem(const std::string& path, const toml::node& node, std::string_view what) {
  return {ErrorCode::kInvalid, fmt::format("{}:{}: {}", path, node.source().begin.line, what)};
}

std::string suggestion(std::string_view word, std::span<const std::string> known) {
  const auto guess = closest_word(word, known);
  return guess ? fmt::format("did you mean '{}'?", *guess) : "'deepwell COMMAND --help' lists the flags";
}

// One value as it would be written on the command line; "" for what no flag takes.
std::string flag_text(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return std::to_string(number->get());
  if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
  if (const auto* flag = node.as_boolean()) return flag->get() ? "true" : "false";
  return "";
}

Status set_default(CLI::Option& option, const toml::node& value, const std::string& path) {
  if (!environment_value(option.get_envname().c_str()).empty()) return Done{};
  const std::string text = flag_text(value);
  if (text.empty())
    return problem(path, value, fmt::format("{} takes one text, number or true/false", option.get_name()));
  try {
    option.default_val(text);
  } catch (const CLI::Error& error) {
    return problem(
        path, value,
        fmt::format("{}; 'deepwell COMMAND --help' says what {} takes", error.what(), option.get_name()));
  }
  return Done{};
}

Status apply_table(CLI::App& command, const toml::table& table, const std::string& path) {
  for (const auto& [key, value] : table) {
    const std::string name(key.str());
    CLI::Option* option = flag_named(command, name);
    if (option == nullptr)
      return problem(path, value,
                     fmt::format("'deepwell {}' has no flag '{}'; {}", command.get_name(), name,
                                 suggestion(name, flags_of(command))));
    DW_RETURN_IF_ERROR(set_default(*option, value, path));
  }
  return Done{};
}

// A key at the top: for every command that has the flag, and at least one must.
Status apply_to_all(CLI::App& root, const std::string& name, const toml::node& value,
                    const std::string& path) {
  bool known = false;
  std::vector<std::string> flags;
  for (CLI::App* command : commands_of(root)) {
    if (CLI::Option* option = flag_named(*command, name)) {
      known = true;
      DW_RETURN_IF_ERROR(set_default(*option, value, path));
    }
    std::ranges::move(flags_of(*command), std::back_inserter(flags));
  }
  if (!known)
    return problem(path, value, fmt::format("no command has a flag '{}'; {}", name, suggestion(name, flags)));
  return Done{};
}

}  // namespace

void name_environment(CLI::App& root) {
  for (CLI::App* command : commands_of(root))
    for (CLI::Option* option : command->get_options())
      if (can_be_set(*command, *option) && option->get_envname().empty())
        option->envname(variable_name(option->get_lnames().front()));
}

Result<std::string> find_config_file() {
  std::error_code ignored;
  if (const std::string named = environment_value("DEEPWELL_CONFIG"); !named.empty()) {
    if (std::filesystem::exists(named, ignored)) return named;
    return Error{ErrorCode::kNotFound, fmt::format("{}: no such file; DEEPWELL_CONFIG names it", named)};
  }
  const std::string xdg = environment_value("XDG_CONFIG_HOME");
  const std::string home = environment_value("HOME");
  if (xdg.empty() && home.empty()) return std::string();
  const std::string path = (xdg.empty() ? home + "/.config" : xdg) + "/deepwell/config.toml";
  return std::filesystem::exists(path, ignored) ? path : std::string();
}

Status apply_config_file(CLI::App& root, const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::string text(kConfigBytesMax + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (in.bad() || !in.eof())
    return Error{ErrorCode::kIo,
                 fmt::format("{}: cannot be read, or is beyond {} bytes; check it or set DEEPWELL_CONFIG",
                             path, kConfigBytesMax)};
  return apply_config_text(root, text, path);
}

Status apply_config_text(CLI::App& root, const std::string& text, const std::string& path) {
  const toml::parse_result parsed = toml::parse(text, path);
  if (!parsed)
    return Error{ErrorCode::kInvalid,
                 fmt::format("{}:{}: {}; mend the line", path, parsed.error().source().begin.line,
                             parsed.error().description())};
  for (const auto& [key, value] : parsed.table()) {
    const std::string name(key.str());
    const toml::table* table = value.as_table();
    if (table == nullptr) {
      DW_RETURN_IF_ERROR(apply_to_all(root, name, value, path));
      continue;
    }
    const auto commands = commands_of(root);
    const auto command =
        std::ranges::find(commands, name, [](const CLI::App* one) { return one->get_name(); });
    if (command == commands.end())
      return problem(path, value, fmt::format("no command '{}'; 'deepwell --help' lists them", name));
    DW_RETURN_IF_ERROR(apply_table(**command, *table, path));
  }
  return Done{};
}

}  // namespace deepwell
