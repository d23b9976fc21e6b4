// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "engine/formats/model_file.h"

namespace deepwell::testing_support {

/// Of what a script captured: "models/v4_91.gguf" in tests/golden/engine.
inline std::string golden_path(const std::string& name) {
  return std::string(DEEPWELL_SOURCE_DIR) + "/tests/golden/engine/" + name;
}

/// Every GGUF of a folder there, in order. None without the folder: tests are named before they can fail.
inline std::vector<std::string> golden_files(const std::string& folder) {
  std::vector<std::string> paths;
  std::error_code missing;
  for (const auto& entry : std::filesystem::directory_iterator(golden_path(folder), missing))
    if (entry.path().extension() == ".gguf") paths.push_back(entry.path().string());
  std::sort(paths.begin(), paths.end());
  return paths;
}

/// The name of a test over such a file.
inline constexpr auto golden_name = [](const auto& test) {
  return std::filesystem::path(test.param).stem().string();
};

/// What its reference read.
inline std::vector<std::int32_t> golden_tokens(const ModelFile& file) {
  std::vector<std::int32_t> tokens;
  for (const std::int64_t token : file.metadata().integers("golden.tokens"))
    tokens.push_back(static_cast<std::int32_t>(token));
  return tokens;
}

/// What its reference computed, row by row: "golden.logits"; nothing where the file has none.
inline std::vector<float> golden_floats(const ModelFile& file, std::string_view name) {
  const FileTensor* const tensor = file.find(name);
  if (tensor == nullptr) return {};
  std::vector<float> values(tensor->bytes.size() / sizeof(float));
  std::memcpy(values.data(), tensor->bytes.data(), values.size() * sizeof(float));
  return values;
}

}  // namespace deepwell::testing_support
