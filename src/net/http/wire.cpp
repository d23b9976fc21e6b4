// SPDX-License-Identifier: Apache-2.0
#include "net/http/wire.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "net/http/exchange.h"

namespace deepwell::http {
namespace {

std::string date_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[40];
  const std::size_t size = std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return {text, size};
}

void add_header(std::string& out, std::string_view name, std::string_view value) {
  out += name;
  out += ": ";
  for (const char c : value) {
    if (c != '\r' && c != '\n' && c != '\0') out += c;
  }
  out += "\r\n";
}

}  // namespace

std::string head_bytes(const Response& response, Framing framing, bool keep_alive,
                       const std::vector<Header>& more) {
  std::string out = fmt::format("HTTP/1.1 {} {}\r\n", response.status, reason_phrase(response.status));
  add_header(out, "Date", date_now());
  if (response.status != 204 && response.status != 304) {
    add_header(out, "Content-Type", response.content_type);
    if (framing == Framing::kLength) add_header(out, "Content-Length", std::to_string(response.body.size()));
    if (framing == Framing::kChunked) add_header(out, "Transfer-Encoding", "chunked");
  }
  add_header(out, "Connection", keep_alive ? "keep-alive" : "close");
  for (const Header& header : response.headers) add_header(out, header.name, header.value);
  for (const Header& header : more) add_header(out, header.name, header.value);
  out += "\r\n";
  return out;
}

std::string chunk(std::string_view bytes) {
  if (bytes.empty()) return {};
  return fmt::format("{:x}\r\n{}\r\n", bytes.size(), bytes);
}

std::vector<Header> cors_headers(const std::vector<std::string>& allowed, std::string_view origin) {
  if (allowed.empty()) return {};
  if (std::find(allowed.begin(), allowed.end(), "*") != allowed.end()) {
    return {{"Access-Control-Allow-Origin", "*"},
            {"Access-Control-Expose-Headers", "X-Request-Id, Retry-After"}};
  }
  for (const std::string& one : allowed) {
    if (one == origin) {
      return {{"Access-Control-Allow-Origin", one},
              {"Access-Control-Expose-Headers", "X-Request-Id, Retry-After"},
              {"Vary", "Origin"}};
    }
  }
  return {{"Vary", "Origin"}};
}

std::string sse_event(std::string_view data) {
  std::string out;
  out.reserve(data.size() + 16);
  while (true) {
    const std::size_t end = std::min(data.find('\n'), data.size());
    out += "data: ";
    out += data.substr(0, end);
    out += '\n';
    if (end == data.size()) break;
    data.remove_prefix(end + 1);
  }
  out += '\n';
  return out;
}

std::string sse_event(std::string_view name, std::string_view data) {
  return fmt::format("event: {}\n{}", name, sse_event(data));
}

}  // namespace deepwell::http
