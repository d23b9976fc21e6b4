// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "store/http.h"
#include "store/model_name.h"

namespace deepwell {

struct HubFile {
  std::string path;        ///< safe below a folder
  std::int64_t size = -1;  ///< -1: the hub does not say
  std::string hash;        ///< as is_content_hash, or "": the hub does not say before the download
};

/// What a repository holds at one revision.
struct HubListing {
  std::string revision;  ///< names the snapshot: safe as a folder
  std::string ref;       ///< the branch that was asked for: "main", "master"
  std::vector<HubFile> files;
};

/// Where a model's hub is and how to talk to it.
struct HubAccess {
  ModelName name;
  std::string endpoint;  ///< without a slash at the end
  std::string bearer;
  double silence_seconds = 60;

  /// From HF_ENDPOINT, HF_TOKEN (or the token file of Hugging Face's tools), MODELSCOPE_ENDPOINT.
  static HubAccess from_environment(const ModelName& name);
  std::string file_url(const HubListing& listing, const HubFile& file) const;
  HttpRequest request(std::string url) const;
};

/// Errors: kIo (worth another try), kNotFound, kInvalid (access refused: what to set), kCorrupt (not
/// understood).
Result<HubListing> list_repository(const HubAccess& hub, const HttpAlive& alive);

/// The error for a reply that is no success. 5xx, 408 and 429 are kIo: worth another try.
Error hub_error(const HubAccess& hub, std::string_view what, const HttpReply& reply);

}  // namespace deepwell
