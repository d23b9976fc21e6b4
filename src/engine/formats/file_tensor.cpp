// SPDX-License-Identifier: Apache-2.0
#include "engine/formats/model_file.h"

namespace deepwell {

std::int64_t FileTensor::row_bytes() const {
  const TypeInfo& info = type_info(type);
  return row_length() / info.block_elements * info.block_bytes;
}

std::vector<std::span<const std::byte>> FileTensor::parts() const {
  return made == nullptr ? std::vector{bytes} : made->parts();
}

}  // namespace deepwell
