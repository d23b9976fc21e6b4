// SPDX-License-Identifier: Apache-2.0
#include "server/app/endpoint.h"

namespace deepwell {

http::Response error_response(const ApiError& error, Call::ErrorBody body) {
  http::Response response;
  response.status = error.status;
  response.content_type = "application/json";
  response.body = body(error);
  if (error.retry_after_seconds > 0) {
    response.headers.push_back({"Retry-After", std::to_string(error.retry_after_seconds)});
  }
  if (error.status == 401) response.headers.push_back({"WWW-Authenticate", "Bearer"});
  return response;
}

void Call::reply_json(std::string body, int status) const {
  http::Response response;
  response.status = status;
  response.content_type = "application/json";
  response.body = std::move(body);
  exchange->reply(std::move(response));
}

void Call::reply_error(const ApiError& error) const {
  if (!exchange->streaming()) return exchange->reply(error_response(error, error_body));
  exchange->send(http::sse_event("error", (error_event != nullptr ? error_event : error_body)(error)));
  exchange->end();
}

http::Response stream_head(std::string_view content_type) {
  http::Response head;
  head.content_type = content_type;
  head.headers.push_back({"Cache-Control", "no-cache"});
  head.headers.push_back({"X-Accel-Buffering", "no"});  // nginx would hold the pieces back
  return head;
}

}  // namespace deepwell
