// SPDX-License-Identifier: Apache-2.0
#include "store/quant.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <optional>
#include <utility>

#include "base/human.h"
#include "store/checkpoint_files.h"

namespace deepwell {
namespace {

// Every label that file names use; the order is that of preference when none is asked for: Q4_K_M, what is
// nearest in size and quality, then what is larger, then what is smaller.
constexpr std::array<std::string_view, 58> kLabels{
    "Q4_K_M",   "Q4_K_XL",  "Q4_K_L", "Q4_K_S",  "Q4_K",      "Q4_1",   "Q4_0",    "Q5_K_M",  "Q5_K_S",
    "Q5_K_XL",  "Q5_K_L",   "Q5_K",   "Q5_1",    "Q5_0",      "Q6_K",   "Q6_K_L",  "Q6_K_XL", "Q8_0",
    "Q8_K_XL",  "Q8_1",     "IQ4_XS", "IQ4_NL",  "MXFP4_MOE", "MXFP4",  "NVFP4",   "Q3_K_L",  "Q3_K_XL",
    "Q3_K_M",   "Q3_K_S",   "Q3_K",   "IQ3_M",   "IQ3_S",     "IQ3_XS", "IQ3_XXS", "BF16",    "F16",
    "FP16",     "F32",      "FP32",   "Q2_K_XL", "Q2_K_L",    "Q2_K_S", "Q2_K",    "IQ2_M",   "IQ2_S",
    "IQ2_XS",   "IQ2_XXS",  "IQ1_M",  "IQ1_S",   "TQ2_0",     "TQ1_0",  "Q1_0",    "Q2_0",    "Q4_0_4_4",
    "Q4_0_4_8", "Q4_0_8_8", "Q3_0",   "Q2_1",
};

char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }
std::string in_capitals(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), upper);
  return result;
}
bool is_word(char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'); }

/// Where `label` stands last in `text` as a word of its own.
std::size_t last_word(std::string_view text, std::string_view label) {
  for (std::size_t at = text.rfind(label); at != text.npos;
       at = at == 0 ? text.npos : text.rfind(label, at - 1)) {
    const std::size_t end = at + label.size();
    const bool starts = at == 0 || !is_word(text[at - 1]);
    const bool ends = end == text.size() || (!is_word(text[end]) && text[end] != '_');
    if (starts && ends) return at;
  }
  return text.npos;
}

struct PartName {
  std::string prefix;  // without -00001-of-00003.gguf or .gguf
  int number = 1, count = 1;
};

std::optional<int> number_in(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 1) return std::nullopt;
  return value;
}

std::optional<PartName> part_name(std::string_view path) {
  if (path.size() < 6 || in_capitals(path.substr(path.size() - 5)) != ".GGUF") return std::nullopt;
  path.remove_suffix(5);
  constexpr std::size_t kSuffix = std::string_view("-00001-of-00003").size();
  if (path.size() > kSuffix) {
    const std::string_view end = path.substr(path.size() - kSuffix);
    const auto number = number_in(end.substr(1, 5));
    const auto count = number_in(end.substr(10, 5));
    if (end[0] == '-' && end.substr(6, 4) == "-of-" && number && count && *number <= *count)
      return PartName{std::string(path.substr(0, path.size() - kSuffix)), *number, *count};
  }
  return PartName{std::string(path), 1, 1};
}

std::string_view base_name(std::string_view path) { return path.substr(path.rfind('/') + 1); }

bool is_no_language_model(std::string_view path) {
  const std::string name = in_capitals(base_name(path));
  return name.find("MMPROJ") != name.npos || name.find("IMATRIX") != name.npos;
}

std::size_t preference(std::string_view quant) {
  if (quant.starts_with("UD-")) quant.remove_prefix(3);
  return static_cast<std::size_t>(std::find(kLabels.begin(), kLabels.end(), quant) - kLabels.begin());
}

std::string list_of(std::span<const ModelVariant> variants, std::span<const std::string> paths) {
  std::vector<std::string> names;
  for (const ModelVariant& variant : variants) {
    std::string name = variant.quant.empty() ? paths[variant.files.front()] : variant.quant;
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(std::move(name));
  }
  constexpr std::size_t kShown = 40;
  const std::size_t hidden = names.size() > kShown ? names.size() - kShown : 0;
  names.resize(names.size() - hidden);
  return printable(
      fmt::format("{}{}", fmt::join(names, ", "), hidden ? fmt::format(" and {} more", hidden) : ""));
}

}  // namespace

std::string quant_in_path(std::string_view path) {
  const std::string text = in_capitals(path);
  std::string_view best;
  std::size_t best_at = 0;
  for (const std::string_view label : kLabels) {
    const std::size_t at = last_word(text, label);
    if (at == std::string::npos || (!best.empty() && at < best_at)) continue;
    if (!best.empty() && at == best_at && label.size() < best.size()) continue;
    best = label;
    best_at = at;
  }
  if (best.empty()) return "";
  const bool dynamic = best_at >= 3 && std::string_view(text).substr(best_at - 3, 3) == "UD-";
  return (dynamic ? "UD-" : "") + std::string(best);
}

std::vector<ModelVariant> find_variants(std::span<const std::string> paths) {
  std::map<std::pair<std::string, int>, std::map<int, std::size_t>>
      groups;  // (prefix, parts): number to file
  for (std::size_t i = 0; i < paths.size(); ++i) {
    const auto part = part_name(paths[i]);
    if (part && !is_no_language_model(paths[i])) groups[{part->prefix, part->count}].emplace(part->number, i);
  }
  std::vector<ModelVariant> variants;
  for (const auto& [key, parts] : groups) {
    ModelVariant variant{quant_in_path(key.first), {}, key.second};
    for (const auto& [number, file] : parts) variant.files.push_back(file);
    variants.push_back(std::move(variant));
  }
  if (auto checkpoint = find_checkpoint(paths)) variants.push_back(*std::move(checkpoint));
  std::stable_sort(variants.begin(), variants.end(), [](const ModelVariant& a, const ModelVariant& b) {
    return std::pair(preference(a.quant), a.quant.size()) < std::pair(preference(b.quant), b.quant.size());
  });
  return variants;
}

Result<ModelVariant> choose_variant(std::span<const ModelVariant> variants,
                                    std::span<const std::string> paths, std::string_view tag,
                                    std::string_view repository) {
  if (variants.empty())
    return Error{ErrorCode::kNotFound,
                 fmt::format("{} has no GGUF files and no checkpoint (config.json, safetensors); look for "
                             "a repository of the same model with GGUF in its name",
                             repository)};
  const std::string wanted = in_capitals(tag);
  std::vector<ModelVariant> fit;
  for (const ModelVariant& variant : variants) {
    const std::string_view path = paths[variant.files.front()];
    if (tag.empty() || in_capitals(variant.quant) == wanted || path == tag || base_name(path) == tag)
      fit.push_back(variant);
  }
  // ":Q4_K_XL" may mean UD-Q4_K_XL where nothing is plainly called so.
  if (fit.empty())
    for (const ModelVariant& variant : variants)
      if (variant.quant == "UD-" + wanted) fit.push_back(variant);
  if (fit.empty())
    return Error{ErrorCode::kNotFound, fmt::format("{} has no {}; it has {}", repository, printable(tag, 100),
                                                   list_of(variants, paths))};
  if (!tag.empty() && fit.size() > 1) {
    std::vector<std::string> names;
    for (const ModelVariant& variant : fit) names.push_back(paths[variant.files.front()]);
    return Error{
        ErrorCode::kInvalid,
        fmt::format("{} has several models that are {}: {}; write the file's name after the colon",
                    repository, printable(tag, 100), printable(fmt::format("{}", fmt::join(names, ", "))))};
  }
  if (!fit.front().complete())
    return Error{ErrorCode::kCorrupt,
                 fmt::format("{}: {} has only {} of {} parts; choose another quantization ({})", repository,
                             printable(paths[fit.front().files.front()]), fit.front().files.size(),
                             fit.front().parts, list_of(variants, paths))};
  return fit.front();
}

}  // namespace deepwell
