// SPDX-License-Identifier: Apache-2.0
#include "server/app/page.h"

#include <fmt/format.h>

#include <algorithm>

#include "server/web/page.h"

namespace deepwell {
namespace {
// Scripts, styles and fonts of the page's own, connections to this server, and nothing else.
constexpr const char* kContentSecurityPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Whether an Accept-Encoding header lists `coding` without refusing it (q=0).
bool accepts(std::string_view header, std::string_view coding) {
  while (!header.empty()) {
    const std::size_t comma = std::min(header.find(','), header.size());
    std::string_view entry = header.substr(0, comma);
    header.remove_prefix(std::min(comma + 1, header.size()));
    entry.remove_prefix(std::min(entry.find_first_not_of(" \t"), entry.size()));
    const std::string_view name = entry.substr(0, entry.find_first_of("; \t"));
    if (!http::equal_ignoring_case(name, coding)) continue;
    const auto weight = entry.find("q=");
    return weight == std::string_view::npos ||
           entry.find_first_of("123456789", weight) != std::string_view::npos;
  }
  return false;
}
}  // namespace

void reply_page_file(const Call& call, std::string_view path) {
  const auto files = page_files();
  const auto file =
      std::find_if(files.begin(), files.end(), [path](const PageFile& one) { return one.path == path; });
  if (file == files.end()) {
    ApiError error;
    error.status = 404;
    error.code = "not_found";
    error.message = "the page has no such file; reload the page, the server may have been updated";
    return call.reply_error(error);
  }
  http::Response response;
  response.content_type = std::string(file->content_type);
  auto& headers = response.headers;
  const bool is_page = path == "/";
  headers.push_back({"Cache-Control", is_page ? "no-cache" : "public, max-age=31536000, immutable"});
  headers.push_back({"ETag", std::string(file->etag)});
  headers.push_back({"Vary", "Accept-Encoding"});
  headers.push_back({"X-Content-Type-Options", "nosniff"});
  if (is_page) {
    headers.push_back({"Content-Security-Policy", kContentSecurityPolicy});
    headers.push_back({"X-Frame-Options", "DENY"});
    headers.push_back({"Referrer-Policy", "no-referrer"});
    headers.push_back({"Cross-Origin-Opener-Policy", "same-origin"});
  }
  if (call.request().header("if-none-match").find(file->etag) != std::string_view::npos) {
    response.status = 304;
    return call.exchange->reply(std::move(response));
  }
  const std::string_view accepted = call.request().header("accept-encoding");
  std::string_view body = file->plain;
  for (const auto& [coding, bytes] : {std::pair{"br", file->brotli}, std::pair{"gzip", file->gzip}}) {
    if (bytes.empty() || !accepts(accepted, coding)) continue;
    headers.push_back({"Content-Encoding", coding});
    body = bytes;
    break;
  }
  response.body = std::string(body);
  call.exchange->reply(std::move(response));
}

}  // namespace deepwell
