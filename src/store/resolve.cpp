// SPDX-License-Identifier: Apache-2.0
// resolve_model and list_models: from names to files, without a network.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/human.h"
#include "store/cache.h"
#include "store/checkpoint_files.h"
#include "store/messages.h"
#include "store/quant.h"
#include "store/store.h"

namespace deepwell {
namespace fs = std::filesystem;
namespace {

/// A directory with one model in GGUF is that model; else whoever reads directories has to know.
Result<std::string> resolve_directory(const fs::path& folder) {
  std::vector<std::string> files;
  bool other_model = false;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end && files.size() < 10'000;
       it.increment(error)) {
    const std::string name = it->path().filename();
    std::error_code ignored;
    if (fs::is_regular_file(it->path(), ignored)) files.push_back(name);
    other_model |= name.ends_with(".safetensors") || name == "tokenizer.json";
  }
  if (error)
    return Error{ErrorCode::kIo,
                 fmt::format("{}: cannot look into it: {}", printable(folder.string()), error.message())};
  std::sort(files.begin(), files.end());
  std::vector<ModelVariant> variants = find_variants(files);
  std::erase_if(variants, [](const ModelVariant& variant) { return variant.quant == kCheckpointQuant; });
  if (variants.size() == 1) return (folder / files[variants.front().files.front()]).string();
  if (variants.empty() && other_model) return folder.string();
  if (variants.empty())
    return Error{ErrorCode::kNotFound,
                 fmt::format("{}: there is no model in this directory (no .gguf, no .safetensors)",
                             printable(folder.string()))};
  std::vector<std::string> names;
  for (const ModelVariant& variant : variants) names.push_back(files[variant.files.front()]);
  return Error{ErrorCode::kInvalid,
               fmt::format("{}: several models are in this directory; give one of its files: {}",
                           printable(folder.string()), printable(fmt::format("{}", fmt::join(names, ", "))))};
}

bool looks_like_path(std::string_view text) {
  return text.starts_with('/') || text.starts_with("./") || text.starts_with("../") ||
         text.starts_with("~") || text.ends_with(".gguf") || text.ends_with(".safetensors") ||
         text.ends_with('/');
}

Error not_in_store(const std::vector<CacheEntry>& entries, const std::string& name) {
  const std::string shown = printable(name, 200);
  const auto parsed = parse_model_name(name);
  const std::string guess = near_names_hint(entries, name);
  if (parsed.ok() && !looks_like_path(name))
    return {ErrorCode::kNotFound, fmt::format("{} is not in the store; fetch it with `deepwell pull {}`{}",
                                              shown, parsed->text(), guess)};
  if (looks_like_path(name) || name.find('/') != name.npos)
    return {ErrorCode::kNotFound, fmt::format("{}: no such file; check the path", shown) + guess};
  return {ErrorCode::kNotFound,
          fmt::format("{}: no such file, and no such model in the store{}; `deepwell list` shows "
                      "what there is, `deepwell pull default` fetches a small model",
                      shown, guess)};
}

}  // namespace

Result<std::string> resolve_model(const std::string& name_or_path) {
  if (name_or_path.empty() || name_or_path.find('\0') != std::string::npos)
    return Error{ErrorCode::kInvalid,
                 "no model given; write a file, a directory, default or a name in the store"};
  std::error_code error;
  const fs::path path(name_or_path);
  if (name_or_path != "default") {
    const fs::file_status status = fs::status(path, error);
    if (fs::is_directory(status)) return resolve_directory(path);
    if (fs::exists(status)) return name_or_path;
  }
  DW_TRY(const auto entries, cache_entries());
  const auto fit = matching_entries(entries, name_or_path);
  if (fit.size() == 1) return fit.front().model.path;
  if (fit.size() > 1) return several_fit(fit, name_or_path);
  return not_in_store(entries, name_or_path);
}

Result<std::vector<StoredModel>> list_models() {
  DW_TRY(const auto entries, cache_entries());
  std::vector<StoredModel> models;
  for (const CacheEntry& entry : entries) models.push_back(entry.model);
  return models;
}

}  // namespace deepwell
