// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>

#include "base/direct_reader.h"

namespace deepwell {

/// A ModelFile whose tensors lie on disk as they are used is one of these, too.
class PlacedFile {
 public:
  virtual ~PlacedFile() = default;
  /// Where these bytes, of one tensor, lie.
  virtual FilePlace place(std::span<const std::byte> bytes) const = 0;
};

}  // namespace deepwell
