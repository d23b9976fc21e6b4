// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "store/model_name.h"
#include "store/store.h"

namespace deepwell {

/// Where the store is; see StoredModel. Errors: kInvalid when not even HOME is set.
Result<std::filesystem::path> cache_hub();

/// A model in the store, with what is needed to remove it.
struct CacheEntry {
  StoredModel model;
  ModelName name;                            ///< with its tag
  std::vector<std::filesystem::path> links;  ///< in the snapshot, one a part
};
/// What list_models shows, sorted by name. Of several revisions, the one refs/main names, else the newest.
Result<std::vector<CacheEntry>> cache_entries();

/// The entries that a name, in full or shortened, fits.
std::vector<CacheEntry> matching_entries(const std::vector<CacheEntry>& entries, std::string_view name);

/// One repository in the cache, while something is put into it.
class CacheRepo {
 public:
  CacheRepo(std::filesystem::path hub, const ModelName& name)
      : hub_(std::move(hub)), folder_(name.folder()) {}

  std::filesystem::path blob(const std::string& hash) const { return hub_ / folder_ / "blobs" / hash; }
  std::filesystem::path lock(const std::string& hash) const {
    return hub_ / ".locks" / folder_ / (hash + ".lock");
  }
  std::filesystem::path link(const std::string& revision, const std::string& file) const {
    return hub_ / folder_ / "snapshots" / revision / file;
  }
  /// Makes the folders.
  Status prepare() const;
  /// Makes (or replaces, at once) the link snapshots/REVISION/FILE to a blob that is whole.
  Status publish(const std::string& revision, const std::string& file, const std::string& hash) const;
  Status set_ref(const std::string& ref, const std::string& revision) const;

 private:
  std::filesystem::path hub_;
  std::string folder_;
};

}  // namespace deepwell
