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

void Call::reply_error(const ApiError& error) const { exchange->reply(error_response(error, error_body)); }

}  // namespace deepwell
