// SPDX-License-Identifier: Apache-2.0
#include "engine/checkpoint/shards.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <set>

#include "base/human.h"
#include "engine/checkpoint/config_json.h"

namespace deepwell {
namespace fs = std::filesystem;
namespace {

constexpr const char* kIndex = "model.safetensors.index.json";
constexpr std::size_t kMostFiles = 4096;

Error at(ErrorCode code, const std::string& path, std::string_view what) {
  return {code, fmt::format("{}: {}", printable(path), what)};
}

/// A directory without an index: model.safetensors, or the one file that it can be.
Result<std::string> single_file(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    if (it->path().extension() == ".safetensors" && names.size() < kMostFiles)
      names.push_back(it->path().filename());
  if (error) return at(ErrorCode::kIo, folder, fmt::format("cannot look into it: {}", error.message()));
  if (std::ranges::find(names, "model.safetensors") != names.end()) return std::string("model.safetensors");
  if (names.size() == 1) return names.front();
  if (names.empty())
    return at(ErrorCode::kNotFound, folder, "there is no .safetensors file in this directory");
  return at(ErrorCode::kNotFound, folder,
            fmt::format("{} .safetensors files, but no {} to say which tensor is where; fetch that file, too",
                        names.size(), kIndex));
}

}  // namespace

Status Shards::add(const std::string& path) {
  DW_TRY(MappedFile file, MappedFile::open(path));
  DW_TRY(std::vector<SafetensorsEntry> entries, parse_safetensors(file.bytes(), path));
  for (SafetensorsEntry& entry : entries) {
    std::string name = entry.name;
    const auto [place, fresh] = entries_.try_emplace(std::move(name), Place{std::move(entry), files_.size()});
    if (!fresh)
      return at(ErrorCode::kCorrupt, path,
                fmt::format("tensor '{}' is also in {}: the files belong to different models; fetch the "
                            "directory again",
                            printable(place->first), printable(paths_[place->second.file])));
  }
  files_.push_back(std::move(file));
  paths_.push_back(path);
  return Done{};
}

Result<Shards> Shards::open(const std::string& folder) {
  Shards shards;
  const std::string index_path = (fs::path(folder) / kIndex).string();
  const auto index = read_config_json(index_path);
  if (!index.ok()) {
    if (index.error().code != ErrorCode::kNotFound) return index.error();
    DW_TRY(const std::string name, single_file(folder));
    DW_RETURN_IF_ERROR(shards.add((fs::path(folder) / name).string()));
    return shards;
  }
  const ConfigJson map = index->child("weight_map");
  std::set<std::string> names;
  for (const auto& [tensor, file] : map.object().items()) {
    const std::string name = file.is_string() ? file.get<std::string>() : "";
    if (name.empty() || name.find('/') != std::string::npos || name.find('\0') != std::string::npos ||
        name == "..")
      return at(ErrorCode::kCorrupt, index_path,
                fmt::format("tensor '{}' is in no file of this directory; fetch the index again",
                            printable(tensor)));
    names.insert(name);
  }
  if (names.empty())
    return at(ErrorCode::kCorrupt, index_path, "names no tensors (weight_map); fetch it again");
  if (names.size() > kMostFiles)
    return at(ErrorCode::kCorrupt, index_path, fmt::format("names {} files; fetch it again", names.size()));
  for (const std::string& name : names) {
    const Status added = shards.add((fs::path(folder) / name).string());
    if (!added.ok() && added.error().code == ErrorCode::kNotFound)
      return at(ErrorCode::kNotFound, folder,
                fmt::format(
                    "{} is missing: {} names {} files; fetch the missing ones, or run `deepwell pull` again",
                    printable(name), kIndex, names.size()));
    DW_RETURN_IF_ERROR(added);
  }
  for (const auto& [tensor, file] : map.object().items()) {
    const auto found = shards.entries_.find(tensor);
    if (found == shards.entries_.end() ||
        fs::path(shards.paths_[found->second.file]).filename() != file.get<std::string>())
      return at(
          ErrorCode::kCorrupt, folder,
          fmt::format("tensor '{}' is not in {}, where {} says it is: the files belong to different models; "
                      "fetch the directory again",
                      printable(tensor), printable(file.get<std::string>()), kIndex));
  }
  return shards;
}

const SafetensorsEntry* Shards::find(std::string_view name) const {
  const auto found = entries_.find(name);
  return found == entries_.end() ? nullptr : &found->second.entry;
}

std::int64_t Shards::file_bytes() const {
  std::int64_t bytes = 0;
  for (const MappedFile& file : files_) bytes += static_cast<std::int64_t>(file.bytes().size());
  return bytes;
}

void Shards::release(std::span<const std::byte> bytes) const {
  const auto holds = [&](const MappedFile& file) {
    const auto all = file.bytes();
    // std::less: pointers into different mappings have no built-in order.
    return !std::less<>{}(bytes.data(), all.data()) &&
           !std::less<>{}(all.data() + all.size(), bytes.data() + bytes.size());
  };
  const auto owner = std::ranges::find_if(files_, holds);
  if (owner != files_.end()) owner->release(bytes);  // else it was made, and lies in no file
}

}  // namespace deepwell
