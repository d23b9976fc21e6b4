// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace deepwell {

/// A quick hash of short texts; not for keys that an attacker picks without a bound on how many.
inline std::uint64_t hash_of(std::string_view text) {
  constexpr std::uint64_t kOdd = 0x9E3779B97F4A7C15;
  const auto word = [&](std::size_t at, std::size_t bytes) {
    std::uint64_t value = 0;
    std::memcpy(&value, text.data() + at, bytes);
    return value;
  };
  const auto mix = [](std::uint64_t value) {
    value *= kOdd;
    return value ^ value >> 32;
  };
  const std::size_t size = text.size();
  if (size < 8) {
    // Two overlapping reads of a constant width: cheaper than a copy of `size` bytes.
    if (size >= 4) return mix(mix(word(0, 4) | word(size - 4, 4) << 32) + size);
    if (size == 0) return mix(1);
    const std::uint64_t value = word(0, 1) | word(size / 2, 1) << 8 | word(size - 1, 1) << 16;
    return mix(mix(value) + size);
  }
  std::uint64_t hash = size;
  for (std::size_t at = 0; at + 8 < size; at += 8) hash = mix(hash ^ word(at, 8));
  return mix(mix(hash ^ word(size - 8, 8)) + size);
}

/// Finds the number under which a text was filed. The texts stay where they are: `text_of(number)` shows
/// them.
class TextIndex {
 public:
  explicit TextIndex(std::size_t expected = 0) {
    std::size_t slots = 16;
    while (slots < expected * 2) slots *= 2;
    slots_.assign(slots, Slot{0, -1});
  }

  template <class TextOf>
  std::int32_t find(std::string_view text, const TextOf& text_of) const {
    const std::uint64_t hash = hash_of(text);
    for (std::size_t i = hash & (slots_.size() - 1);; i = (i + 1) & (slots_.size() - 1)) {
      const Slot& slot = slots_[i];
      if (slot.number < 0) return -1;
      if (slot.tag == static_cast<std::uint32_t>(hash >> 32) && text_of(slot.number) == text)
        return slot.number;
    }
  }

  /// Files `number` under `text`, unless that text is there: then that one's number, else -1.
  /// Requires no more texts than were expected.
  template <class TextOf>
  std::int32_t insert(std::string_view text, std::int32_t number, const TextOf& text_of) {
    const std::uint64_t hash = hash_of(text);
    for (std::size_t i = hash & (slots_.size() - 1);; i = (i + 1) & (slots_.size() - 1)) {
      Slot& slot = slots_[i];
      if (slot.number < 0) {
        slot = {static_cast<std::uint32_t>(hash >> 32), number};
        return -1;
      }
      if (slot.tag == static_cast<std::uint32_t>(hash >> 32) && text_of(slot.number) == text)
        return slot.number;
    }
  }

 private:
  struct Slot {
    std::uint32_t tag;
    std::int32_t number;
  };
  std::vector<Slot> slots_;
};

}  // namespace deepwell
