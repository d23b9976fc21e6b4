// SPDX-License-Identifier: Apache-2.0
#include "server/access/key_ring.h"

#include <utility>
#include <vector>

namespace deepwell {

KeyRing::KeyRing(ApiKeys keys, std::string path, std::function<void(const std::string&)> report)
    : path_(std::move(path)),
      report_(std::move(report)),
      watch_(path_.empty() ? std::vector<std::string>() : std::vector{path_}),
      keys_(std::make_shared<const ApiKeys>(std::move(keys))) {
  if (path_.empty()) return;
  // They may have changed between the caller's reading and the watch.
  if (Result<ApiKeys> fresh = ApiKeys::load(path_))
    keys_ = std::make_shared<const ApiKeys>(std::move(*fresh));
}

std::shared_ptr<const ApiKeys> KeyRing::now() {
  const std::lock_guard lock(mutex_);
  if (!path_.empty() && watch_.changed()) reload();
  return keys_;
}

void KeyRing::reload() {
  Result<ApiKeys> keys = ApiKeys::load(path_);
  if (keys) keys_ = std::make_shared<const ApiKeys>(std::move(*keys));
  if (report_)
    report_(keys ? "the API keys were read again"
                 : "the API keys stay as they were: " + keys.error().message);
}

}  // namespace deepwell
