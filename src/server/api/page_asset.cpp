// SPDX-License-Identifier: Apache-2.0
// GET /assets/{name}: what the chat page is made of. Names hold a digest of the content.
#include "server/app/page.h"

namespace deepwell {
namespace {
void page_asset(const Call& call) { reply_page_file(call, call.request().path); }
}  // namespace

Endpoint endpoint_api_page_asset() { return {"GET", "/assets/{name}", Access::kPublic, page_asset}; }

}  // namespace deepwell
