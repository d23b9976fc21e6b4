// SPDX-License-Identifier: Apache-2.0
#include "store/cache.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <utility>

#include "base/human.h"
#include "store/environment.h"
#include "store/quant.h"

namespace deepwell {
namespace fs = std::filesystem;
namespace {

// A folder with more links than this is no cache of models.
constexpr std::size_t kFilesMax = 100'000;

Error cannot(std::string_view what, const fs::path& path, const std::string& why) {
  return {ErrorCode::kIo, fmt::format("{}: cannot {}: {}; set HF_HUB_CACHE to a folder you may write to",
                                      printable(path.string()), what, why)};
}

std::string read_ref(const fs::path& repo) {
  std::ifstream in(repo / "refs" / "main");
  std::string revision;
  in >> revision;
  return revision;
}

/// Files of a snapshot whose content is there, by path in it.
std::vector<std::string> snapshot_files(const fs::path& snapshot) {
  std::vector<std::string> files;
  std::error_code error;
  for (fs::recursive_directory_iterator it(snapshot, error), end; !error && it != end; it.increment(error)) {
    if (files.size() >= kFilesMax) break;
    std::error_code ignored;
    if (fs::is_regular_file(it->path(), ignored)) files.push_back(it->path().lexically_relative(snapshot));
  }
  std::sort(files.begin(), files.end());
  return files;
}

CacheEntry entry_of(const ModelName& repo, const fs::path& snapshot, const std::vector<std::string>& files,
                    const ModelVariant& variant, bool quant_is_unique) {
  CacheEntry entry;
  entry.name = repo;
  if (repo.hub != Hub::kDefault)
    entry.name.tag = quant_is_unique && !variant.quant.empty() ? variant.quant : files[variant.files.front()];
  entry.model.name = entry.name.text();
  entry.model.path = snapshot / files[variant.files.front()];
  entry.model.quant = variant.quant;
  entry.model.parts = variant.parts;
  for (const std::size_t file : variant.files) {
    entry.links.push_back(snapshot / files[file]);
    struct stat info {};
    if (::stat(entry.links.back().c_str(), &info) != 0) continue;
    entry.model.bytes += info.st_size;
    entry.model.modified = std::max<std::int64_t>(entry.model.modified, info.st_mtime);
  }
  return entry;
}

void add_repo(const ModelName& repo, const fs::path& folder, std::vector<CacheEntry>& entries) {
  const std::string current = read_ref(folder);
  std::map<std::string, std::pair<bool, CacheEntry>> best;  // by name: (of the current revision, entry)
  std::error_code error;
  for (fs::directory_iterator it(folder / "snapshots", error), end; !error && it != end;
       it.increment(error)) {
    const std::vector<std::string> files = snapshot_files(it->path());
    const std::vector<ModelVariant> variants = find_variants(files);
    for (const ModelVariant& variant : variants) {
      if (!variant.complete()) continue;
      const auto same = [&](const ModelVariant& v) { return v.quant == variant.quant; };
      const bool unique = std::count_if(variants.begin(), variants.end(), same) == 1;
      CacheEntry entry = entry_of(repo, it->path(), files, variant, unique);
      const bool is_current = it->path().filename() == current;
      auto& slot = best.try_emplace(entry.model.name, false, CacheEntry{}).first->second;
      if (slot.second.links.empty() ||
          std::pair(is_current, entry.model.modified) > std::pair(slot.first, slot.second.model.modified))
        slot = {is_current, std::move(entry)};
    }
  }
  for (auto& [name, slot] : best) entries.push_back(std::move(slot.second));
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return result;
}

/// All the ways to call an entry, in small letters.
std::vector<std::string> spellings(const CacheEntry& entry) {
  const ModelName& name = entry.name;
  if (name.hub == Hub::kDefault) return {"default"};
  const std::string file = fs::path(entry.model.path).filename();
  std::vector<std::string> all;
  ModelName bare = name;
  bare.tag.clear();
  for (const std::string& repo : {bare.text(), name.owner + "/" + name.repo, name.repo}) {
    all.push_back(lower(repo));
    for (const std::string& tag : {name.tag, entry.model.quant, file})
      if (!tag.empty()) all.push_back(lower(repo + ":" + tag));
  }
  all.push_back(lower(file));
  return all;
}

}  // namespace

Result<fs::path> cache_hub() {
  for (const char* name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"})
    if (const std::string value = environment(name); !value.empty()) return fs::path(value);
  if (const std::string value = environment("HF_HOME"); !value.empty()) return fs::path(value) / "hub";
  if (const std::string value = environment("XDG_CACHE_HOME"); !value.empty())
    return fs::path(value) / "huggingface" / "hub";
  if (const std::string value = environment("HOME"); !value.empty())
    return fs::path(value) / ".cache" / "huggingface" / "hub";
  return Error{ErrorCode::kInvalid,
               "no place for models: set HF_HUB_CACHE (or HOME) to a folder you may write to"};
}

Result<std::vector<CacheEntry>> cache_entries() {
  DW_TRY(const fs::path hub, cache_hub());
  std::vector<CacheEntry> entries;
  std::error_code error;
  for (fs::directory_iterator it(hub, error), end; !error && it != end; it.increment(error)) {
    const auto name = parse_cache_folder(it->path().filename().string());
    if (name.ok()) add_repo(*name, it->path(), entries);
  }
  if (error && error != std::errc::no_such_file_or_directory)
    return Error{ErrorCode::kIo,
                 fmt::format("{}: cannot list it: {}", printable(hub.string()), error.message())};
  std::sort(entries.begin(), entries.end(),
            [](const CacheEntry& a, const CacheEntry& b) { return a.model.name < b.model.name; });
  return entries;
}

std::vector<CacheEntry> matching_entries(const std::vector<CacheEntry>& entries, std::string_view name) {
  std::string wanted = lower(name);
  // The spellings under which parse_model_name takes the hubs.
  if (const auto parsed = parse_model_name(name); parsed.ok() && wanted.find(".co") != wanted.npos)
    wanted = lower(parsed->text());
  if (const auto parsed = parse_model_name(name); parsed.ok() && parsed->hub == Hub::kModelScope)
    wanted = lower(parsed->text());
  std::vector<CacheEntry> fit;
  for (const CacheEntry& entry : entries) {
    const std::vector<std::string> all = spellings(entry);
    if (std::find(all.begin(), all.end(), wanted) != all.end()) fit.push_back(entry);
  }
  return fit;
}

Status CacheRepo::prepare() const {
  for (const fs::path& folder : {hub_ / folder_ / "blobs", hub_ / folder_ / "refs",
                                 hub_ / folder_ / "snapshots", hub_ / ".locks" / folder_}) {
    std::error_code error;
    fs::create_directories(folder, error);
    if (error) return cannot("make this folder", folder, error.message());
  }
  return Done{};
}

Status CacheRepo::publish(const std::string& revision, const std::string& file,
                          const std::string& hash) const {
  DW_CHECK(is_safe_path(file) && is_safe_path(revision) && is_safe_path(hash));
  const fs::path at = link(revision, file);
  std::error_code error;
  fs::create_directories(at.parent_path(), error);
  if (error) return cannot("make this folder", at.parent_path(), error.message());
  // Relative, so that the cache can be moved or mounted elsewhere.
  const fs::path target = blob(hash).lexically_relative(at.parent_path());
  if (fs::read_symlink(at, error) == target && !error) return Done{};
  // A name of our own first: a link cannot be replaced in one step, a rename can.
  fs::path fresh = at;
  fresh += fmt::format(".{}.new", ::getpid());
  fs::remove(fresh, error);
  fs::create_symlink(target, fresh, error);
  if (!error) fs::rename(fresh, at, error);
  if (error) return cannot("make this link", at, error.message());
  return Done{};
}

Status CacheRepo::set_ref(const std::string& ref, const std::string& revision) const {
  DW_CHECK(is_safe_path(ref));
  const fs::path at = hub_ / folder_ / "refs" / ref;
  fs::path fresh = at;
  fresh += fmt::format(".{}.new", ::getpid());
  std::error_code error;
  fs::create_directories(at.parent_path(), error);
  std::ofstream out(fresh);
  out << revision;
  out.close();
  if (!out) return cannot("write this file", fresh, "the disk is full or not writable");
  fs::rename(fresh, at, error);
  if (error) return cannot("write this file", at, error.message());
  return Done{};
}

}  // namespace deepwell
