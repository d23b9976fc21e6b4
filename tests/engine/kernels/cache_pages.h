// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "base/half.h"
#include "engine/kernels/cache_type.h"
#include "random_weights.h"

namespace deepwell {

/// Pages of the cache with random elements: (entries, width) each.
struct CachePages {
  std::vector<std::byte> bytes;
  std::vector<const std::byte*> pages;
};
using MakePages = CachePages(std::int64_t width, int entries, int pages, unsigned seed);

template <class Element, Element (*kOf)(float)>
CachePages plain_pages(std::int64_t width, int entries, int pages, unsigned seed) {
  const auto floats = random_floats(width * entries * pages, seed);
  CachePages made;
  made.bytes.resize(floats.size() * sizeof(Element));
  for (std::size_t i = 0; i < floats.size(); ++i) {
    const Element element = kOf(floats[i]);
    std::memcpy(made.bytes.data() + i * sizeof(Element), &element, sizeof(Element));
  }
  for (int p = 0; p < pages; ++p)
    made.pages.push_back(made.bytes.data() +
                         made.bytes.size() / static_cast<std::size_t>(pages) * static_cast<std::size_t>(p));
  return made;
}
inline MakePages* const f16_pages = plain_pages<std::uint16_t, float_to_half>;
inline MakePages* const bf16_pages = plain_pages<std::uint16_t, float_to_bfloat>;
inline MakePages* const f32_pages = plain_pages<float, +[](float x) { return x; }>;

/// `across`: a page of keys, whose scales are at its end; those of a vector are at its own.
inline CachePages q8_pages_of(bool across, std::int64_t width, int entries, int pages, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> scale(0.001F, 0.03F);
  CachePages made;
  const std::int64_t steps = CacheQ8::steps_bytes(width), vector = CacheQ8::vector_bytes(width);
  made.bytes.resize(static_cast<std::size_t>(vector * entries * pages));
  for (std::byte& byte : made.bytes) byte = static_cast<std::byte>(random() % 255 + 129);  // -127 .. 127
  for (int p = 0; p < pages; ++p) {
    std::byte* page = made.bytes.data() + p * vector * entries;
    made.pages.push_back(page);
    for (std::int64_t t = 0; t < entries; ++t)
      for (std::int64_t b = 0; b < CacheQ8::blocks(width); ++b) {
        const float value = scale(random);
        std::byte* at =
            across ? page + steps * entries + (b * entries + t) * 4 : page + t * vector + steps + b * 4;
        std::memcpy(at, &value, 4);
      }
  }
  return made;
}
inline CachePages q8_pages(std::int64_t width, int entries, int pages, unsigned seed) {
  return q8_pages_of(false, width, entries, pages, seed);
}
inline CachePages q8_key_pages(std::int64_t width, int entries, int pages, unsigned seed) {
  return q8_pages_of(true, width, entries, pages, seed);
}

/// Of pages of vectors.
inline float largest_element(CacheType type, const CachePages& pages, std::int64_t width) {
  float largest = 0;
  for (const std::byte* page : pages.pages)
    for (std::int64_t i = 0; i < kPageTokens * width; ++i) {
      const auto* halves = reinterpret_cast<const std::uint16_t*>(page);
      const float element = type == CacheType::kQ8     ? CacheQ8::element(page, width, i / width, i % width)
                            : type == CacheType::kF32  ? reinterpret_cast<const float*>(page)[i]
                            : type == CacheType::kBF16 ? bfloat_to_float(halves[i])
                                                       : half_to_float(halves[i]);
      largest = std::max(largest, std::fabs(element));
    }
  return largest;
}

}  // namespace deepwell
