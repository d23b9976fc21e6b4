// SPDX-License-Identifier: Apache-2.0
#include "engine/models/loader.h"

#include <fmt/format.h>

namespace deepwell {

Loader::Loader(const ModelFile& file, ThreadPool& pool, Progress progress)
    : file_(file), pool_(pool), progress_(std::move(progress)) {
  for (const FileTensor& tensor : file.tensors()) bytes_total_ += static_cast<double>(tensor.bytes.size());
}

std::string Loader::key(std::string_view name) const {
  return fmt::format("{}.{}", file_.architecture(), name);
}

Result<std::int64_t> Loader::integer(std::string_view name, std::int64_t highest) const {
  const std::string full = key(name);
  const auto value = file_.metadata().integer(full);
  if (!value)
    return Error{ErrorCode::kCorrupt,
                 fmt::format("{}: the key '{}' is missing or no integer; the file was made "
                             "wrongly: get another",
                             file_.path(), full)};
  if (*value < 1 || *value > highest)
    return Error{ErrorCode::kCorrupt,
                 fmt::format("{}: '{}' is {}, not in 1..{}; the file was made wrongly: get another",
                             file_.path(), full, *value, highest)};
  return *value;
}

std::int64_t Loader::integer_or(std::string_view name, std::int64_t otherwise) const {
  return file_.metadata().integer(key(name)).value_or(otherwise);
}

double Loader::number_or(std::string_view name, double otherwise) const {
  return file_.metadata().number(key(name)).value_or(otherwise);
}

Result<double> Loader::number(std::string_view name, double lowest, double highest, double otherwise) const {
  const double value = number_or(name, otherwise);
  if (!(value >= lowest && value <= highest))
    return Error{ErrorCode::kCorrupt,
                 fmt::format("{}: '{}' is {}, not in {}..{}; the file was made wrongly: get another",
                             file_.path(), key(name), value, lowest, highest)};
  return value;
}

Result<const FileTensor*> Loader::find(const std::string& tensor, std::int64_t rows, std::int64_t k) const {
  const FileTensor* found = file_.find(tensor);
  if (found == nullptr)
    return Error{ErrorCode::kCorrupt,
                 fmt::format("{}: tensor '{}' is missing; the file is not whole or of another "
                             "architecture",
                             file_.path(), tensor)};
  if (found->row_length() != k || found->rows() != rows)
    return Error{
        ErrorCode::kCorrupt,
        fmt::format(
            "{}: tensor '{}' is {} x {}, but the metadata asks for {} x {}; the file was made wrongly",
            file_.path(), tensor, found->rows(), found->row_length(), rows, k)};
  // Far above any model; a loop over the rows of a matrix is one loop of the thread pool.
  constexpr std::int64_t kMostRows = (std::int64_t{1} << 24) - 1;
  if (rows > kMostRows)
    return Error{ErrorCode::kCorrupt,
                 fmt::format("{}: tensor '{}' has {} rows, more than any model's; the file was made wrongly",
                             file_.path(), tensor, rows)};
  return found;
}

Result<const WeightFormat*> Loader::format_of(const FileTensor& tensor) const {
  const WeightFormat* format = find_weight_format(tensor.type);
  if (format == nullptr)
    return Error{
        ErrorCode::kUnsupported,
        fmt::format("{}: tensor '{}' is of type {}, which this version cannot compute with; get a Q4_K_M or "
                    "Q8_0 file of the model",
                    file_.path(), tensor.name, type_info(tensor.type).name)};
  return format;
}

Result<Linear> Loader::linear(const std::string& tensor, std::int64_t rows, std::int64_t k) {
  DW_TRY(Linear loaded, tied(tensor, rows, k));
  file_.release(file_.find(tensor + ".weight")->bytes);
  return loaded;
}

Result<Linear> Loader::tied(const std::string& tensor, std::int64_t rows, std::int64_t k) {
  DW_TRY(const FileTensor* const weight, find(tensor + ".weight", rows, k));
  DW_TRY(const WeightFormat* const format, format_of(*weight));
  std::vector<float> bias;
  if (has(tensor + ".bias")) {
    DW_TRY(bias, vector(tensor + ".bias", rows));
  }
  PackedMatrix packed(*format, rows, k, weight->bytes, pool_);
  count_progress(*weight);
  return Linear(std::move(packed), std::move(bias));
}

Result<PackedMatrix> Loader::stack(const std::string& tensor, std::int64_t slabs, std::int64_t rows,
                                   std::int64_t k) {
  DW_TRY(const FileTensor* const found, find(tensor, slabs * rows, k));
  if (found->shape[1] != rows || found->shape[2] != slabs)
    return Error{
        ErrorCode::kCorrupt,
        fmt::format("{}: tensor '{}' is {} x {} x {}, but the metadata asks for {} x {} x {}; the file was "
                    "made wrongly",
                    file_.path(), tensor, found->shape[2], found->shape[1], found->shape[0], slabs, rows, k)};
  DW_TRY(const WeightFormat* const format, format_of(*found));
  PackedMatrix packed(*format, rows, k, found->bytes, pool_, slabs);
  count_progress(*found);
  file_.release(found->bytes);
  return packed;
}

Result<std::vector<float>> Loader::floats(const std::string& tensor, std::int64_t rows, std::int64_t k) {
  DW_TRY(const FileTensor* const found, find(tensor, rows, k));
  DW_TRY(const WeightFormat* const format, format_of(*found));
  std::vector<float> values(static_cast<std::size_t>(rows * k));
  const TypeInfo& info = type_info(found->type);
  const std::int64_t row_bytes = k / info.block_elements * info.block_bytes;
  pool_.run(rows, [&](std::int64_t row, int) {
    format->dequantize(found->bytes.data() + row * row_bytes, k, values.data() + row * k);
  });
  count_progress(*found);
  return values;
}

PackedMatrix Loader::pack_floats(const std::vector<float>& values, std::int64_t slabs, std::int64_t rows,
                                 std::int64_t k) {
  const WeightFormat* const f32 = find_weight_format(TypeId::kF32);
  return PackedMatrix(*f32, rows, k, std::as_bytes(std::span(values)), pool_, slabs);
}

void Loader::count_progress(const FileTensor& tensor) {
  bytes_done_ += static_cast<double>(tensor.bytes.size());
  if (progress_) progress_(bytes_done_ / bytes_total_);
}

Result<std::vector<float>> Loader::vector(const std::string& tensor, std::int64_t n) {
  DW_TRY(const FileTensor* const found, find(tensor, 1, n));
  DW_TRY(const WeightFormat* const format, format_of(*found));
  std::vector<float> values(static_cast<std::size_t>(n));
  format->dequantize(found->bytes.data(), n, values.data());
  return values;
}

Result<RmsNormLayer> Loader::rms_norm(const std::string& tensor, std::int64_t n, float eps) {
  DW_TRY(std::vector<float> weight, vector(tensor + ".weight", n));
  return RmsNormLayer{std::move(weight), eps};
}

Result<Embedding> Loader::embedding(const std::string& tensor, std::int64_t rows, std::int64_t width) {
  DW_TRY(const FileTensor* const found, find(tensor + ".weight", rows, width));
  DW_TRY(const WeightFormat* const format, format_of(*found));
  return Embedding(*format, found->bytes, width);
}

}  // namespace deepwell
