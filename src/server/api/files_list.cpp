// SPDX-License-Identifier: Apache-2.0
// GET /v1/files. Source: OpenAI API reference, "List files".
#include "server/app/stored.h"

namespace deepwell {
namespace {

void files_list(const Call& call) {
  FileStore* files = files_of(call);
  if (files == nullptr) return;
  reply_list(call, files->list(call.user));
}

}  // namespace

Endpoint endpoint_api_files_list() { return {"GET", "/v1/files", Access::kUser, files_list}; }

}  // namespace deepwell
