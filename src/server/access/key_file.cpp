// SPDX-License-Identifier: Apache-2.0
#include "server/access/key_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/rand.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>

#include "base/new_file.h"

namespace deepwell {
namespace {
namespace fs = std::filesystem;

/// A file of keys while it is changed: nobody else changes it meanwhile. The lock is on its folder, because
/// the file itself is replaced.
class Edit {
 public:
  static Result<Edit> begin(const std::string& path, bool may_be_new) {
    std::error_code error;
    // Through a link to the file itself: replacing the link would part it from whoever reads the target.
    const fs::path real = fs::weakly_canonical(path, error);
    Edit edit(error ? path : real.string());
    const std::string folder = fs::path(edit.path_).parent_path().string();
    edit.folder_ = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (edit.folder_ < 0 || ::flock(edit.folder_, LOCK_EX) != 0)
      return Error{ErrorCode::kIo,
                   fmt::format("cannot open the folder of {}: {}", path, std::strerror(errno))};
    std::ifstream file(edit.path_, std::ios::binary);
    if (!file && (errno != ENOENT || !may_be_new))
      return Error{ErrorCode::kIo, fmt::format("cannot read {}: {}", path, std::strerror(errno))};
    edit.text.assign(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    if (!edit.text.empty() && !edit.text.ends_with('\n')) edit.text += '\n';
    DW_TRY(edit.keys, ApiKeys::parse(edit.text, path));
    return edit;
  }
  Edit(Edit&& other) noexcept
      : text(std::move(other.text)),
        keys(std::move(other.keys)),
        path_(std::move(other.path_)),
        folder_(std::exchange(other.folder_, -1)) {}
  Edit& operator=(Edit&&) = delete;
  ~Edit() {
    if (folder_ >= 0) ::close(folder_);
  }

  /// Writes `text`, readable by whom it was; when new, by its owner and group.
  Status save() {
    struct stat old {};
    const bool exists = ::stat(path_.c_str(), &old) == 0;
    DW_TRY(NewFile file, NewFile::create(path_, static_cast<std::int64_t>(text.size()),
                                         exists ? old.st_mode & 0777 : 0640));
    DW_RETURN_IF_ERROR(file.append(std::as_bytes(std::span(text))));
    return file.commit();
  }

  std::string text;
  ApiKeys keys;

 private:
  explicit Edit(std::string path) : path_(std::move(path)) {}
  std::string path_;
  int folder_ = -1;
};

/// 256 random bits that can be typed, pasted and selected by a double click.
Result<std::string> new_secret() {
  std::array<unsigned char, 43> random{};
  if (RAND_bytes(random.data(), static_cast<int>(random.size())) != 1)
    return Error{ErrorCode::kIo, "this machine has no random numbers to make a key of"};
  constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
  static_assert(kLetters.size() == 64);
  std::string secret = "dw-";
  for (const unsigned char byte : random) secret += kLetters[byte % kLetters.size()];
  return secret;
}

}  // namespace

Result<std::string> add_key(const std::string& path, const std::string& name, Role role,
                            const KeyLimits& limits) {
  if (!is_key_name(name))
    return Error{ErrorCode::kInvalid, "a key's name has 1 to 64 letters, digits and ._@-"};
  DW_TRY(Edit edit, Edit::begin(path, /*may_be_new=*/true));
  for (const ApiKey& key : edit.keys.all())
    if (key.name == name)
      return Error{ErrorCode::kInvalid,
                   fmt::format("{} has a key called '{}' already; choose another name or remove it first",
                               path, name)};
  DW_TRY(std::string secret, new_secret());
  edit.text += ApiKey{digest_of_key(secret), name, role, limits}.line() + "\n";
  DW_RETURN_IF_ERROR(edit.save());
  return secret;
}

Status remove_key(const std::string& path, const std::string& name) {
  DW_TRY(Edit edit, Edit::begin(path, /*may_be_new=*/false));
  std::string kept;
  bool found = false;
  for (std::string_view rest = edit.text; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n') + 1);
    rest.remove_prefix(line.size());
    if (ApiKeys::is_key_line(line)) {
      DW_TRY(const ApiKey key, ApiKeys::parse_line(line.substr(0, line.size() - 1)));
      if (key.name == name || key.id() == name) {
        found = true;
        continue;
      }
    }
    kept += line;
  }
  if (!found)
    return Error{
        ErrorCode::kNotFound,
        fmt::format("{} has no key called '{}'; 'deepwell keys list' shows what it has", path, name)};
  edit.text = std::move(kept);
  return edit.save();
}

}  // namespace deepwell
