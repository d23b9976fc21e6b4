// SPDX-License-Identifier: Apache-2.0
// The two dialects: Hugging Face (/api/models/X/revision/main?blobs=true, /X/resolve/REV/FILE) and ModelScope
// (/api/v1/models/X/repo/files, /api/v1/models/X/repo?FilePath=). Sources: the public clients of both hubs.
#include "store/hub.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/human.h"
#include "store/environment.h"
#include "store/hash.h"

namespace deepwell {
namespace {

using Json = nlohmann::json;

std::string endpoint_or(const char* variable, std::string_view fallback) {
  std::string endpoint = environment(variable);
  if (endpoint.empty()) endpoint = fallback;
  if (endpoint.find("://") == std::string::npos) endpoint = "https://" + endpoint;
  while (endpoint.ends_with('/')) endpoint.pop_back();
  return endpoint;
}

std::string one_word_of(const std::string& path) {
  std::ifstream in(path);
  std::string word;
  in >> word;
  return word.size() < 4096 ? word : "";
}

std::string huggingface_token() {
  for (const char* name : {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"})
    if (const std::string value = environment(name); !value.empty()) return value;
  if (environment_flag("HF_HUB_DISABLE_IMPLICIT_TOKEN")) return "";
  if (const std::string path = environment("HF_TOKEN_PATH"); !path.empty()) return one_word_of(path);
  if (const std::string home = environment("HF_HOME"); !home.empty()) return one_word_of(home + "/token");
  if (const std::string cache = environment("XDG_CACHE_HOME"); !cache.empty())
    return one_word_of(cache + "/huggingface/token");
  if (const std::string home = environment("HOME"); !home.empty())
    return one_word_of(home + "/.cache/huggingface/token");
  return "";
}

std::string text_at(const Json& object, const char* key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  return object.is_object() && found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

std::int64_t size_at(const Json& object, const char* key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  if (!object.is_object() || found == object.end() || !found->is_number_integer()) return -1;
  return std::max<std::int64_t>(found->get<std::int64_t>(), -1);
}

std::string hash_or_nothing(std::string hash) {
  for (char& c : hash)
    if (c >= 'A' && c <= 'F') c = static_cast<char>(c - 'A' + 'a');
  return is_content_hash(hash) ? hash : "";
}

Error not_understood(const HubAccess& hub, std::string_view why) {
  return {ErrorCode::kCorrupt,
          fmt::format("{}: the reply about {} is not understood ({}); is {} the right address?", hub.endpoint,
                      hub.name.text(), why,
                      hub.name.hub == Hub::kModelScope ? "MODELSCOPE_ENDPOINT" : "HF_ENDPOINT")};
}

/// A hub that names files outside of the repository is broken or hostile: nothing of it is taken.
Status add_file(const HubAccess& hub, HubFile file, HubListing& listing) {
  if (!is_safe_path(file.path))
    return Error{ErrorCode::kCorrupt,
                 fmt::format("{}: {} has a file named '{}', which is not safe to store; the whole "
                             "repository is refused",
                             hub.endpoint, hub.name.text(), printable(file.path, 200))};
  listing.files.push_back(std::move(file));
  return Done{};
}

Result<HubListing> parse_huggingface(const HubAccess& hub, const Json& json) {
  HubListing listing;
  listing.ref = "main";
  listing.revision = text_at(json, "sha");
  if (!is_content_hash(listing.revision)) return not_understood(hub, "no commit id");
  const auto siblings = json.find("siblings");
  if (siblings == json.end() || !siblings->is_array()) return not_understood(hub, "no list of files");
  for (const Json& sibling : *siblings) {
    HubFile file;
    file.path = text_at(sibling, "rfilename");
    file.size = size_at(sibling, "size");
    file.hash = hash_or_nothing(text_at(sibling, "blobId"));
    if (const auto lfs = sibling.is_object() ? sibling.find("lfs") : sibling.end();
        sibling.is_object() && lfs != sibling.end() && lfs->is_object())
      file.hash = hash_or_nothing(text_at(*lfs, lfs->contains("sha256") ? "sha256" : "oid"));
    DW_RETURN_IF_ERROR(add_file(hub, std::move(file), listing));
  }
  return listing;
}

Result<HubListing> parse_modelscope(const HubAccess& hub, const Json& json) {
  HubListing listing;
  listing.ref = "master";
  const auto data = json.find("Data");
  if (data == json.end() || !data->is_object()) return not_understood(hub, "no Data");
  const auto files = data->find("Files");
  if (files == data->end() || !files->is_array()) return not_understood(hub, "no list of files");
  for (const Json& each : *files) {
    if (text_at(each, "Type") == "tree") continue;
    HubFile file;
    file.path = text_at(each, "Path");
    file.size = size_at(each, "Size");
    file.hash = hash_or_nothing(text_at(each, "Sha256"));
    DW_RETURN_IF_ERROR(add_file(hub, std::move(file), listing));
  }
  // There is no commit id for the whole: the content names the snapshot.
  ContentHasher hasher(std::string(64, '0'), 0);
  for (const HubFile& file : listing.files) hasher.add(as_raw_bytes(file.path + '\n' + file.hash + '\n'));
  listing.revision = hasher.finish().substr(0, 40);
  return listing;
}

}  // namespace

HubAccess HubAccess::from_environment(const ModelName& name) {
  HubAccess hub;
  hub.name = name;
  if (name.hub == Hub::kModelScope) {
    hub.endpoint = endpoint_or("MODELSCOPE_ENDPOINT", "https://modelscope.cn");
  } else {
    hub.endpoint = endpoint_or("HF_ENDPOINT", "https://huggingface.co");
    hub.bearer = huggingface_token();
  }
  return hub;
}

std::string HubAccess::file_url(const HubListing& listing, const HubFile& file) const {
  if (name.hub == Hub::kModelScope)
    return fmt::format("{}/api/v1/models/{}/{}/repo?Revision={}&FilePath={}", endpoint, name.owner, name.repo,
                       listing.ref, url_path(file.path));
  return fmt::format("{}/{}/{}/resolve/{}/{}", endpoint, name.owner, name.repo, listing.revision,
                     url_path(file.path));
}

HttpRequest HubAccess::request(std::string url) const {
  HttpRequest request;
  request.url = std::move(url);
  request.bearer = bearer;
  request.silence_seconds = silence_seconds;
  return request;
}

Result<HubListing> list_repository(const HubAccess& hub, const HttpAlive& alive) {
  const bool modelscope = hub.name.hub == Hub::kModelScope;
  const std::string repo = hub.name.owner + "/" + hub.name.repo;
  const std::string url =
      modelscope
          ? fmt::format("{}/api/v1/models/{}/repo/files?Revision=master&Recursive=true", hub.endpoint, repo)
          : fmt::format("{}/api/models/{}/revision/main?blobs=true", hub.endpoint, repo);
  DW_TRY(const HttpReply reply, http_get_text(hub.request(url), alive));
  if (reply.status < 200 || reply.status > 299) return hub_error(hub, hub.name.text(), reply);
  const Json json = Json::parse(reply.body, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return not_understood(hub, "not JSON");
  return modelscope ? parse_modelscope(hub, json) : parse_huggingface(hub, json);
}

Error hub_error(const HubAccess& hub, std::string_view what, const HttpReply& reply) {
  const bool huggingface = hub.name.hub == Hub::kHuggingFace;
  const std::string page =
      fmt::format("{}/{}{}/{}", hub.endpoint, huggingface ? "" : "models/", hub.name.owner, hub.name.repo);
  const auto said = reply.headers.find("x-error-message");
  const std::string reason =
      said == reply.headers.end() ? "" : fmt::format(" ({})", printable(said->second, 200));
  // Hugging Face answers 401 also for what does not exist, so as not to tell which private names do.
  if ((reply.status == 401 || reply.status == 403) && huggingface)
    return {
        ErrorCode::kInvalid,
        hub.bearer.empty()
            ? fmt::format(
                  "{}: access refused{}: it does not exist, or is gated or private; check the name, ask for "
                  "access at {}, and set HF_TOKEN to your token",
                  printable(what), reason, page)
            : fmt::format(
                  "{}: access refused{}: the token in HF_TOKEN does not allow it; ask for access at {}",
                  printable(what), reason, page)};
  if (reply.status == 401 || reply.status == 403)
    return {ErrorCode::kInvalid,
            fmt::format("{}: access refused; the model is private or its licence has to be "
                        "accepted first at {}",
                        printable(what), page)};
  if (reply.status == 404)
    return {ErrorCode::kNotFound,
            fmt::format("{}: not found at {}{}; check its name", printable(what), hub.endpoint, reason)};
  const bool again = reply.status >= 500 || reply.status == 429 || reply.status == 408;
  return {again ? ErrorCode::kIo : ErrorCode::kInvalid,
          fmt::format("{}: {} answered with status {}{}; try again later", printable(what), hub.endpoint,
                      reply.status, reason)};
}

}  // namespace deepwell
