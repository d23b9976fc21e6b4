// SPDX-License-Identifier: Apache-2.0
#include "net/http/request_reader.h"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>

namespace deepwell::http {
namespace {
using boost::system::error_code;
using Reason = boost::beast::http::error;
}  // namespace

RequestReader::RequestReader(const ServerOptions& options) : options_(options) {
  parser_.header_limit(options_.header_bytes_max);
  parser_.body_limit(options_.body_bytes_max);
  parser_.eager(false);
}

error_code RequestReader::feed(std::string& input) {
  error_code error;
  const bool in_header = !parser_.is_header_done();
  const std::size_t used = parser_.put(boost::asio::buffer(input), error);
  input.erase(0, used);
  if (error == Reason::need_more) error = {};
  // Beast's own limit is for one call: headers that drip in line by line would pass it.
  if (in_header) header_bytes_ += used;
  const std::size_t unfinished = parser_.is_header_done() ? 0 : input.size();
  if (!error && header_bytes_ + unfinished > options_.header_bytes_max) error = Reason::header_limit;
  return error;
}

Response RequestReader::refusal(error_code error) const {
  if (error == Reason::header_limit)
    return error_response(
        options_, 431,
        "the request's headers exceed " + std::to_string(options_.header_bytes_max) + " bytes");
  if (error == Reason::body_limit)
    return error_response(options_, 413,
                          "the request's body exceeds " + std::to_string(options_.body_bytes_max) + " bytes");
  if (error == Reason::bad_version)
    return error_response(options_, 505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
  return error_response(options_, 400, "this is not a valid HTTP request: " + error.message());
}

std::optional<Response> RequestReader::refusal_of_headers() const {
  const auto& message = parser_.get();
  const auto hosts = message.count("Host");
  // RFC 9112, 3.2.
  if (hosts > 1 || (hosts == 0 && message.version() >= 11))
    return error_response(options_, 400, "an HTTP/1.1 request must have one Host header");
  const auto coding = message["Content-Encoding"];
  const std::string_view name(coding.data(), coding.size());
  if (!name.empty() && !equal_ignoring_case(name, "identity")) {
    Response response = error_response(
        options_, 415,
        "the request's body is encoded (Content-Encoding); send it as it is, without that header");
    response.headers.push_back({"Accept-Encoding", "identity"});  // RFC 9110, 15.5.16
    return response;
  }
  return std::nullopt;
}

std::uint64_t RequestReader::body_bytes() const {
  const auto length = parser_.content_length();
  return length ? *length : (parser_.chunked() ? options_.body_bytes_max : 0);
}

bool RequestReader::waits_to_continue() const {
  const auto expected = parser_.get()["Expect"];
  return equal_ignoring_case(std::string_view(expected.data(), expected.size()), "100-continue");
}

RequestReader::Whole RequestReader::take() {
  auto message = parser_.release();
  Request request;
  request.method = std::string(message.method_string());
  request.target = std::string(message.target());
  std::string_view target = request.target;
  if (const auto scheme = target.find("://"); !target.starts_with('/') && scheme != std::string_view::npos) {
    const auto path = target.find('/', scheme + 3);  // absolute form, as sent to proxies
    target = path == std::string_view::npos ? "/" : target.substr(path);
  }
  const std::size_t question = std::min(target.find('?'), target.size());
  request.path = percent_decode(target.substr(0, question));
  if (question < target.size()) request.query = std::string(target.substr(question + 1));
  for (const auto& field : message) {
    request.headers.push_back({std::string(field.name_string()), std::string(field.value())});
  }
  request.body = std::move(message.body());
  return {std::move(request), message.keep_alive(), message.version() >= 11};
}

Response error_response(const ServerOptions& options, int status, std::string message) {
  Response response;
  if (options.error_page) {
    response = options.error_page(status, std::move(message));
  } else {
    response.status = status;
    response.body = message + "\n";
  }
  if (status == 503) response.headers.push_back({"Retry-After", "1"});
  return response;
}

}  // namespace deepwell::http
