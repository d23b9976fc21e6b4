// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "net/http/message.h"

namespace deepwell::http {

/// How the body follows the head.
enum class Framing { kLength, kChunked, kUntilClose };

/// Status line and headers, ending with the empty line. Line breaks inside header values are dropped.
std::string head_bytes(const Response& response, Framing framing, bool keep_alive,
                       const std::vector<Header>& more);
/// `bytes` as one chunk of a chunked body; "" for no bytes (which would end the body).
std::string chunk(std::string_view bytes);
/// The headers that let a page of `origin` read the answer; none when it may not.
std::vector<Header> cors_headers(const std::vector<std::string>& allowed, std::string_view origin);

}  // namespace deepwell::http
