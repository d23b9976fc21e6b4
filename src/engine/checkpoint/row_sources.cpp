// SPDX-License-Identifier: Apache-2.0
#include "engine/checkpoint/row_sources.h"

#include <atomic>
#include <cstring>

#include "base/check.h"
#include "engine/quant/weight_format.h"

namespace deepwell::made {
namespace {

using Parts = std::vector<std::span<const std::byte>>;

class SomeRows final : public RowSource {
 public:
  SomeRows(const FileTensor& base, std::function<std::int64_t(std::int64_t)> from)
      : base_(base.data()), row_bytes_(base.row_bytes()), parts_(base.parts()), from_(std::move(from)) {}
  const std::byte* row(std::int64_t row, std::byte* memory) const override {
    return base_.at(from_(row), row_bytes_, memory);
  }
  Parts parts() const override { return parts_; }

 private:
  TensorRows base_;
  std::int64_t row_bytes_;
  Parts parts_;
  std::function<std::int64_t(std::int64_t)> from_;
};

class StackedRows final : public RowSource {
 public:
  explicit StackedRows(std::vector<FileTensor> tensors)
      : rows_(tensors.front().rows()), row_bytes_(tensors.front().row_bytes()) {
    for (const FileTensor& tensor : tensors) {
      slabs_.push_back(tensor.data());
      for (const auto part : tensor.parts()) parts_.push_back(part);
    }
  }
  const std::byte* row(std::int64_t row, std::byte* memory) const override {
    return slabs_[static_cast<std::size_t>(row / rows_)].at(row % rows_, row_bytes_, memory);
  }
  Parts parts() const override { return parts_; }

 private:
  std::int64_t rows_, row_bytes_;
  std::vector<TensorRows> slabs_;
  Parts parts_;
};

class RowPairs final : public RowSource {
 public:
  RowPairs(const FileTensor& left, const FileTensor& right)
      : left_(left.data()),
        right_(right.data()),
        left_bytes_(left.row_bytes()),
        right_bytes_(right.row_bytes()),
        parts_(left.parts()) {
    for (const auto part : right.parts()) parts_.push_back(part);
  }
  const std::byte* row(std::int64_t row, std::byte* memory) const override {
    const auto put = [row](const TensorRows& rows, std::int64_t bytes, std::byte* to) {
      const std::byte* const from = rows.at(row, bytes, to);
      if (from != to) std::memcpy(to, from, static_cast<std::size_t>(bytes));
    };
    put(left_, left_bytes_, memory);
    put(right_, right_bytes_, memory + left_bytes_);
    return memory;
  }
  Parts parts() const override { return parts_; }

 private:
  TensorRows left_, right_;
  std::int64_t left_bytes_, right_bytes_;
  Parts parts_;
};

struct Columns {
  std::int64_t stride, first, rows, k, element_bytes;
};

class ColumnRows final : public RowSource {
 public:
  ColumnRows(const FileTensor& base, const Columns& columns)
      : base_(base.bytes), row_bytes_(base.row_bytes()), columns_(columns) {}
  const std::byte* row(std::int64_t row, std::byte* memory) const override {
    const auto size = static_cast<std::size_t>(columns_.element_bytes);
    const std::int64_t slab = row / columns_.rows, column = row % columns_.rows;
    const std::byte* from = base_.data() + (slab * columns_.stride + columns_.first) * row_bytes_ +
                            column * columns_.element_bytes;
    for (std::int64_t i = 0; i < columns_.k; ++i, from += row_bytes_)
      std::memcpy(memory + i * columns_.element_bytes, from, size);
    return memory;
  }
  Parts parts() const override { return {base_}; }

 private:
  std::span<const std::byte> base_;
  std::int64_t row_bytes_;
  Columns columns_;
};

class OwnBytes final : public RowSource {
 public:
  OwnBytes(std::vector<std::byte> bytes, std::int64_t row_bytes)
      : bytes_(std::move(bytes)), row_bytes_(row_bytes) {}
  const std::byte* row(std::int64_t row, std::byte*) const override {
    return bytes_.data() + row * row_bytes_;
  }
  Parts parts() const override { return {}; }

 private:
  std::vector<std::byte> bytes_;
  std::int64_t row_bytes_;
};

class NarrowRows final : public RowSource {
 public:
  explicit NarrowRows(const FileTensor& base) : bytes_(base.bytes), length_(base.row_length()) {}
  const std::byte* row(std::int64_t row, std::byte* memory) const override {
    for (std::int64_t i = 0; i < length_; ++i) {
      std::int64_t wide;
      std::memcpy(&wide, bytes_.data() + (row * length_ + i) * 8, 8);
      // What does not fit becomes what no reader takes.
      const auto value = wide == static_cast<std::int32_t>(wide) ? static_cast<std::int32_t>(wide) : -1;
      std::memcpy(memory + i * 4, &value, 4);
    }
    return memory;
  }
  Parts parts() const override { return {bytes_}; }

 private:
  std::span<const std::byte> bytes_;
  std::int64_t length_;
};

/// Columns of blocks: a slab is made floats as a whole, and kept for the rows that the same thread asks for
/// next.
class ColumnFloats final : public RowSource {
 public:
  ColumnFloats(FileTensor base, const Columns& columns)
      : base_(std::move(base)), columns_(columns), format_(find_weight_format(base_.type)) {
    static std::atomic<std::uint64_t> last{0};
    id_ = ++last;
    DW_CHECK(format_ != nullptr);
  }
  const std::byte* row(std::int64_t row, std::byte* memory) const override {
    struct Kept {
      std::uint64_t id = 0;
      std::int64_t slab = 0;
      std::vector<float> values;  // (k, row length)
    };
    thread_local Kept kept;
    const std::int64_t slab = row / columns_.rows, width = base_.row_length();
    if (kept.id != id_ || kept.slab != slab) {
      kept.id = id_;
      kept.slab = slab;
      kept.values.resize(static_cast<std::size_t>(columns_.k * width));
      std::vector<std::byte> line(static_cast<std::size_t>(base_.row_bytes()));
      const TensorRows rows = base_.data();
      for (std::int64_t i = 0; i < columns_.k; ++i)
        format_->dequantize(
            rows.at(slab * columns_.stride + columns_.first + i, base_.row_bytes(), line.data()), width,
            kept.values.data() + i * width);
    }
    for (std::int64_t i = 0; i < columns_.k; ++i)
      std::memcpy(memory + i * 4, &kept.values[static_cast<std::size_t>(i * width + row % columns_.rows)], 4);
    return memory;
  }
  Parts parts() const override { return base_.parts(); }

 private:
  FileTensor base_;
  Columns columns_;
  const WeightFormat* format_;
  std::uint64_t id_ = 0;
};

FileTensor made_of(std::shared_ptr<const RowSource> source, TypeId type, std::int64_t k, std::int64_t rows) {
  FileTensor tensor;
  tensor.type = type;
  tensor.dims = rows == 1 ? 1 : 2;
  tensor.shape = {k, rows, 1, 1};
  tensor.made = std::move(source);
  return tensor;
}

}  // namespace

FileTensor rows_of(const FileTensor& base, std::int64_t rows,
                   std::function<std::int64_t(std::int64_t)> from) {
  return made_of(std::make_shared<SomeRows>(base, std::move(from)), base.type, base.row_length(), rows);
}

FileTensor stack(std::vector<FileTensor> parts) {
  DW_CHECK(!parts.empty());
  const FileTensor first = parts.front();
  const std::int64_t rows = first.rows() * static_cast<std::int64_t>(parts.size());
  return made_of(std::make_shared<StackedRows>(std::move(parts)), first.type, first.row_length(), rows);
}

FileTensor beside(const FileTensor& left, const FileTensor& right) {
  DW_CHECK(left.type == right.type && left.rows() == right.rows());
  return made_of(std::make_shared<RowPairs>(left, right), left.type, left.row_length() + right.row_length(),
                 left.rows());
}

FileTensor transpose(const FileTensor& base, std::int64_t slabs, std::int64_t stride, std::int64_t first,
                     std::int64_t rows, std::int64_t k) {
  DW_CHECK(rows <= base.row_length() && (slabs - 1) * stride + first + k <= base.rows());
  const TypeInfo& info = type_info(base.type);
  const Columns columns{stride, first, rows, k, info.block_bytes};
  if (base.made == nullptr && info.block_elements == 1)
    return made_of(std::make_shared<ColumnRows>(base, columns), base.type, k, slabs * rows);
  return made_of(std::make_shared<ColumnFloats>(base, columns), TypeId::kF32, k, slabs * rows);
}

FileTensor floats(const std::vector<float>& values) {
  const auto bytes = std::as_bytes(std::span(values));
  const auto size = static_cast<std::int64_t>(values.size());
  return made_of(std::make_shared<OwnBytes>(std::vector(bytes.begin(), bytes.end()), size * 4), TypeId::kF32,
                 size, 1);
}

FileTensor elements_of(const FileTensor& vector, const std::function<std::int64_t(std::int64_t)>& from) {
  DW_CHECK(vector.made == nullptr && vector.rows() == 1 && type_info(vector.type).block_elements == 1);
  const std::int64_t size = type_info(vector.type).block_bytes, count = vector.row_length();
  std::vector<std::byte> bytes(vector.bytes.size());
  for (std::int64_t i = 0; i < count; ++i)
    std::memcpy(bytes.data() + i * size, vector.bytes.data() + from(i) * size,
                static_cast<std::size_t>(size));
  return made_of(std::make_shared<OwnBytes>(std::move(bytes), count * size), vector.type, count, 1);
}

FileTensor narrow(const FileTensor& base) {
  if (base.type != TypeId::kI64 || base.made != nullptr) return base;
  return made_of(std::make_shared<NarrowRows>(base), TypeId::kI32, base.row_length(), base.rows());
}

FileTensor named(FileTensor tensor, std::string name, std::int64_t slabs) {
  const std::int64_t rows = tensor.rows();
  tensor.name = std::move(name);
  tensor.dims = slabs > 1 ? 3 : rows > 1 ? 2 : 1;
  tensor.shape = {tensor.row_length(), rows / slabs, slabs, 1};
  return tensor;
}

}  // namespace deepwell::made
