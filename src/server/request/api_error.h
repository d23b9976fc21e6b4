// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <variant>

#include "base/result.h"

namespace deepwell {

/// A refusal as OpenAI's clients know it: {"error": {"message", "type", "param", "code"}} and a status.
struct ApiError {
  int status = 400;
  std::string message;
  std::string param{};  ///< "messages[0].role"; "": null
  std::string code{};   ///< "model_not_found"; "": null
  std::string type = "invalid_request_error";
  int retry_after_seconds = 0;  ///< 0: no header
};

/// The error object as JSON text.
std::string to_json(const ApiError& error);
/// What a lower layer's failure means over HTTP.
ApiError to_api_error(const Error& error);

ApiError invalid_field(std::string param, std::string message);

/// A T or the refusal.
template <class T>
class [[nodiscard]] ApiResult {
 public:
  ApiResult(T value) : state_(std::in_place_index<0>, std::move(value)) {}         // NOLINT: meant to convert
  ApiResult(ApiError error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: meant to convert
  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& operator*() {
    DW_CHECK(ok());
    return *std::get_if<0>(&state_);
  }
  const T& operator*() const {
    DW_CHECK(ok());
    return *std::get_if<0>(&state_);
  }
  T* operator->() { return &**this; }
  const T* operator->() const { return &**this; }
  const ApiError& error() const {
    DW_CHECK(!ok());
    return *std::get_if<1>(&state_);
  }

 private:
  std::variant<T, ApiError> state_;
};

}  // namespace deepwell
