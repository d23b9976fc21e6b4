// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "base/file_watch.h"
#include "server/access/api_keys.h"

namespace deepwell {

/// The keys as they are now: taken over from their file when that changes. Thread-safe.
class KeyRing {
 public:
  /// `path` "": they never change. `report` gets one line when they do, or when a file cannot be used, which
  /// leaves them as they were.
  KeyRing(ApiKeys keys, std::string path, std::function<void(const std::string&)> report);
  std::shared_ptr<const ApiKeys> now();

 private:
  void reload();

  const std::string path_;
  const std::function<void(const std::string&)> report_;
  std::mutex mutex_;
  FileWatch watch_;
  std::shared_ptr<const ApiKeys> keys_;
};

}  // namespace deepwell
