// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "engine/tensor/row_source.h"
#include "engine/tensor/type.h"

namespace deepwell {

/// One metadata value. Integers of any width are int64 (u64 above its range is refused), floats double.
using MetadataValue = std::variant<std::int64_t, double, bool, std::string, std::vector<std::int64_t>,
                                   std::vector<double>, std::vector<std::string>>;

/// The key-value part of a model file. The typed getters accept what third-party writers use: any integer
/// width for an integer, an integer or bool for a flag, an integer for a number, a scalar for an array of
/// one.
class Metadata {
 public:
  std::map<std::string, MetadataValue, std::less<>> values;

  bool has(std::string_view key) const { return values.find(key) != values.end(); }
  std::optional<std::int64_t> integer(std::string_view key) const;
  std::optional<double> number(std::string_view key) const;
  std::optional<bool> flag(std::string_view key) const;
  std::optional<std::string> text(std::string_view key) const;
  std::vector<std::int64_t> integers(std::string_view key) const;  ///< empty when absent or not numeric
  std::vector<double> numbers(std::string_view key) const;
  const std::vector<std::string>* texts(std::string_view key) const;  ///< nullptr when absent or not texts
};

/// A tensor of the file: borrowed bytes as they lie there, or rows made from what lies there. Valid as long
/// as the ModelFile.
struct FileTensor {
  std::string name;
  TypeId type = TypeId::kF32;
  int dims = 1;
  std::array<std::int64_t, 4> shape{1, 1, 1, 1};    ///< GGUF order: shape[0] is the row length, fastest
  std::span<const std::byte> bytes;                 ///< whole rows of whole blocks; no alignment promised
  std::shared_ptr<const RowSource> made = nullptr;  ///< set: rows are made, and `bytes` is empty

  std::int64_t row_length() const { return shape[0]; }
  std::int64_t rows() const { return shape[1] * shape[2] * shape[3]; }
  std::int64_t row_bytes() const;
  std::int64_t data_bytes() const { return rows() * row_bytes(); }
  TensorRows data() const { return made == nullptr ? TensorRows(bytes) : TensorRows(made); }
  std::vector<std::span<const std::byte>> parts() const;  ///< of files
};

/// A model on disk, memory-mapped and validated: every offset, length, count and type was checked before
/// this object existed. Immutable; safe to share between threads.
class ModelFile {
 public:
  virtual ~ModelFile() = default;
  virtual const std::string& path() const = 0;  ///< of the first part
  virtual const Metadata& metadata() const = 0;
  virtual std::span<const FileTensor> tensors() const = 0;  ///< in file order
  virtual const FileTensor* find(std::string_view name) const = 0;
  virtual std::int64_t file_bytes() const = 0;  ///< of all parts
  /// Tells the kernel that these bytes were copied and may leave memory.
  virtual void release(std::span<const std::byte> bytes) const = 0;
  std::string architecture() const;  ///< "general.architecture", or ""
};

/// Opens a GGUF file (v2 or v3; the first part of a split set finds the others).
/// Errors name the path, what is wrong where, and what to do.
Result<std::unique_ptr<ModelFile>> open_gguf(const std::string& path);

}  // namespace deepwell
