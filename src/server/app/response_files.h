// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/result.h"

namespace deepwell {

/// Texts by id, each a file of its own, up to a number of bytes: the oldest go first. Thread-safe.
class ResponseFiles {
 public:
  /// Errors: kIo.
  static Result<std::unique_ptr<ResponseFiles>> open(std::string folder, std::int64_t bytes_max);

  /// Errors: kIo (nothing has changed).
  Status put(const std::string& id, const std::string& text);
  std::optional<std::string> get(const std::string& id) const;
  bool contains(const std::string& id) const;
  void remove(const std::string& id);

 private:
  struct File {
    std::string id;
    std::int64_t bytes;
  };
  ResponseFiles(std::string folder, std::int64_t bytes_max)
      : folder_(std::move(folder)), bytes_max_(bytes_max) {}
  std::string path(const std::string& id) const { return folder_ + "/" + id + ".json"; }
  void note(const std::string& id, std::int64_t bytes);
  void drop(std::list<File>::iterator at);

  const std::string folder_;
  const std::int64_t bytes_max_;
  mutable std::mutex mutex_;
  std::list<File> files_;  // the oldest first
  std::unordered_map<std::string, std::list<File>::iterator> by_id_;
  std::int64_t bytes_ = 0;
};

}  // namespace deepwell
