// SPDX-License-Identifier: Apache-2.0
#include "server/request/api_error.h"

#include <nlohmann/json.hpp>

namespace deepwell {
namespace {
nlohmann::json or_null(const std::string& text) {
  return text.empty() ? nlohmann::json(nullptr) : nlohmann::json(text);
}
}  // namespace

std::string to_json(const ApiError& error) {
  const nlohmann::json object = {{"error",
                                  {{"message", error.message},
                                   {"type", error.type},
                                   {"param", or_null(error.param)},
                                   {"code", or_null(error.code)}}}};
  return object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

ApiError to_api_error(const Error& error) {
  ApiError out;
  out.message = error.message;
  switch (error.code) {
    case ErrorCode::kInvalid:
    case ErrorCode::kUnsupported:
      return out;
    case ErrorCode::kNotFound:
      out.status = 404;
      out.code = "not_found";
      return out;
    case ErrorCode::kOverloaded:
      out.status = 429;
      out.code = "queue_full";
      out.type = "rate_limit_error";
      out.retry_after_seconds = 1;
      return out;
    case ErrorCode::kCancelled:
      out.status = 503;
      out.code = "cancelled";
      out.type = "server_error";
      return out;
    case ErrorCode::kCorrupt:
    case ErrorCode::kIo:
      break;
  }
  out.status = 500;
  out.type = "server_error";
  return out;
}

ApiError invalid_field(std::string param, std::string message) {
  ApiError error;
  error.message = std::move(message);
  error.param = std::move(param);
  return error;
}

}  // namespace deepwell
