// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace deepwell {

enum class Hub { kDefault, kHuggingFace, kModelScope };

/// A model's name, taken apart. `owner` and `repo` are safe as names of folders.
struct ModelName {
  Hub hub = Hub::kHuggingFace;
  std::string owner, repo;
  std::string tag;  ///< a quantization or a file of the repository; "" leaves the choice to us

  std::string text() const;    ///< "default", "hf.co/OWNER/REPO[:TAG]", "modelscope.cn/OWNER/REPO[:TAG]"
  std::string folder() const;  ///< in the cache: "models--OWNER--REPO"
};

/// Errors: kInvalid, with an example.
Result<ModelName> parse_model_name(std::string_view text);
/// The other way: which repository a folder of the cache holds. Errors: kInvalid for what is no such folder.
Result<ModelName> parse_cache_folder(std::string_view folder);

/// May `path`, as a hub names a file, be made below a folder? No "..", nothing absolute, nothing hidden in
/// it.
bool is_safe_path(std::string_view path);

}  // namespace deepwell
