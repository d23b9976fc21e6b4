// SPDX-License-Identifier: Apache-2.0
#include "store/http.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <memory>

#include "base/bytes.h"
#include "base/human.h"
#include "base/version.h"
#include "store/environment.h"

namespace deepwell {
namespace {

constexpr std::size_t kFailureBytes = 4096;  // of an error page that are kept

struct Transfer {
  CURL* curl = nullptr;
  const HttpSink* sink = nullptr;
  const HttpAlive* alive = nullptr;
  HttpReply reply;
  bool stopped = false;
};

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return result;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

// "bytes 100-199/200", "bytes */200"
void read_content_range(std::string_view value, HttpReply& reply) {
  if (!value.starts_with("bytes ")) return;
  value.remove_prefix(6);
  if (const std::size_t slash = value.find('/'); slash != value.npos)
    reply.range_total = whole_number(value.substr(slash + 1));
  reply.range_start = whole_number(value.substr(0, value.find('-')));
}

std::size_t on_header(char* data, std::size_t, std::size_t size, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::string_view line(data, size);
  HttpReply& reply = transfer.reply;
  if (line.starts_with("HTTP/")) {  // a new reply: after a redirect, or 100 Continue
    reply.range_start = reply.range_total = std::nullopt;
    return size;
  }
  const std::size_t colon = line.find(':');
  if (colon == line.npos) return size;
  const std::string name = lower(trimmed(line.substr(0, colon)));
  const std::string_view value = trimmed(line.substr(colon + 1));
  if (name == "content-range") read_content_range(value, reply);
  if (name == "retry-after")
    if (const auto seconds = whole_number(value)) reply.retry_after_seconds = static_cast<double>(*seconds);
  if (reply.headers.size() < 200) reply.headers.emplace(name, value);
  return size;
}

std::size_t on_body(char* data, std::size_t, std::size_t size, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  curl_easy_getinfo(transfer.curl, CURLINFO_RESPONSE_CODE, &transfer.reply.status);
  if (transfer.reply.status < 200 || transfer.reply.status > 299) {
    std::string& body = transfer.reply.body;
    body.append(data, std::min(size, kFailureBytes - std::min(kFailureBytes, body.size())));
    return size;
  }
  if ((*transfer.sink)(transfer.reply, as_raw_bytes({data, size}))) return size;
  transfer.stopped = true;
  return size == 0 ? 1 : 0;  // anything but `size` ends the transfer
}

int on_alive(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  auto& transfer = *static_cast<Transfer*>(user);
  if (!transfer.alive->operator bool() || (*transfer.alive)()) return 0;
  transfer.stopped = true;
  return 1;
}

// curl_global_init is not safe against itself; a static is made once.
bool curl_is_ready() {
  static const bool ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  return ready;
}

Error failure(const HttpRequest& request, const Transfer& transfer, CURLcode code, const char* details) {
  if (transfer.stopped) return {ErrorCode::kCancelled, "stopped"};
  const std::string why = printable(details[0] != '\0' ? details : curl_easy_strerror(code), 200);
  if (code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT)
    return {ErrorCode::kInvalid,
            fmt::format("{}: only https addresses are fetched ({})", printable(request.url, 200), why)};
  if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE)
    return {ErrorCode::kInvalid,
            fmt::format("{}: its certificate cannot be trusted ({}); if your network inspects "
                        "traffic, set SSL_CERT_FILE to its certificate",
                        printable(request.url, 200), why)};
  return {ErrorCode::kIo, fmt::format("{}: {}", printable(request.url, 200), why)};
}

}  // namespace

Result<HttpReply> http_get(const HttpRequest& request, const HttpSink& sink, const HttpAlive& alive) {
  const std::unique_ptr<CURL, void (*)(CURL*)> curl(curl_is_ready() ? curl_easy_init() : nullptr,
                                                    curl_easy_cleanup);
  if (!curl) return Error{ErrorCode::kIo, "libcurl cannot be started; is it installed whole?"};
  Transfer transfer;
  transfer.curl = curl.get();
  transfer.sink = &sink;
  transfer.alive = &alive;
  char details[CURL_ERROR_SIZE] = "";
  const char* protocols = request.url.starts_with("http://") ? "http,https" : "https";
  const std::string agent = fmt::format("deepwell/{}", version());
  const std::string range = fmt::format("{}-", request.from);
  CURL* c = curl.get();
  curl_easy_setopt(c, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, protocols);
  curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, protocols);
  curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(c, CURLOPT_MAXREDIRS, 10L);
  curl_easy_setopt(c, CURLOPT_USERAGENT, agent.c_str());
  curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);  // this is a library: no signal tricks
  curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, 30L);
  curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, std::max(1L, static_cast<long>(request.silence_seconds)));
  curl_easy_setopt(c, CURLOPT_ERRORBUFFER, details);
  curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(c, CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(c, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_alive);
  curl_easy_setopt(c, CURLOPT_XFERINFODATA, &transfer);
  // The curl program honours it; the library has to be told.
  if (const std::string certificates = environment("SSL_CERT_FILE"); !certificates.empty())
    curl_easy_setopt(c, CURLOPT_CAINFO, certificates.c_str());
  if (request.head) curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
  if (request.from > 0) curl_easy_setopt(c, CURLOPT_RANGE, range.c_str());
  if (!request.bearer.empty()) {
    curl_easy_setopt(c, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
    curl_easy_setopt(c, CURLOPT_XOAUTH2_BEARER, request.bearer.c_str());
  }
  const CURLcode code = curl_easy_perform(c);
  curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &transfer.reply.status);
  if (code != CURLE_OK) return failure(request, transfer, code, details);
  return std::move(transfer.reply);
}

Result<HttpReply> http_get_text(const HttpRequest& request, const HttpAlive& alive) {
  std::string body;
  bool too_long = false;
  const HttpSink gather = [&](const HttpReply&, std::span<const std::byte> piece) {
    too_long = body.size() + piece.size() > request.reply_bytes_max;
    if (!too_long) body += as_text(piece);
    return !too_long;
  };
  auto reply = http_get(request, gather, alive);
  if (too_long)
    return Error{
        ErrorCode::kCorrupt,
        fmt::format("{}: the reply is longer than {}; is that address right?", printable(request.url, 200),
                    human_bytes(static_cast<std::int64_t>(request.reply_bytes_max)))};
  if (reply.ok() && reply->status >= 200 && reply->status <= 299) reply->body = std::move(body);
  return reply;
}

std::string url_path(std::string_view path) {
  std::string out;
  for (const char c : path) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.' || c == '~' || c == '/';
    if (plain)
      out.push_back(c);
    else
      fmt::format_to(std::back_inserter(out), "%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

}  // namespace deepwell
