// SPDX-License-Identifier: Apache-2.0
// The typed getters of Metadata: forgiving about widths, strict about kinds.
#include "engine/formats/model_file.h"

namespace deepwell {
namespace {

template <class T>
const T* get(const Metadata& metadata, std::string_view key) {
  const auto found = metadata.values.find(key);
  return found == metadata.values.end() ? nullptr : std::get_if<T>(&found->second);
}

}  // namespace

std::optional<std::int64_t> Metadata::integer(std::string_view key) const {
  if (const auto* value = get<std::int64_t>(*this, key)) return *value;
  return std::nullopt;
}

std::optional<double> Metadata::number(std::string_view key) const {
  if (const auto* value = get<double>(*this, key)) return *value;
  if (const auto* value = get<std::int64_t>(*this, key)) return static_cast<double>(*value);
  return std::nullopt;
}

std::optional<bool> Metadata::flag(std::string_view key) const {
  if (const auto* value = get<bool>(*this, key)) return *value;
  if (const auto* value = get<std::int64_t>(*this, key)) return *value != 0;
  return std::nullopt;
}

std::optional<std::string> Metadata::text(std::string_view key) const {
  if (const auto* value = get<std::string>(*this, key)) return *value;
  return std::nullopt;
}

std::vector<std::int64_t> Metadata::integers(std::string_view key) const {
  if (const auto* values_found = get<std::vector<std::int64_t>>(*this, key)) return *values_found;
  if (const auto value = integer(key)) return {*value};
  return {};
}

std::vector<double> Metadata::numbers(std::string_view key) const {
  if (const auto* values_found = get<std::vector<double>>(*this, key)) return *values_found;
  if (const auto* values_found = get<std::vector<std::int64_t>>(*this, key)) {
    std::vector<double> result;
    result.reserve(values_found->size());
    for (const std::int64_t value : *values_found) result.push_back(static_cast<double>(value));
    return result;
  }
  if (const auto value = number(key)) return {*value};
  return {};
}

const std::vector<std::string>* Metadata::texts(std::string_view key) const {
  return get<std::vector<std::string>>(*this, key);
}

std::string ModelFile::architecture() const { return metadata().text("general.architecture").value_or(""); }

}  // namespace deepwell
