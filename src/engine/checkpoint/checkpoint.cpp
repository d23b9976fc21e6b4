// SPDX-License-Identifier: Apache-2.0
#include "engine/checkpoint/checkpoint.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "base/human.h"
#include "engine/checkpoint/shards.h"
#include "engine/checkpoint/translation.h"
#include "engine/formats/listed_model_file.h"

namespace deepwell {
namespace fs = std::filesystem;
namespace {

class CheckpointFile final : public ListedModelFile {
 public:
  CheckpointFile(std::string path, Shards shards)
      : ListedModelFile(std::move(path)), shards_(std::move(shards)) {
    file_bytes_ = shards_.file_bytes();
  }
  const Shards& shards() const { return shards_; }
  Status fill(Translation translation, Metadata extra) {
    metadata_ = std::move(translation.metadata);
    metadata_.values.merge(extra.values);
    for (FileTensor& tensor : translation.tensors) {
      const std::string name = tensor.name;
      if (!add(std::move(tensor)))
        return Error{ErrorCode::kCorrupt,
                     fmt::format("{}: two tensors become '{}'; fetch the directory again", printable(path_),
                                 printable(name))};
    }
    return Done{};
  }

  void release(std::span<const std::byte> bytes) const override {
    if (!bytes.empty()) shards_.release(bytes);
  }

 private:
  Shards shards_;
};

Result<const CheckpointFamily*> family_of(const ConfigJson& config) {
  const std::string type = config.text("model_type").value_or("");
  std::vector<std::string_view> known;
  for (const CheckpointFamily& family : all_checkpoints()) {
    if (std::ranges::find(family.model_types, type) != family.model_types.end()) return &family;
    known.insert(known.end(), family.model_types.begin(), family.model_types.end());
  }
  return Error{
      ErrorCode::kUnsupported,
      fmt::format("{}: model_type '{}' is not supported by this version (it reads {}); get a GGUF of the "
                  "model, or a newer deepwell",
                  printable(config.path()), printable(type, 100), fmt::join(known, ", "))};
}

/// The folder's name; in the hub's cache (models--OWNER--NAME/snapshots/REVISION) the repository's.
std::string name_of(const std::string& folder) {
  std::error_code ignored;
  const fs::path whole = fs::absolute(folder, ignored).lexically_normal();
  const fs::path path = whole.has_filename() ? whole : whole.parent_path();
  const std::string repository = path.parent_path().parent_path().filename();
  if (path.parent_path().filename() == "snapshots" && repository.starts_with("models--"))
    return repository.substr(repository.rfind("--") + 2);
  return path.filename();
}

}  // namespace

Result<std::unique_ptr<ModelFile>> open_checkpoint(const std::string& folder, Metadata extra) {
  auto config = read_config_json((fs::path(folder) / "config.json").string());
  if (!config.ok() && config.error().code == ErrorCode::kNotFound)
    return Error{
        ErrorCode::kNotFound,
        fmt::format("{}: there is no config.json in this directory; fetch it from where the model came from",
                    printable(folder))};
  if (!config.ok()) return std::move(config).error();
  DW_TRY(const CheckpointFamily* const family, family_of(*config));
  DW_TRY(Shards shards, Shards::open(folder));
  auto file = std::make_unique<CheckpointFile>(folder, std::move(shards));
  DW_TRY(const Weights weights, Weights::make(file->shards(), *config, folder));
  Translation translation{*config, weights, {}, {}, {}, extra};
  translation.metadata.values["general.name"] = name_of(folder);
  DW_RETURN_IF_ERROR(family->translate(translation));
  DW_RETURN_IF_ERROR(file->fill(std::move(translation), std::move(extra)));
  return std::unique_ptr<ModelFile>(std::move(file));
}

std::string checkpoint_folder(const std::string& path) {
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) return path;
  if (!path.ends_with(".safetensors") && !path.ends_with(".safetensors.index.json")) return "";
  const std::string parent = fs::path(path).parent_path();
  return parent.empty() ? "." : parent;
}

Result<std::unique_ptr<ModelFile>> open_weights(const std::string& path) {
  const std::string folder = checkpoint_folder(path);
  return folder.empty() ? open_gguf(path) : open_checkpoint(folder);
}

}  // namespace deepwell
