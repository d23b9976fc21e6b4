// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace deepwell {

struct HttpRequest {
  std::string url;
  std::string bearer;     ///< sent to the host of `url` only, never along a redirect to another
  std::int64_t from = 0;  ///< first byte wanted
  bool head = false;      ///< only the headers
  double silence_seconds = 60;
  std::size_t reply_bytes_max = 64U << 20;  ///< for get_text
};

struct HttpReply {
  long status = 0;
  std::string body;  ///< of a failure, its start; of get_text, all
  /// By lower-case name, of the first reply that had them: redirecting hubs say there what the file is.
  std::map<std::string, std::string> headers;
  std::optional<std::int64_t> range_start;  ///< of a 206
  std::optional<std::int64_t> range_total;  ///< of a 206 or a 416
  std::optional<double> retry_after_seconds;
};

/// What arrives, piece by piece; false stops. `reply` is known by then but for its body.
using HttpSink = std::function<bool(const HttpReply& reply, std::span<const std::byte> piece)>;
/// Called a few times a second, also while nothing arrives; false stops.
using HttpAlive = std::function<bool()>;

/// GET with redirects followed. HTTPS only, unless `request.url` itself is http://.
/// A reply of any status is a success here. Errors: kIo (could not connect, connection lost; worth another
/// try), kInvalid (such a URL is not allowed), kCancelled (sink or alive said stop).
Result<HttpReply> http_get(const HttpRequest& request, const HttpSink& sink, const HttpAlive& alive);
/// The same, gathering the body.
Result<HttpReply> http_get_text(const HttpRequest& request, const HttpAlive& alive);

/// A path as it must stand in a URL; '/' is kept.
std::string url_path(std::string_view path);

}  // namespace deepwell
