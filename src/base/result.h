// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <variant>

#include "base/check.h"

namespace deepwell {

/// What a caller can act on. The CLI turns any of them into exit code 1, the server into an HTTP status.
enum class ErrorCode { kInvalid, kNotFound, kCorrupt, kUnsupported, kOverloaded, kCancelled, kIo };

struct Error {
  ErrorCode code;
  std::string message;  ///< for a person: "w.gguf: tensor 12 ends past byte 4096; fetch it again"
};

/// A T or an Error; a dropped failure does not compile (with warnings as errors).
/// Reading value() of a failure, or error() of a success, is a bug and aborts.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: meant to convert
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: meant to convert

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & {
    DW_CHECK(ok());
    return *std::get_if<0>(&state_);
  }
  const T& value() const& {
    DW_CHECK(ok());
    return *std::get_if<0>(&state_);
  }
  T&& value() && {
    DW_CHECK(ok());
    return std::move(*std::get_if<0>(&state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const& {
    DW_CHECK(!ok());
    return *std::get_if<1>(&state_);
  }
  Error&& error() && {
    DW_CHECK(!ok());
    return std::move(*std::get_if<1>(&state_));
  }

 private:
  std::variant<T, Error> state_;
};

/// Success without a value.
struct Done {};
using Status = Result<Done>;

}  // namespace deepwell

#define DW_CONCAT_INNER(a, b) a##b
#define DW_CONCAT(a, b) DW_CONCAT_INNER(a, b)
/// DW_TRY(auto file, open(path)); passes a failure up, else declares (or assigns) the value.
#define DW_TRY(declaration, expression)                                                                 \
  auto DW_CONCAT(dw_result_, __LINE__) = (expression);                                                  \
  if (!DW_CONCAT(dw_result_, __LINE__).ok()) return std::move(DW_CONCAT(dw_result_, __LINE__)).error(); \
  declaration = std::move(DW_CONCAT(dw_result_, __LINE__)).value()
/// DW_RETURN_IF_ERROR(write(file)); passes a failure up.
#define DW_RETURN_IF_ERROR(expression)                                                       \
  do {                                                                                       \
    if (auto dw_status = (expression); !dw_status.ok()) return std::move(dw_status).error(); \
  } while (false)
