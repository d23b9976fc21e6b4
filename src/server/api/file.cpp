// SPDX-License-Identifier: Apache-2.0
// GET /v1/files/{id}. Source: OpenAI API reference, "Retrieve file".
#include "server/app/stored.h"

namespace deepwell {
namespace {

void file(const Call& call) {
  FileStore* files = files_of(call);
  if (files == nullptr) return;
  reply_stored(call, files->find(call.user, call.request().captured.at("id")));
}

}  // namespace

Endpoint endpoint_api_file() { return {"GET", "/v1/files/{id}", Access::kUser, file}; }

}  // namespace deepwell
