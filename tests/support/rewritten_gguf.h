// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "support/gguf_builder.h"

namespace deepwell::testing_support {

inline std::string bytes_of(const FileTensor& tensor) {
  return std::string(reinterpret_cast<const char*>(tensor.bytes.data()), tensor.bytes.size());
}

/// A golden model again; change(builder, tensor) true: it has written that tensor itself.
template <class Change>
GgufBuilder rewritten(const ModelFile& file, Change change) {
  GgufBuilder out;
  for (const auto& [key, value] : file.metadata().values)
    std::visit([&](const auto& v) { out.set(key, v); }, value);
  for (const FileTensor& tensor : file.tensors()) {
    if (tensor.name.starts_with("golden.") || change(out, tensor)) continue;
    out.tensor(tensor.name, {tensor.shape.begin(), tensor.shape.begin() + tensor.dims}, tensor.type,
               bytes_of(tensor));
  }
  return out;
}

}  // namespace deepwell::testing_support
