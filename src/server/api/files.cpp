// SPDX-License-Identifier: Apache-2.0
// POST /v1/files. Source: OpenAI API reference, "Upload file".
#include "net/http/multipart.h"
#include "server/app/stored.h"

namespace deepwell {
namespace {

void files(const Call& call) {
  FileStore* files = files_of(call);
  if (files == nullptr) return;
  const auto form = http::parse_form(call.request().header("content-type"), call.request().body);
  if (!form)
    return call.reply_error(
        invalid_field("file", "the body must be a form (multipart/form-data) with 'file' and 'purpose'"));
  const http::FormPart* file = nullptr;
  std::string purpose;
  for (const http::FormPart& part : *form) {
    if (part.name == "file") {
      file = &part;
    } else if (part.name == "purpose") {
      purpose = std::string(part.body);
    } else {
      return call.reply_error(invalid_field(
          part.name.substr(0, 100), "a file takes 'file' and 'purpose', and is kept until it is deleted"));
    }
  }
  if (file == nullptr) return call.reply_error(invalid_field("file", "'file' is missing"));
  if (purpose != "batch")
    return call.reply_error(invalid_field("purpose", "'purpose' can only be \"batch\""));
  reply_stored(call, files->add(call.user, file->filename.substr(0, 255), purpose, file->body));
}

}  // namespace

Endpoint endpoint_api_files() { return {"POST", "/v1/files", Access::kUser, files}; }

}  // namespace deepwell
