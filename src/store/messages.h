// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "store/cache.h"

namespace deepwell {

/// "; did you mean X or Y?" for names that contain `word` or differ from it in few letters, or "".
std::string near_names_hint(const std::vector<CacheEntry>& entries, const std::string& word);
Error several_fit(const std::vector<CacheEntry>& fit, const std::string& name);

}  // namespace deepwell
