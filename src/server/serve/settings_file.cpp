// SPDX-License-Identifier: Apache-2.0
#include "server/serve/settings_file.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>

#define TOML_EXCEPTIONS 1
#include <toml++/toml.h>

namespace deepwell {
namespace {

std::optional<std::string> text_of(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* flag = node.as_boolean()) return std::string(flag->get() ? "true" : "false");
  if (const auto* whole = node.as_integer()) return std::to_string(whole->get());
  if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
  return std::nullopt;
}

}  // namespace

Result<std::map<std::string, std::vector<std::string>>> read_settings_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream content;
  if (file) content << file.rdbuf();
  if (!file) return Error{ErrorCode::kIo, fmt::format("cannot read {}: {}", path, std::strerror(errno))};
  toml::table table;
  try {
    table = toml::parse(content.str());
  } catch (const toml::parse_error& problem) {
    return Error{ErrorCode::kInvalid,
                 fmt::format("{}: line {}: {}", path, problem.source().begin.line, problem.description())};
  }
  std::map<std::string, std::vector<std::string>> settings;
  for (const auto& [key, node] : table) {
    const std::string name(key.str());
    std::vector<std::string> values;
    bool understood = true;
    if (const auto* list = node.as_array()) {
      for (const toml::node& one : *list) {
        const auto text = text_of(one);
        understood = understood && text.has_value();
        values.push_back(text.value_or(""));
      }
    } else {
      const auto text = text_of(node);
      understood = text.has_value();
      values.push_back(text.value_or(""));
    }
    if (!understood) {
      return Error{
          ErrorCode::kInvalid,
          fmt::format("{}: '{}' must be a text, a number, true, false or a list of texts", path, name)};
    }
    settings[name] = std::move(values);
  }
  return settings;
}

}  // namespace deepwell
