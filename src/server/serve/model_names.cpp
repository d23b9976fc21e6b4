// SPDX-License-Identifier: Apache-2.0
#include "server/serve/model_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

namespace deepwell {

std::string id_for(const std::string& name, const std::string& path) {
  std::error_code ignored;
  if (name != path && !std::filesystem::exists(name, ignored)) return name;
  std::string stem = std::filesystem::path(path).filename().string();
  if (stem.ends_with(".gguf")) stem.resize(stem.size() - 5);
  if (const auto part = stem.find("-00001-of-"); part != std::string::npos) stem.resize(part);
  return stem;
}

Result<Alias> parse_alias(const std::string& text, std::span<const std::string> given,
                          std::span<const std::string> ids) {
  const auto equals = text.find('=');
  if (equals == std::string::npos) return Alias{text, ids.front()};
  const std::string model = text.substr(equals + 1);
  for (const std::span<const std::string> words : {ids, given}) {
    const auto found = std::ranges::find(words, model);
    if (found != words.end())
      return Alias{text.substr(0, equals), ids[static_cast<std::size_t>(found - words.begin())]};
  }
  return Error{ErrorCode::kInvalid, fmt::format("--alias {}: no model '{}' is served; there is {}", text,
                                                model, fmt::join(ids, ", "))};
}

}  // namespace deepwell
