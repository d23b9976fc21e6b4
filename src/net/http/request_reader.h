// SPDX-License-Identifier: Apache-2.0
// Private to net/http: it drags in Beast.
#pragma once

#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <optional>
#include <string>

#include "net/http/message.h"
#include "net/http/server.h"

namespace deepwell::http {

/// One request out of the bytes that arrive, within the server's limits. The headers come first: the body is
/// read only after read_body().
class RequestReader {
 public:
  explicit RequestReader(const ServerOptions& options);

  /// Takes what it can use off the front of `input`. Wanting more is no error.
  boost::system::error_code feed(std::string& input);
  /// What the client is told of an error of feed().
  Response refusal(boost::system::error_code error) const;

  bool has_headers() const { return parser_.is_header_done(); }
  bool is_whole() const { return parser_.is_done(); }
  /// What is wrong with a request whose headers are there, whatever its body will be.
  std::optional<Response> refusal_of_headers() const;
  /// Of the body: what is announced, or the most that may come.
  std::uint64_t body_bytes() const;
  /// The client waits for a "100 Continue" before it sends the body.
  bool waits_to_continue() const;
  void read_body() { parser_.eager(true); }

  struct Whole {
    Request request;  ///< without `remote`
    bool keep_alive, chunks_allowed;
  };
  Whole take();

 private:
  const ServerOptions& options_;
  boost::beast::http::request_parser<boost::beast::http::string_body> parser_;
  std::size_t header_bytes_ = 0;
};

/// The server's own page for a status, or a line of text.
Response error_response(const ServerOptions& options, int status, std::string message);

}  // namespace deepwell::http
