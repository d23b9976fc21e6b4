// SPDX-License-Identifier: Apache-2.0
#include "server/app/file_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "server/app/answer.h"
#include "server/app/kept_files.h"

namespace deepwell {
namespace {
using nlohmann::json;
namespace fs = std::filesystem;
constexpr std::uintmax_t kBytesMax = std::uintmax_t{4} << 30;

/// Ids are ours: nothing else becomes part of a path.
bool is_id(const std::string& id) {
  return id.starts_with("file-") && id.size() < 100 &&
         id.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos;
}
}  // namespace

Status write_whole(const std::string& path, std::string_view bytes) {
  const std::string part = path + ".part";
  {
    std::ofstream file(part, std::ios::binary | std::ios::trunc);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    file.flush();
    if (!file) return Error{ErrorCode::kIo, fmt::format("cannot write {}: {}", part, std::strerror(errno))};
  }
  std::error_code error;
  fs::rename(part, path, error);
  if (error) return Error{ErrorCode::kIo, fmt::format("cannot write {}: {}", path, error.message())};
  return Done{};
}

Result<std::string> read_whole(const std::string& path) {
  std::error_code unknown;
  if (!std::filesystem::is_regular_file(path, unknown))  // reading a folder throws
    return Error{ErrorCode::kNotFound, fmt::format("{} is no file", path)};
  std::ifstream file(path, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (!file) return Error{ErrorCode::kIo, fmt::format("cannot read {}: {}", path, std::strerror(errno))};
  return bytes;
}

Result<std::unique_ptr<FileStore>> FileStore::open(std::string folder) {
  DW_RETURN_IF_ERROR(make_kept_folder(folder));
  std::error_code error;
  fs::permissions(folder, fs::perms::owner_all, error);
  return std::unique_ptr<FileStore>(new FileStore(std::move(folder)));
}

Result<json> FileStore::add(const std::string& user, const std::string& filename, const std::string& purpose,
                            std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  std::uintmax_t held = bytes.size();
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_, error)) held += entry.file_size(error);
  if (held > kBytesMax)
    return Error{ErrorCode::kInvalid, "the files kept here would take more than 4 GiB; delete some"};
  const std::string id = "file-" + random_id();
  const json object = {{"id", id},
                       {"object", "file"},
                       {"bytes", bytes.size()},
                       {"created_at", unix_seconds_now()},
                       {"filename", filename},
                       {"purpose", purpose},
                       {"status", "processed"}};
  DW_RETURN_IF_ERROR(write_whole(folder_ + "/" + id, bytes));
  DW_RETURN_IF_ERROR(write_whole(folder_ + "/" + id + ".json", dump({{"user", user}, {"file", object}})));
  return object;
}

Result<json> FileStore::load(const std::string& id) const {
  const Error absent{ErrorCode::kNotFound, fmt::format("there is no file '{}' here", id.substr(0, 100))};
  if (!is_id(id)) return absent;
  const Result<std::string> text = read_whole(folder_ + "/" + id + ".json");
  if (!text) return absent;
  json known = json::parse(*text, nullptr, false);
  if (!known.is_object() || !known.contains("file") || !known.contains("user")) return absent;
  return known;
}

Result<json> FileStore::find(const std::string& user, const std::string& id) const {
  const std::lock_guard lock(mutex_);
  DW_TRY(const json known, load(id));
  if (known["user"] != user)
    return Error{ErrorCode::kNotFound, fmt::format("there is no file '{}' here", id.substr(0, 100))};
  return known["file"];
}

Result<std::string> FileStore::read(const std::string& user, const std::string& id) const {
  DW_TRY([[maybe_unused]] const json known, find(user, id));
  return read_whole(folder_ + "/" + id);
}

Status FileStore::remove(const std::string& user, const std::string& id) {
  DW_TRY([[maybe_unused]] const json known, find(user, id));
  const std::lock_guard lock(mutex_);
  std::error_code ignored;
  fs::remove(folder_ + "/" + id + ".json", ignored);
  fs::remove(folder_ + "/" + id, ignored);
  return Done{};
}

std::vector<json> FileStore::list(const std::string& user) const {
  const std::lock_guard lock(mutex_);
  std::vector<json> files;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    const Result<json> known = load(entry.path().filename().string());
    if (known && (*known)["user"] == user) files.push_back((*known)["file"]);
  }
  std::sort(files.begin(), files.end(), [](const json& a, const json& b) {
    return std::tie(a["created_at"], a["id"]) > std::tie(b["created_at"], b["id"]);
  });
  return files;
}

}  // namespace deepwell
