// SPDX-License-Identifier: Apache-2.0
// GPTQ and AWQ checkpoints of 4 bits.
#include <fmt/format.h>

#include <cstring>

#include "base/half.h"
#include "engine/checkpoint/quantized_rows.h"
#include "engine/tensor/own_types.h"

namespace deepwell::quantized {
namespace {

using Parts = std::vector<std::span<const std::byte>>;

template <class T>
T value_at(std::span<const std::byte> bytes, std::int64_t i) {
  T value;
  std::memcpy(&value, bytes.data() + i * static_cast<std::int64_t>(sizeof(T)), sizeof(T));
  return value;
}

/// The numbers of a matrix, whichever way they lie.
class Steps {
 public:
  Steps(const Int4& from, std::int64_t rows, std::int64_t k)
      : kind_(from.kind),
        rows_(rows),
        k_(k),
        group_size_(from.group_size),
        steps_(from.steps->bytes),
        zeros_(from.zeros->bytes),
        scales_(from.scales->bytes) {}

  std::int64_t rows() const { return rows_; }
  std::int64_t k() const { return k_; }
  std::int64_t group_size() const { return group_size_; }
  int step(std::int64_t row, std::int64_t i) const {
    if (kind_ == Int4::Kind::kAwq) return nibble(steps_, i * (rows_ / 8) + row / 8, awq_place(row));
    return nibble(steps_, i / 8 * rows_ + row, static_cast<int>(i % 8));
  }
  int zero(std::int64_t row, std::int64_t group) const {
    const std::int64_t word = group * (rows_ / 8) + row / 8;
    if (kind_ == Int4::Kind::kAwq) return nibble(zeros_, word, awq_place(row));
    const int stored = nibble(zeros_, word, static_cast<int>(row % 8));
    return kind_ == Int4::Kind::kGptq ? (stored + 1) & 15 : stored;
  }
  std::uint16_t scale(std::int64_t row, std::int64_t group) const {
    return value_at<std::uint16_t>(scales_, group * rows_ + row);
  }
  Parts parts() const { return {steps_, zeros_, scales_}; }

 private:
  static int awq_place(std::int64_t row) {
    const auto in_word = static_cast<int>(row % 8);
    return in_word % 2 * 4 + in_word / 2;
  }
  static int nibble(std::span<const std::byte> words, std::int64_t word, int place) {
    return static_cast<int>(value_at<std::uint32_t>(words, word) >> (4 * place) & 15U);
  }
  Int4::Kind kind_;
  std::int64_t rows_, k_, group_size_;
  std::span<const std::byte> steps_, zeros_, scales_;
};

/// Blocks of 32: Q4_0 (half scale, 16 bytes), or with a zero point in between.
class BlockRows final : public RowSource {
 public:
  BlockRows(const Steps& steps, bool with_zero) : steps_(steps), with_zero_(with_zero) {}
  const std::byte* row(std::int64_t row, std::byte* memory) const override {
    std::byte* to = memory;
    for (std::int64_t at = 0; at < steps_.k(); at += 32) {
      const std::int64_t group = at / steps_.group_size();
      const std::uint16_t scale = steps_.scale(row, group);
      std::memcpy(to, &scale, 2);
      to += 2;
      if (with_zero_) *to++ = static_cast<std::byte>(steps_.zero(row, group));
      for (int i = 0; i < 16; ++i)
        *to++ = static_cast<std::byte>(steps_.step(row, at + i) | steps_.step(row, at + 16 + i) << 4);
    }
    return memory;
  }
  Parts parts() const override { return steps_.parts(); }

 private:
  Steps steps_;
  bool with_zero_;
};

/// Columns of a group anywhere: halves, rounded once as GPTQ's own library does.
class HalfRows final : public RowSource {
 public:
  HalfRows(const Steps& steps, std::span<const std::byte> group_of) : steps_(steps), group_of_(group_of) {}
  const std::byte* row(std::int64_t row, std::byte* memory) const override {
    for (std::int64_t i = 0; i < steps_.k(); ++i) {
      const auto group = std::int64_t{value_at<std::int32_t>(group_of_, i)};
      const auto step = static_cast<float>(steps_.step(row, i) - steps_.zero(row, group));
      const std::uint16_t half = float_to_half(half_to_float(steps_.scale(row, group)) * step);
      std::memcpy(memory + 2 * i, &half, 2);
    }
    return memory;
  }
  Parts parts() const override { return steps_.parts(); }

 private:
  Steps steps_;
  std::span<const std::byte> group_of_;
};

using Shape = std::vector<std::int64_t>;

Error misfit(std::string_view what) {
  return {ErrorCode::kCorrupt, fmt::format("{}; fetch the file again", what)};
}

/// Do columns come in whole groups one after another? An error where a column's group does not exist.
Result<bool> in_order(const Int4& from, std::int64_t k, std::int64_t groups) {
  if (from.group_of == nullptr) return true;
  if (from.group_of->dtype != Dtype::kI32 || from.group_of->shape != Shape{k})
    return misfit("has a g_idx that is not one number for each column");
  bool ordered = true;
  for (std::int64_t i = 0; i < k; ++i) {
    const std::int32_t group = value_at<std::int32_t>(from.group_of->bytes, i);
    if (group < 0 || group >= groups)
      return misfit(fmt::format("has a g_idx of {} for {} groups", group, groups));
    ordered &= group == i / from.group_size;
  }
  return ordered;
}

bool symmetric(const Steps& steps, std::int64_t groups) {
  for (std::int64_t g = 0; g < groups; ++g)
    for (std::int64_t row = 0; row < steps.rows(); ++row)
      if (steps.zero(row, g) != 8) return false;
  return true;
}

}  // namespace

Result<FileTensor> int4(const Int4& given) {
  Int4 from = given;
  if (from.steps == nullptr || from.zeros == nullptr || from.scales == nullptr)
    return misfit("is not there with all of qweight, qzeros and scales");
  const bool awq = from.kind == Int4::Kind::kAwq;
  if (from.steps->dtype != Dtype::kI32 || from.zeros->dtype != Dtype::kI32 || from.steps->shape.size() != 2 ||
      from.steps->elements() == 0 || from.steps->elements() > (std::int64_t{1} << 40))
    return misfit("is not made of int32 words of eight steps");
  if (from.scales->dtype != Dtype::kF16)
    return Error{ErrorCode::kUnsupported,
                 fmt::format("has scales of {}; only F16 is supported by this version",
                             dtype_name(from.scales->dtype))};
  const std::int64_t rows = from.steps->shape[1] * (awq ? 8 : 1), k = from.steps->shape[0] * (awq ? 1 : 8);
  if (from.group_size == -1) from.group_size = k;
  if (from.group_size < 1) return misfit(fmt::format("has groups of {}", from.group_size));
  const std::int64_t groups = (k + from.group_size - 1) / from.group_size;
  if (rows % 8 != 0 || from.zeros->shape != Shape{groups, rows / 8} ||
      from.scales->shape != Shape{groups, rows})
    return misfit(fmt::format("is {} x {}, which its zeros and scales do not fit", rows, k));
  DW_TRY(const bool ordered, in_order(from, k, groups));
  const Steps steps(from, rows, k);
  FileTensor tensor;
  tensor.dims = 2;
  tensor.shape = {k, rows, 1, 1};
  if (!ordered) {
    tensor.type = TypeId::kF16;
    tensor.made = std::make_shared<HalfRows>(steps, from.group_of->bytes);
    return tensor;
  }
  if (from.group_size % 32 != 0 || k % 32 != 0)
    return Error{ErrorCode::kUnsupported,
                 fmt::format("has groups of {}; only multiples of 32 are supported by this "
                             "version",
                             from.group_size)};
  const bool zeros = !symmetric(steps, groups);
  tensor.type = zeros ? kI4_ZERO : TypeId::kQ4_0;
  tensor.made = std::make_shared<BlockRows>(steps, zeros);
  return tensor;
}

}  // namespace deepwell::quantized
