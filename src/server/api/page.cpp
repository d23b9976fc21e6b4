// SPDX-License-Identifier: Apache-2.0
// GET /: the chat page, from inside the binary. It loads nothing else.
#include "server/web/page.h"

#include "server/app/endpoint.h"

namespace deepwell {
namespace {

void page(const Call& call) {
  http::Response response;
  response.content_type = "text/html; charset=utf-8";
  response.headers.push_back({"Cache-Control", "no-cache"});
  response.headers.push_back({"X-Content-Type-Options", "nosniff"});
  response.headers.push_back({"X-Frame-Options", "DENY"});
  response.headers.push_back({"Referrer-Policy", "no-referrer"});
  response.headers.push_back({"Content-Security-Policy",
                              "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
                              "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'"});
  response.body = std::string(chat_page());
  call.exchange->reply(std::move(response));
}

}  // namespace

Endpoint endpoint_api_page() { return {"GET", "/", Access::kPublic, page}; }

}  // namespace deepwell
