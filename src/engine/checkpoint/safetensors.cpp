// SPDX-License-Identifier: Apache-2.0
// A safetensors file: 8 bytes of header length, a JSON header, the tensors' bytes.
// Source: https://github.com/huggingface/safetensors, "Format".
#include "engine/checkpoint/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/bytes.h"
#include "base/human.h"
#include "engine/checkpoint/safetensors_header.h"
#include "engine/formats/lookalike.h"

namespace deepwell {
namespace {

struct DtypeInfo {
  std::string_view name;
  Dtype dtype;
  std::int64_t bytes;
};
constexpr std::array kDtypes = {
    DtypeInfo{"F64", Dtype::kF64, 8},        DtypeInfo{"F32", Dtype::kF32, 4},
    DtypeInfo{"F16", Dtype::kF16, 2},        DtypeInfo{"BF16", Dtype::kBF16, 2},
    DtypeInfo{"F8_E4M3", Dtype::kF8E4M3, 1}, DtypeInfo{"F8_E5M2", Dtype::kF8E5M2, 1},
    DtypeInfo{"F8_E8M0", Dtype::kF8E8M0, 1}, DtypeInfo{"I64", Dtype::kI64, 8},
    DtypeInfo{"I32", Dtype::kI32, 4},        DtypeInfo{"I16", Dtype::kI16, 2},
    DtypeInfo{"I8", Dtype::kI8, 1},          DtypeInfo{"U8", Dtype::kU8, 1},
    DtypeInfo{"BOOL", Dtype::kOther, 1},     DtypeInfo{"U16", Dtype::kOther, 2},
    DtypeInfo{"U32", Dtype::kOther, 4},      DtypeInfo{"U64", Dtype::kOther, 8},
};

class Checker {
 public:
  Checker(std::span<const std::byte> data, std::uint64_t data_start, const std::string& path)
      : data_(data), data_start_(data_start), path_(path) {}

  Result<SafetensorsEntry> check(HeaderEntry& from) const {
    const auto* info = std::ranges::find(kDtypes, from.dtype, &DtypeInfo::name);
    if (info == kDtypes.end())
      return Error{ErrorCode::kUnsupported,
                   fmt::format("{}: tensor '{}' is of type '{}', which this version does not know; get the "
                               "model in another precision",
                               printable(path_), printable(from.name), printable(from.dtype, 40))};
    std::int64_t bytes = info->bytes;
    for (const std::uint64_t size : from.shape)
      if (size > (std::uint64_t{1} << 62) ||
          __builtin_mul_overflow(bytes, static_cast<std::int64_t>(size), &bytes))
        return corrupt(from.name, "has a shape too large for any file");
    const auto [begin, end] = from.range;
    if (begin > end || end - begin != static_cast<std::uint64_t>(bytes))
      return corrupt(from.name, fmt::format("takes {} bytes by its shape, but its range is {} to {}", bytes,
                                            begin, end));
    if (end > data_.size())
      return Error{
          ErrorCode::kCorrupt,
          fmt::format("{}: tensor '{}' ends at byte {}, but the file ends at byte {}: the download "
                      "is incomplete; fetch the file again",
                      printable(path_), printable(from.name), data_start_ + end, data_start_ + data_.size())};
    SafetensorsEntry entry{std::move(from.name), info->dtype, {}, {}};
    for (const std::uint64_t size : from.shape) entry.shape.push_back(static_cast<std::int64_t>(size));
    entry.bytes = data_.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
    return entry;
  }

  Status check_apart(const std::vector<SafetensorsEntry>& entries) const {
    std::vector<const SafetensorsEntry*> by_place;
    for (const SafetensorsEntry& entry : entries)
      if (!entry.bytes.empty()) by_place.push_back(&entry);
    std::ranges::sort(by_place, {}, [](const SafetensorsEntry* entry) { return entry->bytes.data(); });
    for (std::size_t i = 1; i < by_place.size(); ++i) {
      const SafetensorsEntry &before = *by_place[i - 1], &after = *by_place[i];
      if (after.bytes.data() < before.bytes.data() + before.bytes.size())
        return corrupt(after.name, fmt::format("overlaps '{}'", printable(before.name)));
    }
    std::vector<const SafetensorsEntry*> by_name;
    for (const SafetensorsEntry& entry : entries) by_name.push_back(&entry);
    const auto name = [](const SafetensorsEntry* entry) -> std::string_view { return entry->name; };
    std::ranges::sort(by_name, {}, name);
    const auto twice = std::ranges::adjacent_find(by_name, {}, name);
    if (twice != by_name.end()) return corrupt((*twice)->name, "is there twice");
    return Done{};
  }

 private:
  Error corrupt(std::string_view tensor, std::string_view what) const {
    return {ErrorCode::kCorrupt, fmt::format("{}: tensor '{}' {}; the file is damaged: fetch it again",
                                             printable(path_), printable(tensor), what)};
  }
  std::span<const std::byte> data_;
  std::uint64_t data_start_;
  const std::string& path_;
};

}  // namespace

std::int64_t SafetensorsEntry::elements() const {
  std::int64_t product = 1;
  for (const std::int64_t size : shape) product *= size;
  return product;
}

std::string_view dtype_name(Dtype dtype) {
  const auto* info = std::ranges::find(kDtypes, dtype, &DtypeInfo::dtype);
  return info->name;
}

Result<std::vector<SafetensorsEntry>> parse_safetensors(std::span<const std::byte> file,
                                                        const std::string& path) {
  const auto not_one = [&](const std::string& why) {
    return Error{ErrorCode::kInvalid, fmt::format("{}: no safetensors file: {}", printable(path), why)};
  };
  ByteReader reader(file);
  const auto header_bytes = reader.read<std::uint64_t>();
  // The header is JSON: it begins with a brace, whatever else is wrong.
  if (!header_bytes || reader.remaining() == 0 || file[8] != std::byte{'{'})
    return not_one(describe_lookalike(file));
  if (*header_bytes > SafetensorsLimits::kHeaderBytes)
    return not_one(fmt::format("its header would be {} bytes long; fetch it again", *header_bytes));
  const auto header = reader.read_bytes(static_cast<std::size_t>(*header_bytes));
  if (!header)
    return Error{ErrorCode::kCorrupt,
                 fmt::format("{}: the file ends at byte {}, within its header of {} bytes: the download is "
                             "incomplete; fetch the file again",
                             printable(path), file.size(), *header_bytes)};
  auto parsed = parse_safetensors_header(as_text(*header));
  if (!parsed.ok())
    return Error{parsed.error().code, fmt::format("{}: {}", printable(path), parsed.error().message)};
  const Checker checker(file.subspan(reader.offset()), reader.offset(), path);
  std::vector<SafetensorsEntry> entries;
  entries.reserve(parsed->size());
  for (HeaderEntry& each : *parsed) {
    DW_TRY(SafetensorsEntry entry, checker.check(each));
    entries.push_back(std::move(entry));
  }
  DW_RETURN_IF_ERROR(checker.check_apart(entries));
  return entries;
}

}  // namespace deepwell
