// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace deepwell::http {

/// One field of a form. `body` points into the form.
struct FormPart {
  std::string name, filename;
  std::string_view body;
};

/// The fields of a multipart/form-data body (RFC 7578), at most 32; nothing when it is not one, or broken.
std::optional<std::vector<FormPart>> parse_form(std::string_view content_type, std::string_view body);

}  // namespace deepwell::http
