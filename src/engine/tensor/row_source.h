// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "base/mapped_file.h"

namespace deepwell {

/// Makes the rows of a tensor that does not lie in a file as it is used: rows in another order, in several
/// places, or in another form. Immutable; any thread.
class RowSource {
 public:
  virtual ~RowSource() = default;
  /// Row `row`, whole blocks: where it lies, or made in `memory`, which holds one row.
  virtual const std::byte* row(std::int64_t row, std::byte* memory) const = 0;
  /// The parts of files that it reads.
  virtual std::vector<std::span<const std::byte>> parts() const = 0;
  /// Row `row` is asked for soon, and far from others: the system may start to read it.
  virtual void expect(std::int64_t /*row*/) const {}
};

/// A tensor's rows: one after another in memory or a file, or made one by one. Borrowed or shared.
class TensorRows {
 public:
  TensorRows() = default;
  TensorRows(std::span<const std::byte> bytes) : bytes_(bytes) {}                // NOLINT: converts
  TensorRows(std::shared_ptr<const RowSource> made) : made_(std::move(made)) {}  // NOLINT: converts
  const std::byte* at(std::int64_t row, std::int64_t row_bytes, std::byte* memory) const {
    return made_ == nullptr ? bytes_.data() + row * row_bytes : made_->row(row, memory);
  }
  void expect(std::int64_t row, std::int64_t row_bytes) const {
    if (made_ != nullptr)
      made_->expect(row);
    else
      will_need(
          bytes_.subspan(static_cast<std::size_t>(row * row_bytes), static_cast<std::size_t>(row_bytes)));
  }
  /// Can there be `rows` rows? What is made has as many as its tensor's shape says.
  bool holds(std::int64_t rows, std::int64_t row_bytes) const {
    return made_ != nullptr || rows * row_bytes <= static_cast<std::int64_t>(bytes_.size());
  }

 private:
  std::span<const std::byte> bytes_;
  std::shared_ptr<const RowSource> made_;
};

}  // namespace deepwell
