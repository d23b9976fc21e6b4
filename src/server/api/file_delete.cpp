// SPDX-License-Identifier: Apache-2.0
// DELETE /v1/files/{id}. Source: OpenAI API reference, "Delete file".
#include "server/app/stored.h"

namespace deepwell {
namespace {

void file_delete(const Call& call) {
  FileStore* files = files_of(call);
  if (files == nullptr) return;
  const std::string& id = call.request().captured.at("id");
  if (const Status removed = files->remove(call.user, id); !removed)
    return call.reply_error(to_api_error(removed.error()));
  call.reply_json(dump({{"id", id}, {"object", "file"}, {"deleted", true}}));
}

}  // namespace

Endpoint endpoint_api_file_delete() { return {"DELETE", "/v1/files/{id}", Access::kUser, file_delete}; }

}  // namespace deepwell
