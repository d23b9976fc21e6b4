// SPDX-License-Identifier: Apache-2.0
#include "server/app/kept_files.h"

#include <fmt/format.h>

#include <cerrno>
#include <filesystem>

namespace deepwell {
namespace fs = std::filesystem;

std::string advice_for(const std::error_code& error) {
  const bool full =
      error == std::errc::no_space_on_device || error == std::errc::file_too_large || error.value() == EDQUOT;
  return full ? "make room on that disk, or give --data-dir a folder on another"
              : "give --data-dir a folder that can be written";
}

Status make_kept_folder(const std::string& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (!error) return Done{};
  return Error{ErrorCode::kIo,
               fmt::format("cannot make the folder {}: {}; {}", folder, error.message(), advice_for(error))};
}

void set_aside(const std::string& path, const char* what, const Report& report) {
  const std::string aside = path + ".damaged";
  std::error_code error;
  fs::rename(path, aside, error);
  if (!report) return;
  report(error ? fmt::format("{} in {} is damaged, and left out; it could not be set aside: {}", what, path,
                             error.message())
               : fmt::format("{} in {} was damaged, and is left out; what there was of it is in {}", what,
                             path, aside));
}

}  // namespace deepwell
