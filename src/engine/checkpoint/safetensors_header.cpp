// SPDX-License-Identifier: Apache-2.0
#include "engine/checkpoint/safetensors_header.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/human.h"
#include "engine/checkpoint/safetensors.h"

namespace deepwell {
namespace {

/// {"NAME": {"dtype": TEXT, "shape": [N...], "data_offsets": [BEGIN, END]}, "__metadata__": {...}}
class HeaderReader {
 public:
  using Json = nlohmann::json;
  std::vector<HeaderEntry> entries;
  std::string problem;

  bool start_object(std::size_t) {
    if (skipping()) return ++depth_, true;
    if (depth_ == 2 || in_list_) return refuse("has an object where none belongs");
    ++depth_;
    if (depth_ == 2) seen_ = 0;
    return true;
  }
  bool key(std::string& text) {
    if (depth_ >= 2) return field_ = metadata_ ? "" : text, true;
    metadata_ = text == "__metadata__";
    if (metadata_) return true;
    if (entries.size() == SafetensorsLimits::kTensors) return refuse("names more tensors than any model has");
    if (text.empty() || text.size() > SafetensorsLimits::kNameBytes)
      return refuse(fmt::format("has a tensor name of {} bytes", text.size()));
    entries.emplace_back();
    entries.back().name = std::move(text);
    return true;
  }
  bool end_object() {
    if (--depth_ == 1 && !metadata_ && seen_ != 7)
      return refuse("gives not all of dtype, shape and data_offsets");
    return true;
  }
  bool start_array(std::size_t) {
    if (skipping()) return ++depth_, true;
    if (depth_ != 2 || in_list_ || (field_ != "shape" && field_ != "data_offsets"))
      return refuse("has a list where none belongs");
    return in_list_ = true;
  }
  bool end_array() {
    if (skipping()) return --depth_, true;
    in_list_ = false;
    if (field_ == "data_offsets" && offsets_ != 2) return refuse("has data_offsets that are not two numbers");
    return mark(field_ == "shape" ? 2U : 4U);
  }
  bool number_unsigned(std::uint64_t value) {
    if (skipping()) return true;
    if (!in_list_) return refuse("has a number where none belongs");
    if (field_ == "data_offsets") {
      if (offsets_ == 2) return refuse("has data_offsets that are not two numbers");
      (offsets_++ == 0 ? entries.back().range.first : entries.back().range.second) = value;
      return true;
    }
    entries.back().shape.push_back(value);
    return entries.back().shape.size() <= SafetensorsLimits::kDimensions || refuse("has too many dimensions");
  }
  bool string(std::string& text) {
    if (skipping()) return true;
    if (depth_ != 2 || in_list_ || field_ != "dtype") return refuse("has a text where none belongs");
    entries.back().dtype = std::move(text);
    return mark(1);
  }
  bool number_integer(std::int64_t) { return skipping() || refuse("has a negative number"); }
  bool number_float(double, const std::string&) {
    return skipping() || refuse("has a number that is not whole");
  }
  bool boolean(bool) { return skipping() || refuse("has true or false where neither belongs"); }
  bool null() { return skipping() || refuse("has null where it does not belong"); }
  bool binary(Json::binary_t&) { return false; }
  bool parse_error(std::size_t at, const std::string&, const nlohmann::detail::exception&) {
    if (problem.empty()) problem = fmt::format("is no JSON at byte {}", at + 8);
    return false;
  }

 private:
  bool skipping() const { return metadata_ && depth_ >= 1; }
  bool mark(unsigned bit) {
    if ((seen_ & bit) != 0) return refuse(fmt::format("says '{}' twice", printable(field_, 60)));
    seen_ |= bit;
    if (bit == 4) offsets_ = 0;
    return true;
  }
  bool refuse(std::string_view what) {
    problem = entries.empty() ? std::string(what)
                              : fmt::format("{} (at tensor '{}')", what, printable(entries.back().name, 100));
    return false;
  }

  std::string field_;
  int depth_ = 0, offsets_ = 0;
  unsigned seen_ = 0;  // 1 dtype, 2 shape, 4 data_offsets
  bool in_list_ = false, metadata_ = false;
};

}  // namespace

Result<std::vector<HeaderEntry>> parse_safetensors_header(std::string_view json) {
  HeaderReader reader;
  if (!nlohmann::json::sax_parse(json.begin(), json.end(), &reader) && reader.problem.empty())
    reader.problem = "is no JSON";
  if (!reader.problem.empty())
    return Error{ErrorCode::kCorrupt,
                 fmt::format("its header {}; the file is damaged: fetch it again", reader.problem)};
  return std::move(reader.entries);
}

}  // namespace deepwell
