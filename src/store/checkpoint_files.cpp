// SPDX-License-Identifier: Apache-2.0
#include "store/checkpoint_files.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace deepwell {
namespace {

constexpr std::array<std::string_view, 5> kBeside{"config.json", "tokenizer.json", "tokenizer_config.json",
                                                  "generation_config.json", "chat_template.jinja"};

/// N of "PREFIX-00001-of-0000N.safetensors", or 0.
int shards_of(std::string_view path) {
  constexpr std::string_view kEnd = ".safetensors", kOf = "-of-";
  if (!path.starts_with("model-") || !path.ends_with(kEnd)) return 0;
  path.remove_suffix(kEnd.size());
  const std::size_t at = path.rfind(kOf);
  if (at == path.npos) return 0;
  const std::string_view digits = path.substr(at + kOf.size());
  int count = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), count);
  return error == std::errc{} && end == digits.data() + digits.size() && count > 0 && count < 10'000 ? count
                                                                                                     : 0;
}

}  // namespace

std::optional<ModelVariant> find_checkpoint(std::span<const std::string> paths) {
  const auto place = [&](std::string_view name) { return std::ranges::find(paths, name); };
  if (place("config.json") == paths.end()) return std::nullopt;
  ModelVariant variant{std::string(kCheckpointQuant), {}, 0};
  const auto add = [&](std::string_view name) {
    const auto found = place(name);
    if (found == paths.end()) return false;
    variant.files.push_back(static_cast<std::size_t>(found - paths.begin()));
    ++variant.parts;
    return true;
  };
  if (add("model.safetensors.index.json")) {
    int shards = 0;
    for (std::size_t i = 0; i < paths.size(); ++i) {
      if (shards_of(paths[i]) == 0) continue;
      shards = shards_of(paths[i]);
      variant.files.push_back(i);
    }
    variant.parts += shards;
    if (shards == 0) return std::nullopt;
  } else if (!add("model.safetensors")) {
    return std::nullopt;
  }
  for (const std::string_view name : kBeside) add(name);
  return variant;
}

}  // namespace deepwell
