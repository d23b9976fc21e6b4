// SPDX-License-Identifier: Apache-2.0
// pull_model: from a name to a whole model in the cache.
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/human.h"
#include "store/cache.h"
#include "store/default_model.h"
#include "store/disk.h"
#include "store/download.h"
#include "store/environment.h"
#include "store/hub.h"
#include "store/quant.h"
#include "store/store.h"

namespace deepwell {
namespace {

/// The model a name already stands for here, if it is one.
std::optional<StoredModel> stored(const ModelName& name) {
  const auto entries = cache_entries();
  if (!entries.ok()) return std::nullopt;
  const auto fit = matching_entries(*entries, name.text());
  if (fit.empty()) return std::nullopt;
  return fit.front().model;
}

Result<StoredModel> stored_at(const std::filesystem::path& path) {
  DW_TRY(const auto entries, cache_entries());
  for (const CacheEntry& entry : entries)
    if (entry.model.path == path) return entry.model;
  return Error{ErrorCode::kIo, fmt::format("{}: was fetched but is not there; did another program remove it?",
                                           printable(path.string()))};
}

Result<HubListing> list_with_retries(const HubAccess& hub, PullReport& report) {
  return with_retries(
      report, [] { return 0; }, [&] { return list_repository(hub, [&] { return report.tick(); }); });
}

Result<StoredModel> pull_from_hub(const ModelName& name, PullReport& report) {
  HubAccess hub = HubAccess::from_environment(name);
  hub.silence_seconds = report.options().silence_seconds;
  if (environment_flag("HF_HUB_OFFLINE")) {
    if (auto model = stored(name)) return *model;
    return Error{ErrorCode::kNotFound,
                 fmt::format("{} is not in the store and HF_HUB_OFFLINE is set; unset it to fetch "
                             "the model",
                             name.text())};
  }
  if (!report.step("listing")) return Error{ErrorCode::kCancelled, "stopped"};
  auto listed = list_with_retries(hub, report);
  if (!listed.ok()) {
    auto model = listed.error().code == ErrorCode::kIo ? stored(name) : std::nullopt;
    if (!model) return std::move(listed).error();
    report.step("offline", fmt::format("{}; the copy in the store is used", listed.error().message));
    return *model;
  }
  HubListing& listing = *listed;
  std::vector<std::string> paths;
  for (const HubFile& file : listing.files) paths.push_back(file.path);
  ModelName bare = name;
  bare.tag.clear();
  DW_TRY(const ModelVariant variant, choose_variant(find_variants(paths), paths, name.tag, bare.text()));

  DW_TRY(const std::filesystem::path cache, cache_hub());
  const CacheRepo repo(cache, name);
  DW_RETURN_IF_ERROR(repo.prepare());
  report.now.total = 0;
  for (const std::size_t i : variant.files) {
    DW_RETURN_IF_ERROR(complete_file_facts(hub, listing, listing.files[i], report));
    report.now.total += listing.files[i].size;
  }
  // All at once: half a model is worth nothing, and the parts already here count as room that is not needed.
  std::int64_t missing = 0;
  for (const std::size_t i : variant.files) {
    std::error_code absent;
    if (!std::filesystem::exists(repo.blob(listing.files[i].hash), absent)) missing += listing.files[i].size;
    const auto partial = std::filesystem::file_size(repo.blob(listing.files[i].hash + ".incomplete"), absent);
    if (!absent) missing -= std::min(static_cast<std::int64_t>(partial), listing.files[i].size);
  }
  if (missing > 0) DW_RETURN_IF_ERROR(check_disk_space(cache, missing, report.options().free_bytes));
  for (const std::size_t i : variant.files)
    DW_RETURN_IF_ERROR(fetch_blob(hub, listing, listing.files[i], repo, report));
  for (const std::size_t i : variant.files)
    DW_RETURN_IF_ERROR(repo.publish(listing.revision, listing.files[i].path, listing.files[i].hash));
  DW_RETURN_IF_ERROR(repo.set_ref("main", listing.revision));
  return stored_at(repo.link(listing.revision, paths[variant.files.front()]));
}

}  // namespace

Result<StoredModel> pull_model(const std::string& name, const PullOptions& options) {
  DW_TRY(const ModelName parsed, parse_model_name(name));
  PullReport report(options);
  if (parsed.hub != Hub::kDefault) {
    DW_TRY(StoredModel model, pull_from_hub(parsed, report));
    report.step("done");
    return model;
  }
  DW_TRY(const std::filesystem::path cache, cache_hub());
  DW_RETURN_IF_ERROR(fetch_default_model(CacheRepo(cache, parsed), report));
  report.step("done");
  auto model = stored(parsed);
  if (!model) return Error{ErrorCode::kIo, "the default model was fetched but is not there; try again"};
  return *model;
}

}  // namespace deepwell
