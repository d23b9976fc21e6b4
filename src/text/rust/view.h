// SPDX-License-Identifier: Apache-2.0
// How src/text speaks to the crate; nobody else includes it.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "text/rust/deepwell_text.h"

namespace deepwell::rust {

inline dw_text_view view_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

inline std::string_view view_of(const dw_text_buffer& buffer) {
  return {reinterpret_cast<const char*>(buffer.data), buffer.size};
}

/// Owns the text of a failure that the crate may hand out.
class Failure {
 public:
  Failure() = default;
  Failure(const Failure&) = delete;
  Failure& operator=(const Failure&) = delete;
  ~Failure() { dw_text_buffer_free(text_); }
  dw_text_buffer* out() { return &text_; }
  Error error() const { return {ErrorCode::kInvalid, std::string(view_of(text_))}; }

 private:
  dw_text_buffer text_ = {nullptr, 0};
};

}  // namespace deepwell::rust
