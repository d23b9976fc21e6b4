// SPDX-License-Identifier: Apache-2.0
// FP8 and FP4 checkpoints.
#include <fmt/format.h>

#include <cstring>

#include "base/float8.h"
#include "base/half.h"
#include "engine/checkpoint/quantized_rows.h"
#include "engine/tensor/own_types.h"

namespace deepwell::quantized {
namespace {

using Parts = std::vector<std::span<const std::byte>>;
constexpr std::int64_t kRun = 128;  // of F8_E4M3

template <class T>
T value_at(std::span<const std::byte> bytes, std::int64_t i) {
  T value;
  std::memcpy(&value, bytes.data() + i * static_cast<std::int64_t>(sizeof(T)), sizeof(T));
  return value;
}

struct ScaleTable {
  std::span<const std::byte> bytes;  // empty: all 1
  Dtype dtype = Dtype::kF32;
  std::int64_t columns = 1, block_rows = 1, block_columns = 1;

  bool powers_of_two() const { return dtype == Dtype::kF8E8M0 || dtype == Dtype::kU8; }
  /// The bytes of a row's scales; requires powers of two.
  std::span<const std::byte> of_row(std::int64_t row) const {
    if (bytes.empty() || !powers_of_two()) return {};
    return bytes.subspan(static_cast<std::size_t>(row / block_rows * columns),
                         static_cast<std::size_t>(columns));
  }
  float at(std::int64_t row, std::int64_t column) const {
    if (bytes.empty()) return 1;
    const std::int64_t i = row / block_rows * columns + column / block_columns;
    switch (dtype) {
      case Dtype::kBF16:
        return bfloat_to_float(value_at<std::uint16_t>(bytes, i));
      case Dtype::kF16:
        return half_to_float(value_at<std::uint16_t>(bytes, i));
      case Dtype::kF8E8M0:
      case Dtype::kU8:
        return e8m0_to_float(value_at<std::uint8_t>(bytes, i));
      default:
        return value_at<float>(bytes, i);
    }
  }
};

/// Blocks, parts of rows, rows or the whole matrix under a scale each, told apart by their number.
Result<ScaleTable> table_of(const Scales& scales, std::int64_t rows, std::int64_t k) {
  ScaleTable table;
  if (scales.entry == nullptr) return table;
  table.bytes = scales.entry->bytes;
  table.dtype = scales.entry->dtype;
  switch (table.dtype) {
    case Dtype::kF32:
    case Dtype::kBF16:
    case Dtype::kF16:
    case Dtype::kF8E8M0:
    case Dtype::kU8:
      break;
    default:
      return Error{
          ErrorCode::kUnsupported,
          fmt::format("has scales of type {}, which this version does not know", dtype_name(table.dtype))};
  }
  const std::int64_t count = scales.entry->elements();
  const std::int64_t down = (rows + scales.block_rows - 1) / scales.block_rows;
  const std::int64_t across = (k + scales.block_columns - 1) / scales.block_columns;
  if (count == 1) {
    table.block_rows = rows;
    table.block_columns = k;
  } else if (scales.entry->shape.size() == 2 && scales.entry->shape[0] == down &&
             scales.entry->shape[1] == across) {
    table.block_rows = scales.block_rows;
    table.block_columns = scales.block_columns;
    table.columns = across;
  } else if (scales.entry->shape == std::vector<std::int64_t>{rows, across}) {  // each row has its own
    table.block_columns = scales.block_columns;
    table.columns = across;
  } else if (count == rows) {
    table.block_columns = k;
  } else {
    return Error{ErrorCode::kCorrupt,
                 fmt::format("is {} x {}, but its {} scales are not {} x {}; fetch the files again", rows, k,
                             count, down, across)};
  }
  return table;
}

class Fp8Rows : public RowSource {
 public:
  Fp8Rows(std::span<const std::byte> codes, const ScaleTable& scales, std::int64_t k)
      : codes_(codes), scales_(scales), k_(k) {}
  const std::byte* row(std::int64_t row, std::byte* memory) const override {
    for (std::int64_t at = 0; at < k_; at += kRun, memory += 4 + kRun) {
      const float scale = scales_.at(row, at);
      std::memcpy(memory, &scale, 4);
      std::memcpy(memory + 4, codes_.data() + row * k_ + at, kRun);
    }
    return memory - k_ / kRun * (4 + kRun);
  }
  Parts parts() const override {
    return scales_.bytes.empty() ? Parts{codes_} : Parts{codes_, scales_.bytes};
  }
  void expect(std::int64_t row) const override {
    will_need(codes_.subspan(static_cast<std::size_t>(row * k_), static_cast<std::size_t>(k_)));
    will_need(scales_.of_row(row));
  }

 protected:
  std::span<const std::byte> codes_;
  ScaleTable scales_;
  std::int64_t k_;
};

/// A code times a power of two is a bfloat16.
class Fp8Bfloats final : public Fp8Rows {
 public:
  using Fp8Rows::Fp8Rows;
  const std::byte* row(std::int64_t row, std::byte* memory) const override {
    for (std::int64_t i = 0; i < k_; ++i) {
      const float value = scales_.at(row, i) * e4m3_to_float(value_at<std::uint8_t>(codes_, row * k_ + i));
      const std::uint16_t bfloat = float_to_bfloat(value);
      std::memcpy(memory + 2 * i, &bfloat, 2);
    }
    return memory;
  }
};

class Fp8Floats final : public Fp8Rows {
 public:
  using Fp8Rows::Fp8Rows;
  const std::byte* row(std::int64_t row, std::byte* memory) const override {
    for (std::int64_t i = 0; i < k_; ++i) {
      const float value = scales_.at(row, i) * e4m3_to_float(value_at<std::uint8_t>(codes_, row * k_ + i));
      std::memcpy(memory + 4 * i, &value, 4);
    }
    return memory;
  }
};

class Fp4Rows final : public RowSource {
 public:
  Fp4Rows(std::span<const std::byte> pairs, std::span<const std::byte> scales, std::int64_t k)
      : pairs_(pairs), scales_(scales), k_(k) {}
  const std::byte* row(std::int64_t row, std::byte* memory) const override {
    const std::byte* from = pairs_.data() + row * k_ / 2;
    std::byte* to = memory;
    for (std::int64_t b = 0; b < k_ / 32; ++b, from += 16) {
      *to++ = scales_[static_cast<std::size_t>(row * k_ / 32 + b)];
      // Neighbours share a byte there; here, those 16 apart do.
      const auto code = [from](int i) { return from[i / 2] >> (i % 2 * 4) & std::byte{15}; };
      for (int i = 0; i < 16; ++i) *to++ = code(i) | code(16 + i) << 4;
    }
    return memory;
  }
  Parts parts() const override { return {pairs_, scales_}; }

 private:
  std::span<const std::byte> pairs_, scales_;
  std::int64_t k_;
};

FileTensor matrix_of(std::shared_ptr<const RowSource> rows, TypeId type, std::int64_t k, std::int64_t count) {
  FileTensor tensor;
  tensor.type = type;
  tensor.dims = 2;
  tensor.shape = {k, count, 1, 1};
  tensor.made = std::move(rows);
  return tensor;
}

Error no_matrix(const SafetensorsEntry& entry) {
  return {ErrorCode::kCorrupt,
          fmt::format("has {} dimensions, but is quantized as a matrix; fetch the file again",
                      entry.shape.size())};
}

}  // namespace

Result<FileTensor> fp8(const SafetensorsEntry& codes, const Scales& scales) {
  if (codes.shape.size() != 2 || codes.elements() == 0) return no_matrix(codes);
  const std::int64_t rows = codes.shape[0], k = codes.shape[1];
  DW_TRY(const ScaleTable table, table_of(scales, rows, k));
  const bool runs_fit = k % kRun == 0 && (table.block_columns % kRun == 0 || table.bytes.empty());
  if (runs_fit) return matrix_of(std::make_shared<Fp8Rows>(codes.bytes, table, k), kF8_E4M3, k, rows);
  if (table.powers_of_two())
    return matrix_of(std::make_shared<Fp8Bfloats>(codes.bytes, table, k), TypeId::kBF16, k, rows);
  return matrix_of(std::make_shared<Fp8Floats>(codes.bytes, table, k), TypeId::kF32, k, rows);
}

Result<FileTensor> fp4(const SafetensorsEntry& pairs, const SafetensorsEntry& scales) {
  if (pairs.shape.size() != 2 || pairs.elements() == 0) return no_matrix(pairs);
  const std::int64_t rows = pairs.shape[0], k = pairs.shape[1] * 2;
  const bool bytes = scales.dtype == Dtype::kF8E8M0 || scales.dtype == Dtype::kU8;
  if (!bytes || k % 32 != 0 || scales.shape != std::vector<std::int64_t>{rows, k / 32})
    return Error{ErrorCode::kCorrupt,
                 fmt::format("is {} x {} of FP4, but its scales are {} of {}; fetch the files again", rows, k,
                             scales.elements(), dtype_name(scales.dtype))};
  return matrix_of(std::make_shared<Fp4Rows>(pairs.bytes, scales.bytes, k), TypeId::kMXFP4, k, rows);
}

}  // namespace deepwell::quantized
