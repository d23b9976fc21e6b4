// SPDX-License-Identifier: Apache-2.0
// GET /v1/files/{id}/content. Source: OpenAI API reference, "Retrieve file content".
#include "server/app/stored.h"

namespace deepwell {
namespace {

void file_content(const Call& call) {
  FileStore* files = files_of(call);
  if (files == nullptr) return;
  Result<std::string> bytes = files->read(call.user, call.request().captured.at("id"));
  if (!bytes) return call.reply_error(to_api_error(bytes.error()));
  http::Response response;
  response.content_type = "application/octet-stream";
  response.headers.push_back({"X-Content-Type-Options", "nosniff"});
  response.body = std::move(*bytes);
  call.exchange->reply(std::move(response));
}

}  // namespace

Endpoint endpoint_api_file_content() {
  return {"GET", "/v1/files/{id}/content", Access::kUser, file_content};
}

}  // namespace deepwell
