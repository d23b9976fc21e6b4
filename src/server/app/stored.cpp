// SPDX-License-Identifier: Apache-2.0
#include "server/app/stored.h"

#include <fmt/format.h>

namespace deepwell {
namespace {
void reply_nothing_kept(const Call& call, const char* what = "files") {
  ApiError error;
  error.status = 501;
  error.type = "server_error";
  error.code = "no_data_dir";
  error.message =
      fmt::format("this server keeps no {}; its operator can give it a folder with --data-dir", what);
  call.reply_error(error);
}
}  // namespace

FileStore* files_of(const Call& call) {
  if (call.service.files == nullptr) reply_nothing_kept(call);
  return call.service.files.get();
}

Batches* batches_of(const Call& call) {
  if (call.service.batches == nullptr) reply_nothing_kept(call);
  return call.service.batches.get();
}

Background* background_of(const Call& call) {
  if (call.service.background == nullptr) reply_nothing_kept(call);
  return call.service.background.get();
}

ChatStore* chats_of(const Call& call) {
  if (call.service.chats == nullptr) reply_nothing_kept(call, "chats");
  return call.service.chats.get();
}

void reply_no_response(const Call& call, const std::string& id) {
  ApiError error;
  error.status = 404;
  error.code = "response_not_found";
  error.message = fmt::format("there is no response '{}' here", id.substr(0, 100));
  call.reply_error(error);
}

void reply_stored(const Call& call, const Result<nlohmann::json>& object) {
  if (!object) return call.reply_error(to_api_error(object.error()));
  call.reply_json(dump(*object));
}

void reply_list(const Call& call, const std::vector<nlohmann::json>& objects) {
  const nlohmann::json nothing = nullptr;
  call.reply_json(dump({{"object", "list"},
                        {"data", objects},
                        {"first_id", objects.empty() ? nothing : objects.front()["id"]},
                        {"last_id", objects.empty() ? nothing : objects.back()["id"]},
                        {"has_more", false}}));
}

}  // namespace deepwell
