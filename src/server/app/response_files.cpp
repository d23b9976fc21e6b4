// SPDX-License-Identifier: Apache-2.0
#include "server/app/response_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <vector>

#include "server/app/file_store.h"
#include "server/app/kept_files.h"

namespace deepwell {
namespace fs = std::filesystem;

Result<std::unique_ptr<ResponseFiles>> ResponseFiles::open(std::string folder, std::int64_t bytes_max) {
  DW_RETURN_IF_ERROR(make_kept_folder(folder));
  std::error_code error;
  struct Found {
    fs::file_time_type when;
    std::string id;
    std::int64_t bytes;
  };
  std::vector<Found> found;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    std::error_code gone;
    const auto bytes = static_cast<std::int64_t>(entry.file_size(gone));
    const auto when = entry.last_write_time(gone);
    if (!gone && entry.path().extension() == ".json")
      found.push_back({when, entry.path().stem().string(), bytes});
  }
  std::sort(found.begin(), found.end(), [](const Found& a, const Found& b) { return a.when < b.when; });
  std::unique_ptr<ResponseFiles> files(new ResponseFiles(std::move(folder), bytes_max));
  for (const Found& one : found) files->note(one.id, one.bytes);
  return files;
}

Status ResponseFiles::put(const std::string& id, const std::string& text) {
  DW_RETURN_IF_ERROR(write_whole(path(id), text));
  const std::lock_guard lock(mutex_);
  note(id, static_cast<std::int64_t>(text.size()));
  return Done{};
}

void ResponseFiles::note(const std::string& id, std::int64_t bytes) {
  if (const auto old = by_id_.find(id); old != by_id_.end()) {
    bytes_ -= old->second->bytes;
    files_.erase(old->second);
  }
  by_id_[id] = files_.insert(files_.end(), {id, bytes});
  bytes_ += bytes;
  while (bytes_ > bytes_max_ && files_.size() > 1) drop(files_.begin());
}

std::optional<std::string> ResponseFiles::get(const std::string& id) const {
  if (!contains(id)) return std::nullopt;  // so an id is never a path of somebody's making
  Result<std::string> text = read_whole(path(id));
  if (!text) return std::nullopt;
  return std::move(*text);
}

bool ResponseFiles::contains(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  return by_id_.contains(id);
}

void ResponseFiles::remove(const std::string& id) {
  const std::lock_guard lock(mutex_);
  if (const auto found = by_id_.find(id); found != by_id_.end()) drop(found->second);
}

void ResponseFiles::drop(std::list<File>::iterator at) {
  std::error_code ignored;
  fs::remove(path(at->id), ignored);
  bytes_ -= at->bytes;
  by_id_.erase(at->id);
  files_.erase(at);
}

}  // namespace deepwell
