// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace deepwell::http {

struct Header {
  std::string name, value;
};

/// One request, complete. `path` is percent-decoded; `query` is not.
struct Request {
  std::string method;  ///< as sent: "GET", "POST", ...
  std::string target, path, query;
  std::vector<Header> headers;
  std::string body;
  std::string remote;                           ///< address of the peer, without the port
  std::map<std::string, std::string> captured;  ///< what a route's {name} stood for

  /// The first header of that name (case does not matter), or "".
  std::string_view header(std::string_view name) const;
};

struct Response {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::vector<Header> headers{};  ///< beside Content-Type, Content-Length, Date, Connection
  std::string body{};
};

/// "Not Found" for 404; "Unknown" for what has no name.
std::string_view reason_phrase(int status);
/// %41 to A; a broken escape stays as it is. '+' is kept: this is for paths.
std::string percent_decode(std::string_view text);
bool equal_ignoring_case(std::string_view a, std::string_view b);

}  // namespace deepwell::http
