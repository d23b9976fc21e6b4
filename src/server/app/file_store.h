// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/result.h"

namespace deepwell {

/// Files that clients sent or batches wrote, kept on disk: ID holds the bytes, ID.json what is known of it.
/// One user never sees another's. Thread-safe.
class FileStore {
 public:
  /// Makes the folder if need be. Errors: kIo.
  static Result<std::unique_ptr<FileStore>> open(std::string folder);

  /// The file object. `filename` and `purpose` are the client's words. Errors: kIo, kInvalid (too many bytes
  /// in all).
  Result<nlohmann::json> add(const std::string& user, const std::string& filename, const std::string& purpose,
                             std::string_view bytes);
  std::vector<nlohmann::json> list(const std::string& user) const;  ///< the newest first
  Result<nlohmann::json> find(const std::string& user, const std::string& id) const;
  Result<std::string> read(const std::string& user, const std::string& id) const;
  Status remove(const std::string& user, const std::string& id);

 private:
  explicit FileStore(std::string folder) : folder_(std::move(folder)) {}
  Result<nlohmann::json> load(const std::string& id) const;

  const std::string folder_;
  mutable std::mutex mutex_;
};

/// Writes a file as a whole or not at all.
Status write_whole(const std::string& path, std::string_view bytes);
Result<std::string> read_whole(const std::string& path);

}  // namespace deepwell
