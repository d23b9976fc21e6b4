// SPDX-License-Identifier: Apache-2.0
#include "engine/formats/gguf_writer.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/check.h"

namespace deepwell {
namespace {

enum : std::uint32_t { kU32 = 4, kI32 = 5, kF32 = 6, kBool = 7, kText = 8, kArray = 9, kI64 = 11 };

class Writer {
 public:
  std::string bytes;

  template <class T>
  void put(T value) {
    bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void text(std::string_view value) {
    put(static_cast<std::uint64_t>(value.size()));
    bytes += value;
  }
  void array(std::uint32_t type, std::size_t count) {
    put(std::uint32_t{kArray});
    put(type);
    put(static_cast<std::uint64_t>(count));
  }

  void value(std::int64_t each) {
    const bool fits = each >= 0 && each <= std::numeric_limits<std::uint32_t>::max();
    put(std::uint32_t{fits ? kU32 : kI64});
    if (fits)
      put(static_cast<std::uint32_t>(each));
    else
      put(each);
  }
  void value(double each) {
    put(std::uint32_t{kF32});
    put(static_cast<float>(each));
  }
  void value(bool each) {
    put(std::uint32_t{kBool});
    put(static_cast<std::uint8_t>(each));
  }
  void value(const std::string& each) {
    put(std::uint32_t{kText});
    text(each);
  }
  void value(const std::vector<std::int64_t>& all) {
    const bool fit = std::ranges::all_of(all, [](std::int64_t each) {
      return each >= std::numeric_limits<std::int32_t>::min() &&
             each <= std::numeric_limits<std::int32_t>::max();
    });
    array(fit ? kI32 : kI64, all.size());
    for (const std::int64_t each : all) {
      if (fit)
        put(static_cast<std::int32_t>(each));
      else
        put(each);
    }
  }
  void value(const std::vector<double>& all) {
    array(kF32, all.size());
    for (const double each : all) put(static_cast<float>(each));
  }
  void value(const std::vector<std::string>& all) {
    array(kText, all.size());
    for (const std::string& each : all) text(each);
  }
};

}  // namespace

std::string gguf_header(const Metadata& metadata, std::span<const FileTensor> tensors) {
  Writer out;
  out.bytes = "GGUF";
  out.put(std::uint32_t{3});
  out.put(static_cast<std::uint64_t>(tensors.size()));
  out.put(static_cast<std::uint64_t>(metadata.values.size()));
  for (const auto& [key, value] : metadata.values) {
    out.text(key);
    std::visit([&](const auto& each) { out.value(each); }, value);
  }
  std::int64_t offset = 0;
  for (const FileTensor& tensor : tensors) {
    DW_CHECK(find_type(static_cast<std::uint32_t>(tensor.type)) != nullptr);
    out.text(tensor.name);
    out.put(static_cast<std::uint32_t>(tensor.dims));
    for (int i = 0; i < tensor.dims; ++i) out.put(tensor.shape[static_cast<std::size_t>(i)]);
    out.put(static_cast<std::uint32_t>(tensor.type));
    out.put(static_cast<std::uint64_t>(offset));
    offset += gguf_padded(tensor.data_bytes());
  }
  out.bytes.resize(static_cast<std::size_t>(gguf_padded(static_cast<std::int64_t>(out.bytes.size()))));
  return std::move(out.bytes);
}

}  // namespace deepwell
