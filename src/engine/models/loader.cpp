// SPDX-License-Identifier: Apache-2.0
#include "engine/models/loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "base/half.h"
#include "engine/models/model.h"

namespace deepwell {

std::int64_t drafting_layers(const ModelFile& file) {
  const std::string architecture = file.architecture();
  const std::int64_t all = file.metadata().integer(architecture + ".block_count").value_or(0);
  const std::int64_t drafting = file.metadata().integer(architecture + ".nextn_predict_layers").value_or(0);
  if (drafting < 1 || drafting >= all) return 0;
  const bool there = file.find(fmt::format("blk.{}.nextn.eh_proj.weight", all - drafting)) != nullptr;
  const bool trunk = file.find(fmt::format("blk.{}.attn_norm.weight", all - drafting)) != nullptr;
  return there || !trunk ? drafting : 0;
}

bool has_drafting_layer(const ModelFile& file) {
  const std::string architecture = file.architecture();
  const std::int64_t all = file.metadata().integer(architecture + ".block_count").value_or(0);
  const std::int64_t drafting = drafting_layers(file);
  const auto known = find_architecture(architecture);
  return known.ok() && known->drafts && drafting > 0 &&
         file.find(fmt::format("blk.{}.nextn.eh_proj.weight", all - drafting)) != nullptr;
}

Loader::Loader(const ModelFile& file, ThreadPool& pool, Progress progress, LoadOptions options)
    : file_(file),
      pool_(pool),
      progress_(std::move(progress)),
      drafting_(options.drafting && has_drafting_layer(file)),
      late_(options.late),
      store_(std::move(options.store)) {
  for (const FileTensor& tensor : file.tensors()) bytes_total_ += static_cast<double>(tensor.data_bytes());
}

std::string Loader::key(std::string_view name) const {
  return fmt::format("{}.{}", file_.architecture(), name);
}

Result<std::int64_t> Loader::integer(std::string_view name, std::int64_t highest) const {
  const std::string full = key(name);
  auto value = file_.metadata().integer(full);
  if (!value) {  // some writers give every layer its own, all the same
    const std::vector<std::int64_t> each = file_.metadata().integers(full);
    if (!each.empty() && std::count(each.begin(), each.end(), each[0]) == std::ssize(each)) value = each[0];
  }
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

Result<PackedProduct> Loader::product(const FileTensor& tensor, const WeightFormat& format,
                                      std::int64_t slabs, bool read_again) {
  const std::int64_t rows = tensor.rows() / slabs, k = tensor.row_length();
  DW_TRY(std::vector<float> beside, factors(tensor.name, slabs));
  count_progress(tensor);
  if (late_ == nullptr || tensor.made != nullptr) {  // rows that are made take their time: once is enough
    PackedMatrix packed(format, rows, k, tensor.data(), pool_, slabs, pool_.memory_nodes());
    packed.set_factors(std::move(beside));
    if (!read_again) release(tensor);
    return PackedProduct(std::move(packed));
  }
  PackedMatrix unpacked = PackedMatrix::unpacked(format, rows, k, tensor.bytes, slabs, pool_.memory_nodes());
  unpacked.set_factors(std::move(beside));
  PackedProduct later(std::move(unpacked));
  late_->add(later.shared_weights(), [file = &file_, read_again](std::span<const std::byte> bytes) {
    if (!read_again) file->release(bytes);
  });
  return later;
}

Result<Linear> Loader::linear(const std::string& tensor, std::int64_t rows, std::int64_t k) {
  return linear(tensor, rows, k, /*read_again=*/false);
}

Result<Linear> Loader::tied(const std::string& tensor, std::int64_t rows, std::int64_t k) {
  return linear(tensor, rows, k, /*read_again=*/true);
}

Result<Linear> Loader::linear(const std::string& tensor, std::int64_t rows, std::int64_t k, bool read_again) {
  DW_TRY(const FileTensor* const weight, find(tensor + ".weight", rows, k));
  DW_TRY(const WeightFormat* const format, format_of(*weight));
  std::vector<float> bias;
  if (has(tensor + ".bias")) {
    DW_TRY(bias, vector(tensor + ".bias", rows));
  }
  DW_TRY(PackedProduct packed, product(*weight, *format, 1, read_again));
  return Linear(std::move(packed), std::move(bias));
}

Result<const FileTensor*> Loader::find_stack(const std::string& tensor, std::int64_t slabs, std::int64_t rows,
                                             std::int64_t k) const {
  DW_TRY(const FileTensor* const found, find(tensor, slabs * rows, k));
  const bool in_one = found->shape[1] == slabs * rows;
  if (!in_one && (found->shape[1] != rows || found->shape[2] != slabs))
    return Error{
        ErrorCode::kCorrupt,
        fmt::format("{}: tensor '{}' is {} x {} x {}, but the metadata asks for {} x {} x {}; the file was "
                    "made wrongly",
                    file_.path(), tensor, found->shape[2], found->shape[1], found->shape[0], slabs, rows, k)};
  return found;
}

Result<PackedMatrix> Loader::stack(const std::string& tensor, std::int64_t slabs, std::int64_t rows,
                                   std::int64_t k) {
  DW_TRY(const FileTensor* const found, find_stack(tensor, slabs, rows, k));
  DW_TRY(const WeightFormat* const format, format_of(*found));
  PackedMatrix packed(*format, rows, k, found->data(), pool_, slabs);
  DW_TRY(std::vector<float> beside, factors(tensor, slabs));
  packed.set_factors(std::move(beside));
  count_progress(*found);
  release(*found);
  return packed;
}

Result<PackedProduct> Loader::experts(const std::string& tensor, std::int64_t slabs, std::int64_t rows,
                                      std::int64_t k) {
  DW_TRY(const FileTensor* const found, find_stack(tensor, slabs, rows, k));
  DW_TRY(const WeightFormat* const format, format_of(*found));
  if (store_ != nullptr) {
    if (found->made != nullptr)
      return Error{ErrorCode::kUnsupported,
                   fmt::format("{}: tensor '{}' does not lie in the file as it is used, so it cannot be read "
                               "piece by piece; make a GGUF with deepwell convert",
                               file_.path(), tensor)};
    PackedMatrix unpacked = PackedMatrix::unpacked(*format, rows, k, found->bytes, slabs);
    DW_TRY(std::vector<float> beside, factors(tensor, slabs));
    unpacked.set_factors(std::move(beside));
    count_progress(*found);
    return PackedProduct(std::move(unpacked));
  }
  return product(*found, *format, slabs, /*read_again=*/false);
}

Result<std::vector<float>> Loader::floats(const std::string& tensor, std::int64_t rows, std::int64_t k) {
  DW_TRY(const FileTensor* const found, find(tensor, rows, k));
  DW_TRY(const WeightFormat* const format, format_of(*found));
  std::vector<float> values(static_cast<std::size_t>(rows * k));
  const std::int64_t row_bytes = found->row_bytes();
  const TensorRows from = found->data();
  DW_TRY(const std::vector<float> beside, factors(tensor, 1));
  pool_.run(rows, [&](std::int64_t row, int) {
    std::vector<std::byte> made(static_cast<std::size_t>(row_bytes));
    float* const to = values.data() + row * k;
    format->dequantize(from.at(row, row_bytes, made.data()), k, to);
    if (!beside.empty())
      for (std::int64_t i = 0; i < k; ++i) to[i] *= beside[0];
  });
  count_progress(*found);
  return values;
}

Result<std::vector<float>> Loader::factors(const std::string& tensor, std::int64_t slabs) {
  constexpr std::string_view kEnd = ".weight";
  if (!tensor.ends_with(kEnd)) return std::vector<float>();
  for (const std::string& name :
       {tensor.substr(0, tensor.size() - kEnd.size()) + ".scale", tensor + ".scale"}) {
    const FileTensor* const found = file_.find(name);
    if (found == nullptr) continue;
    DW_TRY(std::vector<float> values, vector(name, found->row_length()));
    if (values.size() == 1) values.resize(static_cast<std::size_t>(slabs), values[0]);
    const bool usable = static_cast<std::int64_t>(values.size()) == slabs &&
                        std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
    if (!usable)
      return Error{
          ErrorCode::kCorrupt,
          fmt::format("{}: tensor '{}' does not have a finite factor for each of {} matrices; the file "
                      "was made wrongly",
                      file_.path(), name, slabs)};
    return values;
  }
  return std::vector<float>();
}

Result<std::vector<std::int32_t>> Loader::integers(const std::string& tensor, std::int64_t rows,
                                                   std::int64_t k, std::int64_t below) {
  DW_TRY(const FileTensor* const found, find(tensor, rows, k));
  if (found->type != TypeId::kI32 && found->type != TypeId::kI64)
    return Error{ErrorCode::kCorrupt,
                 fmt::format("{}: tensor '{}' is of type {}, not of integers; the file was made wrongly",
                             file_.path(), tensor, type_info(found->type).name)};
  const auto size = static_cast<std::size_t>(type_info(found->type).block_bytes);
  std::vector<std::int32_t> values(static_cast<std::size_t>(rows * k));
  std::vector<std::byte> made(static_cast<std::size_t>(found->row_bytes()));
  const TensorRows from = found->data();
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto [row, column] = std::div(static_cast<std::int64_t>(i), k);
    const std::byte* const at =
        from.at(row, found->row_bytes(), made.data()) + column * static_cast<std::int64_t>(size);
    std::int64_t value = 0;
    std::int32_t narrow = 0;
    std::memcpy(size == 4 ? static_cast<void*>(&narrow) : &value, at, size);
    if (size == 4) value = narrow;
    if (value < 0 || value >= below)
      return Error{ErrorCode::kCorrupt,
                   fmt::format("{}: tensor '{}' holds {}, not in 0..{}; the file was made wrongly",
                               file_.path(), tensor, value, below - 1)};
    values[i] = static_cast<std::int32_t>(value);
  }
  count_progress(*found);
  release(*found);
  return values;
}

PackedMatrix Loader::pack_rearranged(std::vector<float> values, std::int64_t slabs, std::int64_t rows,
                                     std::int64_t k, const std::string& tensor) {
  const FileTensor* const source = file_.find(tensor);
  const TypeId type = source == nullptr ? TypeId::kF32 : rearranged_type(source->type);
  const WeightFormat& format = *find_weight_format(type);
  if (type == TypeId::kF32)
    return PackedMatrix(format, rows, k, std::as_bytes(std::span(values)), pool_, slabs);
  std::vector<std::uint16_t> rounded(values.size());
  std::transform(values.begin(), values.end(), rounded.begin(), float_to_bfloat);
  return PackedMatrix(format, rows, k, std::as_bytes(std::span(rounded)), pool_, slabs);
}

void Loader::release(const FileTensor& tensor) const {
  for (const std::span<const std::byte> part : tensor.parts()) file_.release(part);
}

void Loader::count_progress(const FileTensor& tensor) {
  bytes_done_ += static_cast<double>(tensor.data_bytes());
  if (progress_) progress_(std::min(1.0, bytes_done_ / bytes_total_));  // some tensors are read twice
}

Result<std::vector<float>> Loader::vector(const std::string& tensor, std::int64_t n) {
  DW_TRY(const FileTensor* const found, find(tensor, 1, n));
  DW_TRY(const WeightFormat* const format, format_of(*found));
  std::vector<float> values(static_cast<std::size_t>(n));
  std::vector<std::byte> made(static_cast<std::size_t>(found->row_bytes()));
  format->dequantize(found->data().at(0, found->row_bytes(), made.data()), n, values.data());
  return values;
}

Result<RmsNormLayer> Loader::rms_norm(const std::string& tensor, std::int64_t n, float eps) {
  DW_TRY(std::vector<float> weight, vector(tensor + ".weight", n));
  return RmsNormLayer{std::move(weight), eps};
}

Result<Embedding> Loader::embedding(const std::string& tensor, std::int64_t rows, std::int64_t width) {
  DW_TRY(const FileTensor* const found, find(tensor + ".weight", rows, width));
  DW_TRY(const WeightFormat* const format, format_of(*found));
  if (has(tensor + ".scale"))
    return Error{
        ErrorCode::kUnsupported,
        fmt::format("{}: the token table has a factor beside it ('{}.scale'), which this version does not "
                    "apply; get the model in another type",
                    file_.path(), tensor)};
  return Embedding(*format, found->data(), width);
}

Result<Embedding> Loader::table(const std::string& tensor, std::int64_t rows, std::int64_t width) {
  const FileTensor* const found = file_.find(tensor + ".weight");
  if (found == nullptr || found->row_length() != width || found->rows() < rows)
    return Error{
        ErrorCode::kCorrupt,
        fmt::format("{}: tensor '{}.weight' is {}, but the metadata asks for {} rows of {}; the file "
                    "is not whole or was made wrongly",
                    file_.path(), tensor,
                    found == nullptr ? std::string("missing")
                                     : fmt::format("{} x {}", found->rows(), found->row_length()),
                    rows, width)};
  DW_TRY(const WeightFormat* const format, format_of(*found));
  count_progress(*found);
  return Embedding(*format, found->data(), width);
}

}  // namespace deepwell
