// SPDX-License-Identifier: Apache-2.0
// GET /: the chat page, from inside the binary. It loads nothing but its own files.
#include "server/app/page.h"

namespace deepwell {
namespace {
void page(const Call& call) { reply_page_file(call, "/"); }
}  // namespace

Endpoint endpoint_api_page() { return {"GET", "/", Access::kPublic, page}; }

}  // namespace deepwell
