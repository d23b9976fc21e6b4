// SPDX-License-Identifier: Apache-2.0
// One GGUF file: magic, version, counts, metadata, tensor table, padding, data.
#include "engine/formats/gguf_part.h"

#include <algorithm>
#include <string_view>
#include <unordered_set>

#include "engine/formats/gguf_cursor.h"
#include "engine/formats/gguf_metadata.h"
#include "engine/formats/lookalike.h"

namespace deepwell {
namespace {

constexpr std::size_t kKeyBytesMin = 8 + 1 + 4 + 1;  // key length, key, type, value
constexpr std::size_t kTensorBytesMin =
    8 + 1 + 4 + 8 + 4 + 8;  // name length, name, dims, one dim, type, offset

Status check_magic(GgufCursor& cursor, std::span<const std::byte> file) {
  if (file.empty())
    return cursor.error(ErrorCode::kInvalid, "the file is empty",
                        "the download did not start; fetch it again");
  if (!as_text(file).starts_with("GGUF"))
    return cursor.error(ErrorCode::kInvalid, "not a GGUF file", describe_lookalike(file));
  DW_RETURN_IF_ERROR(cursor.read_bytes(4, "the magic"));
  return Done{};
}

Result<std::uint32_t> read_version(GgufCursor& cursor) {
  DW_TRY(const auto version, cursor.read<std::uint32_t>("the version"));
  if (version == 2 || version == 3) return version;
  if (version == 1)
    return cursor.error(ErrorCode::kUnsupported, "GGUF version 1 is obsolete",
                        "get a newer GGUF of the model, or convert the model again");
  if ((version & 0xFFFF) == 0 && version != 0)
    return cursor.error(ErrorCode::kUnsupported, "a big-endian GGUF",
                        "get the little-endian GGUF of the model, or convert the model again");
  return cursor.error(ErrorCode::kUnsupported,
                      fmt::format("GGUF version {} is unknown (2 and 3 are read)", version),
                      "the file is damaged or newer than this program; fetch it again or update deepwell");
}

/// A count from the header, checked against what the rest of the file could hold.
Result<std::uint64_t> check_count(const GgufCursor& cursor, std::uint64_t count, std::string_view what,
                                  std::size_t bytes_each, std::uint64_t limit) {
  if (count > cursor.remaining() / bytes_each)
    return cursor.error(ErrorCode::kCorrupt,
                        fmt::format("the header says {} {}, which do not fit into the {} bytes that follow",
                                    count, what, cursor.remaining()),
                        "the download is incomplete or the file damaged; fetch it again");
  if (count > limit)
    return cursor.corrupt(fmt::format("the header says {} {} (at most {} are possible)", count, what, limit));
  return count;
}

Result<std::int64_t> alignment_of(const GgufCursor& cursor, const Metadata& metadata) {
  if (!metadata.has("general.alignment")) return std::int64_t{32};
  const auto alignment = metadata.integer("general.alignment");
  if (!alignment) return cursor.corrupt("general.alignment is not an integer");
  if (*alignment < 1 || *alignment > GgufLimits::kAlignment || (*alignment & (*alignment - 1)) != 0)
    return cursor.corrupt(fmt::format("general.alignment is {}, not a power of two up to {}", *alignment,
                                      GgufLimits::kAlignment));
  return *alignment;
}

/// A row of the tensor table: what the file says, before the data section is known.
struct Entry {
  FileTensor tensor;
  std::uint64_t offset = 0;  // from the start of the data section
  std::int64_t bytes = 0;
};

std::string shape_text(const FileTensor& tensor) {
  std::string text = std::to_string(tensor.shape[0]);
  for (std::size_t i = 1; i < static_cast<std::size_t>(tensor.dims); ++i)
    text += " x " + std::to_string(tensor.shape[i]);
  return text;
}

Status read_shape(GgufCursor& cursor, const std::string& what, FileTensor& tensor) {
  DW_TRY(const auto dims, cursor.read<std::uint32_t>(what));
  if (dims < 1 || dims > 4)
    return cursor.corrupt(fmt::format("{} has {} dimensions (1 to 4 are possible)", what, dims));
  tensor.dims = static_cast<int>(dims);
  for (std::size_t i = 0; i < dims; ++i) {
    DW_TRY(tensor.shape[i], cursor.read<std::int64_t>(what));
    if (tensor.shape[i] <= 0)
      return cursor.corrupt(fmt::format("{} has dimension {} of {}", what, i + 1, tensor.shape[i]));
  }
  return Done{};
}

/// Bytes of the whole tensor. No product overflows unseen.
Result<std::int64_t> data_bytes(const GgufCursor& cursor, const std::string& what, const FileTensor& tensor,
                                const TypeInfo& type) {
  if (tensor.shape[0] % type.block_elements != 0)
    return cursor.corrupt(fmt::format("{} has rows of {} elements, which are not whole blocks of {} ({})",
                                      what, tensor.shape[0], type.block_elements, type.name));
  std::int64_t elements = 1;  // fits as well: no type takes less than an eighth of a byte
  std::int64_t bytes = 0;
  bool overflow = __builtin_mul_overflow(tensor.shape[0] / type.block_elements, type.block_bytes, &bytes);
  for (const std::int64_t length : tensor.shape)
    overflow |= __builtin_mul_overflow(elements, length, &elements);
  for (std::size_t i = 1; i < 4; ++i) overflow |= __builtin_mul_overflow(bytes, tensor.shape[i], &bytes);
  if (overflow)
    return cursor.corrupt(fmt::format("{} of {} elements is larger than any file", what, shape_text(tensor)));
  return bytes;
}

Result<Entry> read_entry(GgufCursor& cursor, std::uint64_t index, std::uint64_t count) {
  const std::string which = fmt::format("the name of tensor {} of {}", index + 1, count);
  const std::size_t start = cursor.offset();
  DW_TRY(const auto name, cursor.read_text(which, GgufLimits::kTensorNameBytes));
  if (name.empty()) return cursor.corrupt(fmt::format("{} at byte {} is empty", which, start));
  if (!is_utf8(name))
    return cursor.corrupt(fmt::format("{} at byte {} is not UTF-8: '{}'", which, start, printable(name)));
  const std::string what = fmt::format("tensor '{}'", printable(name));
  Entry entry;
  entry.tensor.name = name;
  DW_RETURN_IF_ERROR(read_shape(cursor, what, entry.tensor));
  DW_TRY(const auto type_id, cursor.read<std::uint32_t>(what));
  const TypeInfo* type = find_type(type_id);
  if (type == nullptr)
    return cursor.error(
        ErrorCode::kUnsupported, fmt::format("{} has unknown type {}", what, type_id),
        "the file is damaged, or made for another program; fetch it again, or get another quantization");
  entry.tensor.type = type->id;
  DW_TRY(entry.bytes, data_bytes(cursor, what, entry.tensor, *type));
  DW_TRY(entry.offset, cursor.read<std::uint64_t>(what));
  return entry;
}

/// Gives every tensor its bytes: aligned, inside the file, no two sharing any.
Status locate(const GgufCursor& cursor, std::span<const std::byte> file, std::vector<Entry>& entries,
              GgufPart& part) {
  const auto alignment = static_cast<std::uint64_t>(part.alignment);
  for (Entry& entry : entries) {
    const std::string what = fmt::format("tensor '{}'", printable(entry.tensor.name));
    if (entry.offset % alignment != 0)
      return cursor.corrupt(fmt::format("{} starts at offset {}, which is not a multiple of the alignment {}",
                                        what, entry.offset, alignment));
    const auto bytes = static_cast<std::uint64_t>(entry.bytes);
    std::uint64_t end = 0;
    if (__builtin_add_overflow(entry.offset, bytes, &end) ||
        __builtin_add_overflow(end, part.data_start, &end))
      return cursor.corrupt(fmt::format("{} starts at offset {}, beyond any file", what, entry.offset));
    if (end > file.size())
      return cursor.error(ErrorCode::kCorrupt,
                          fmt::format("{} ends at byte {} but the file has {}", what, end, file.size()),
                          "the download is incomplete; fetch it again");
    entry.tensor.bytes = file.subspan(static_cast<std::size_t>(end - bytes), static_cast<std::size_t>(bytes));
  }
  std::vector<const Entry*> by_offset;
  by_offset.reserve(entries.size());
  for (const Entry& entry : entries) by_offset.push_back(&entry);
  std::sort(by_offset.begin(), by_offset.end(),
            [](const Entry* a, const Entry* b) { return a->offset < b->offset; });
  for (std::size_t i = 1; i < by_offset.size(); ++i) {
    const Entry& before = *by_offset[i - 1];
    if (by_offset[i]->offset - before.offset < static_cast<std::uint64_t>(before.bytes))
      return cursor.corrupt(fmt::format("tensors '{}' and '{}' overlap at byte {}",
                                        printable(before.tensor.name), printable(by_offset[i]->tensor.name),
                                        part.data_start + by_offset[i]->offset));
  }
  return Done{};
}

}  // namespace

Result<GgufPart> parse_gguf_part(std::span<const std::byte> file, const std::string& path) {
  GgufCursor cursor(file, path);
  GgufPart part;
  DW_RETURN_IF_ERROR(check_magic(cursor, file));
  DW_TRY(part.version, read_version(cursor));
  DW_TRY(const auto tensors_said, cursor.read<std::uint64_t>("the tensor count"));
  DW_TRY(const auto keys_said, cursor.read<std::uint64_t>("the metadata count"));
  DW_TRY(const auto keys, check_count(cursor, keys_said, "metadata keys", kKeyBytesMin, GgufLimits::kKeys));
  DW_TRY(part.metadata, read_gguf_metadata(cursor, keys));
  DW_TRY(part.alignment, alignment_of(cursor, part.metadata));
  DW_TRY(const auto tensors,
         check_count(cursor, tensors_said, "tensors", kTensorBytesMin, GgufLimits::kTensors));

  std::vector<Entry> entries;
  entries.reserve(static_cast<std::size_t>(tensors));
  std::unordered_set<std::string_view> names;  // they point into `file`'s copy in entries, which never moves
  for (std::uint64_t i = 0; i < tensors; ++i) {
    const std::size_t start = cursor.offset();
    DW_TRY(Entry entry, read_entry(cursor, i, tensors));
    entries.push_back(std::move(entry));
    if (!names.insert(entries.back().tensor.name).second)
      return cursor.corrupt(fmt::format("tensor '{}' is there twice, again at byte {}",
                                        printable(entries.back().tensor.name), start));
  }

  const auto alignment = static_cast<std::size_t>(part.alignment);
  part.data_start = (cursor.offset() + alignment - 1) / alignment * alignment;
  DW_RETURN_IF_ERROR(locate(cursor, file, entries, part));
  part.tensors.reserve(entries.size());
  for (Entry& entry : entries) part.tensors.push_back(std::move(entry.tensor));
  return part;
}

}  // namespace deepwell
