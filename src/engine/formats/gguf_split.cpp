// SPDX-License-Identifier: Apache-2.0
#include "engine/formats/gguf_split.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

#include "base/human.h"

namespace deepwell {
namespace {

constexpr std::string_view kShape = "-00001-of-00005.gguf";  // how every name of a set ends

std::optional<int> five_digits(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 1) return std::nullopt;
  return value;
}

/// The place that the name alone tells.
std::optional<SplitPlace> place_in_name(const std::string& path) {
  if (path.size() <= kShape.size()) return std::nullopt;
  const std::string_view end = std::string_view(path).substr(path.size() - kShape.size());
  if (end[0] != '-' || end.substr(6, 4) != "-of-" || end.substr(15) != ".gguf") return std::nullopt;
  const auto number = five_digits(end.substr(1, 5));
  const auto count = five_digits(end.substr(10, 5));
  if (!number || !count || *number > *count) return std::nullopt;
  return SplitPlace{path.substr(0, path.size() - kShape.size()), *number - 1, *count};
}

}  // namespace

Result<SplitPlace> split_place(const Metadata& metadata, const std::string& path) {
  const std::int64_t count = metadata.integer("split.count").value_or(1);
  const std::int64_t number = metadata.integer("split.no").value_or(0);
  const std::string shown = printable(path);
  if (count == 0 || (count == 1 && number == 0)) return SplitPlace{};  // some writers say 0 for a whole model
  if (count < 0 || count > 99999 || number < 0 || number >= count)
    return Error{ErrorCode::kCorrupt,
                 fmt::format("{}: split.no {} of split.count {} is impossible: the file is "
                             "damaged; fetch it again",
                             shown, number, count)};
  const auto named = place_in_name(path);
  if (!named)
    return Error{
        ErrorCode::kInvalid,
        fmt::format("{}: this is part {} of a model in {} files, but its name does not end in "
                    "-{:05}-of-{:05}.gguf, so the others cannot be found: give the files their names back",
                    shown, number + 1, count, number + 1, count)};
  if (named->number != number || named->count != count)
    return Error{
        ErrorCode::kCorrupt,
        fmt::format("{}: by its name part {} of {}, by its content part {} of {}: the files were mixed up; "
                    "give them their names back or fetch them again",
                    shown, named->number + 1, named->count, number + 1, count)};
  return *named;
}

std::string split_path(const SplitPlace& place, int number) {
  return fmt::format("{}-{:05}-of-{:05}.gguf", place.prefix, number + 1, place.count);
}

Status check_split_part(const Metadata& metadata, const SplitPlace& place, int number) {
  const auto number_said = metadata.integer("split.no");
  const auto count_said = metadata.integer("split.count");
  if (number_said == number && count_said == place.count) return Done{};
  const std::string shown = printable(split_path(place, number));
  if (!number_said || !count_said)
    return Error{ErrorCode::kCorrupt,
                 fmt::format("{}: has no split.no and split.count, so it is not a part of this "
                             "model; fetch the set again",
                             shown)};
  return Error{ErrorCode::kCorrupt,
               fmt::format("{}: by its name part {} of {}, by its content part {} of {}: the files "
                           "were mixed up; fetch the set again",
                           shown, number + 1, place.count, *number_said + 1, *count_said)};
}

Error missing_split_part(const SplitPlace& place, int number) {
  return {ErrorCode::kNotFound,
          fmt::format("{}: part {} of {} of the model is missing; fetch it into the same folder",
                      printable(split_path(place, number)), number + 1, place.count)};
}

}  // namespace deepwell
