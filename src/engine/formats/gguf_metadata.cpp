// SPDX-License-Identifier: Apache-2.0
// GGUF key-value pairs: string key, u32 type, value.
#include "engine/formats/gguf_metadata.h"

#include <cstring>
#include <limits>

#include "engine/formats/gguf_part.h"

namespace deepwell {
namespace {

enum class ValueType : std::uint32_t {
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kF32,
  kBool,
  kText,
  kArray,
  kU64,
  kI64,
  kF64
};

// What is left of the limits that hold for the whole file, so that many arrays cannot do what one may not.
struct Budget {
  std::uint64_t elements = GgufLimits::kArrayElements;
  std::uint64_t text_bytes = GgufLimits::kTextBytes;
};

// Bytes one element takes at least; 0 for what cannot be in an array.
std::size_t element_bytes(std::uint32_t type) {
  switch (ValueType{type}) {
    case ValueType::kU8:
    case ValueType::kI8:
    case ValueType::kBool:
      return 1;
    case ValueType::kU16:
    case ValueType::kI16:
      return 2;
    case ValueType::kU32:
    case ValueType::kI32:
    case ValueType::kF32:
      return 4;
    case ValueType::kText:  // its length
    case ValueType::kU64:
    case ValueType::kI64:
    case ValueType::kF64:
      return 8;
    case ValueType::kArray:
      break;
  }
  return 0;
}

class ValueReader {
 public:
  ValueReader(GgufCursor& cursor, Budget& budget, std::string what)
      : cursor_(cursor), budget_(budget), what_(std::move(what)) {}

  Result<MetadataValue> read() {
    DW_TRY(const auto type, cursor_.read<std::uint32_t>(what_));
    switch (ValueType{type}) {
      case ValueType::kU8:
        return integer<std::uint8_t>();
      case ValueType::kI8:
        return integer<std::int8_t>();
      case ValueType::kU16:
        return integer<std::uint16_t>();
      case ValueType::kI16:
        return integer<std::int16_t>();
      case ValueType::kU32:
        return integer<std::uint32_t>();
      case ValueType::kI32:
        return integer<std::int32_t>();
      case ValueType::kU64:
        return integer<std::uint64_t>();
      case ValueType::kI64:
        return integer<std::int64_t>();
      case ValueType::kF32:
        return real<float>();
      case ValueType::kF64:
        return real<double>();
      case ValueType::kBool:
        return flag();
      case ValueType::kText:
        return text();
      case ValueType::kArray:
        return array();
    }
    return unknown_type("has", type);
  }

 private:
  Error unknown_type(std::string_view verb, std::uint32_t type) const {
    return cursor_.corrupt(
        fmt::format("{} {} unknown value type {} at byte {}", what_, verb, type, cursor_.offset() - 4));
  }

  template <class T>
  Result<MetadataValue> integer() {
    DW_TRY(const T value, cursor_.read<T>(what_));
    if (!fits(value)) return too_large(value);
    return MetadataValue(static_cast<std::int64_t>(value));
  }

  template <class T>
  Result<MetadataValue> real() {
    DW_TRY(const T value, cursor_.read<T>(what_));
    return MetadataValue(static_cast<double>(value));
  }

  Result<MetadataValue> flag() {
    DW_TRY(const auto value, cursor_.read<std::uint8_t>(what_));
    if (value > 1) return not_a_flag(value);
    return MetadataValue(value == 1);
  }

  Result<MetadataValue> text() {
    DW_TRY(const auto value, counted_text());
    return MetadataValue(std::string(value));
  }

  Result<MetadataValue> array() {
    DW_TRY(const auto type, cursor_.read<std::uint32_t>(what_));
    const std::size_t start = cursor_.offset();
    DW_TRY(const auto count, cursor_.read<std::uint64_t>(what_));
    if (type == static_cast<std::uint32_t>(ValueType::kArray))
      return cursor_.error(ErrorCode::kUnsupported, fmt::format("{} is an array of arrays", what_),
                           "no known model has one; fetch the file again or convert the model again");
    const std::size_t bytes = element_bytes(type);
    if (bytes == 0) return unknown_type("is an array of", type);
    if (count > cursor_.remaining() / bytes)
      return cursor_.corrupt(
          fmt::format("{} says at byte {} that it has {} elements, but only {} bytes follow", what_, start,
                      count, cursor_.remaining()));
    if (count > budget_.elements)
      return cursor_.error(ErrorCode::kUnsupported,
                           fmt::format("{} at byte {} brings the array elements of the file above {}", what_,
                                       start, GgufLimits::kArrayElements),
                           GgufCursor::kFetchAgain);
    budget_.elements -= count;
    const auto size = static_cast<std::size_t>(count);
    switch (ValueType{type}) {
      case ValueType::kU8:
        return numbers<std::uint8_t, std::int64_t>(size);
      case ValueType::kI8:
        return numbers<std::int8_t, std::int64_t>(size);
      case ValueType::kU16:
        return numbers<std::uint16_t, std::int64_t>(size);
      case ValueType::kI16:
        return numbers<std::int16_t, std::int64_t>(size);
      case ValueType::kU32:
        return numbers<std::uint32_t, std::int64_t>(size);
      case ValueType::kI32:
        return numbers<std::int32_t, std::int64_t>(size);
      case ValueType::kU64:
        return numbers<std::uint64_t, std::int64_t>(size);
      case ValueType::kI64:
        return numbers<std::int64_t, std::int64_t>(size);
      case ValueType::kF32:
        return numbers<float, double>(size);
      case ValueType::kF64:
        return numbers<double, double>(size);
      case ValueType::kBool:
        return flags(size);
      case ValueType::kText:
        return texts(size);
      case ValueType::kArray:
        break;
    }
    return unknown_type("is an array of", type);
  }

  template <class Stored, class Kept>
  Result<MetadataValue> numbers(std::size_t count) {
    DW_TRY(const auto bytes, cursor_.read_bytes(count * sizeof(Stored), what_));
    std::vector<Kept> values(count);
    for (std::size_t i = 0; i < count; ++i) {
      Stored value;
      std::memcpy(&value, bytes.data() + i * sizeof(Stored), sizeof(Stored));
      if (!fits(value)) return too_large(value);
      values[i] = static_cast<Kept>(value);
    }
    return MetadataValue(std::move(values));
  }

  Result<MetadataValue> flags(std::size_t count) {
    DW_TRY(const auto bytes, cursor_.read_bytes(count, what_));
    std::vector<std::int64_t> values(count);
    for (std::size_t i = 0; i < count; ++i) {
      values[i] = std::to_integer<std::int64_t>(bytes[i]);
      if (values[i] > 1) return not_a_flag(values[i]);
    }
    return MetadataValue(std::move(values));
  }

  Result<MetadataValue> texts(std::size_t count) {
    std::vector<std::string> values;
    values.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
      DW_TRY(const auto value, counted_text());
      values.emplace_back(value);
    }
    return MetadataValue(std::move(values));
  }

  Result<std::string_view> counted_text() {
    DW_TRY(const auto value, cursor_.read_text(what_, budget_.text_bytes));
    budget_.text_bytes -= value.size();
    return value;
  }

  template <class T>
  static bool fits(T value) {
    if constexpr (std::is_same_v<T, std::uint64_t>)
      return value <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    return true;
  }
  template <class T>
  Error too_large(T value) const {
    return cursor_.corrupt(
        fmt::format("{} is {}, beyond the range of a 64-bit signed integer", what_, value));
  }
  Error not_a_flag(std::int64_t value) const {
    return cursor_.corrupt(
        fmt::format("{} holds a true-or-false value of {} before byte {}", what_, value, cursor_.offset()));
  }

  GgufCursor& cursor_;
  Budget& budget_;
  std::string what_;
};

}  // namespace

Result<Metadata> read_gguf_metadata(GgufCursor& cursor, std::uint64_t count) {
  Metadata metadata;
  Budget budget;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::string which = fmt::format("metadata key {} of {}", i + 1, count);
    const std::size_t start = cursor.offset();
    DW_TRY(const auto key, cursor.read_text(which, GgufLimits::kKeyBytes));
    if (key.empty()) return cursor.corrupt(fmt::format("{} at byte {} is empty", which, start));
    if (!is_utf8(key))
      return cursor.corrupt(
          fmt::format("{} at byte {} is not UTF-8: '{}'", which, start, printable(key, 64)));
    std::string what = fmt::format("metadata value '{}'", printable(key, 80));
    if (metadata.has(key))
      return cursor.corrupt(fmt::format("{} is there twice, again at byte {}", what, start));
    DW_TRY(MetadataValue value, ValueReader(cursor, budget, std::move(what)).read());
    metadata.values.emplace(key, std::move(value));
  }
  return metadata;
}

}  // namespace deepwell
