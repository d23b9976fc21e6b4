// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/result.h"
#include "engine/formats/model_file.h"

namespace deepwell {

/// Where a file stands in a split set PREFIX-00001-of-0000N.gguf. A whole model is part 0 of 1.
struct SplitPlace {
  std::string prefix;  ///< with its folder; unused when count is 1
  int number = 0;      ///< from 0, as split.no; file names count from 1
  int count = 1;
};

/// From the file's own keys (split.no, split.count), held against its name.
/// Errors: kCorrupt when they contradict each other.
Result<SplitPlace> split_place(const Metadata& metadata, const std::string& path);
std::string split_path(const SplitPlace& place, int number);
/// Does a part found by its name belong to the set?
Status check_split_part(const Metadata& metadata, const SplitPlace& place, int number);
Error missing_split_part(const SplitPlace& place, int number);

}  // namespace deepwell
