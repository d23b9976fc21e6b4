// SPDX-License-Identifier: Apache-2.0
#include "engine/convert/quantizer.h"

#include <algorithm>
#include <cctype>

namespace deepwell {

const Quantizer* find_quantizer(TypeId type) {
  for (const Quantizer& quantizer : all_quantizers())
    if (quantizer.type == type) return &quantizer;
  return nullptr;
}

const Quantizer* find_quantizer(std::string_view name) {
  const auto same = [](char a, char b) {
    return std::toupper(static_cast<unsigned char>(a)) == std::toupper(static_cast<unsigned char>(b));
  };
  for (const Quantizer& quantizer : all_quantizers())
    if (std::ranges::equal(name, type_info(quantizer.type).name, same)) return &quantizer;
  return nullptr;
}

}  // namespace deepwell
