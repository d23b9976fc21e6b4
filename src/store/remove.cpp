// SPDX-License-Identifier: Apache-2.0
// remove_model: takes a model's links away, then the contents that nothing links to any more.
#include <fmt/format.h>

#include <functional>
#include <set>

#include "base/human.h"
#include "store/cache.h"
#include "store/file_lock.h"
#include "store/messages.h"
#include "store/store.h"

namespace deepwell {
namespace fs = std::filesystem;
namespace {

void each_file(const fs::path& folder, const std::function<void(const fs::directory_entry&)>& visit) {
  std::error_code error;
  std::vector<fs::directory_entry> files;  // first all, then visit: visitors remove files
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    if (it->is_symlink(ignored) || it->is_regular_file(ignored)) files.push_back(*it);
  }
  for (const fs::directory_entry& file : files) visit(file);
}

/// "a/b.gguf" of ".../snapshots/REVISION/a/b.gguf".
fs::path name_in_snapshot(const fs::path& link, const fs::path& snapshots) {
  const fs::path inside = link.lexically_relative(snapshots);
  fs::path name;
  for (auto part = std::next(inside.begin()); part != inside.end(); ++part) name /= *part;
  return name;
}

std::int64_t remove_file(const fs::path& path) {
  std::error_code error;
  const auto bytes = fs::file_size(path, error);
  const bool known = !error;
  return fs::remove(path, error) && known ? static_cast<std::int64_t>(bytes) : 0;
}

/// Removes the model's links in all revisions; returns where they led to.
Result<std::set<fs::path>> remove_links(const CacheEntry& entry, const fs::path& snapshots) {
  std::set<fs::path> names;
  for (const fs::path& link : entry.links) names.insert(name_in_snapshot(link, snapshots));
  std::set<fs::path> contents;
  std::string failure;
  each_file(snapshots, [&](const fs::directory_entry& file) {
    if (!names.contains(name_in_snapshot(file.path(), snapshots))) return;
    std::error_code error;
    const fs::path content = fs::weakly_canonical(file.path(), error);
    if (!error) contents.insert(content);
    fs::remove(file.path(), error);
    if (error)
      failure = fmt::format("{}: cannot remove it: {}", printable(file.path().string()), error.message());
    // Folders that are empty now; the first that is not stops the climb.
    for (fs::path folder = file.path().parent_path(); !error && folder != snapshots;
         folder = folder.parent_path())
      if (!fs::remove(folder, error)) break;
  });
  if (!failure.empty()) return Error{ErrorCode::kIo, failure};
  return contents;
}

/// What broken downloads left, unless somebody is at them.
std::int64_t remove_partial(const CacheRepo& repo, const fs::path& blobs) {
  std::int64_t freed = 0;
  each_file(blobs, [&](const fs::directory_entry& file) {
    if (file.path().extension() != ".incomplete") return;
    const auto lock = FileLock::take(repo.lock(file.path().stem()), [] { return false; });
    if (lock.ok() || lock.error().code != ErrorCode::kCancelled) freed += remove_file(file.path());
  });
  return freed;
}

}  // namespace

Result<RemovedModel> remove_model(const std::string& name) {
  DW_TRY(const auto entries, cache_entries());
  const auto fit = matching_entries(entries, name);
  if (fit.size() > 1) return several_fit(fit, name);
  if (fit.empty())
    return Error{ErrorCode::kNotFound,
                 fmt::format("{} is not in the store{}; `deepwell list` shows what there is",
                             printable(name, 200), near_names_hint(entries, name))};
  const CacheEntry& entry = fit.front();
  DW_TRY(const fs::path hub, cache_hub());
  const fs::path folder = hub / entry.name.folder();
  RemovedModel removed{entry.model.name, 0};
  DW_TRY(std::set<fs::path> contents, remove_links(entry, folder / "snapshots"));
  each_file(folder / "snapshots", [&](const fs::directory_entry& file) {  // other names may share a content
    std::error_code error;
    contents.erase(fs::weakly_canonical(file.path(), error));
  });
  std::error_code error;
  const fs::path blobs = fs::weakly_canonical(folder / "blobs", error);
  for (const fs::path& content : contents)
    if (content.parent_path() == blobs) removed.bytes_freed += remove_file(content);
  removed.bytes_freed += remove_partial(CacheRepo(hub, entry.name), blobs);
  // A repository of which nothing is left; contents without links belong to a pull that is under way.
  if (fs::is_empty(folder / "snapshots", error) && fs::is_empty(blobs, error)) fs::remove_all(folder, error);
  return removed;
}

}  // namespace deepwell
