// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>

namespace deepwell {

/// A file of the chat page, from inside the binary.
struct PageFile {
  std::string_view path;  ///< "/assets/index-4f3a.js"; the page itself is "/"
  std::string_view content_type;
  std::string_view etag;  ///< with its quotes
  std::string_view plain;
  std::string_view gzip, brotli;  ///< "": no smaller than plain
};
std::span<const PageFile> page_files();

}  // namespace deepwell
