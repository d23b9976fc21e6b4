// SPDX-License-Identifier: Apache-2.0
#include "text/stream/detokenizer.h"

#include <cstdint>

namespace deepwell {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

/// How many bytes of `text` make one step, and which kind of step it is.
struct Step {
  enum class Kind { kCharacter, kBroken, kIncomplete };
  Kind kind;
  std::size_t size;
};

/// The bounds of the second byte keep out overlong forms, surrogates and what lies past U+10FFFF
/// (The Unicode Standard, table 3-7). A broken sequence is replaced up to where it stopped being the start
/// of a character, which is what Python does too.
Step step_of(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t first = byte(0);
  if (first < 0x80) return {Step::Kind::kCharacter, 1};
  if (first < 0xC2 || first > 0xF4) return {Step::Kind::kBroken, 1};
  const std::size_t length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  const std::uint8_t low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
  const std::uint8_t high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
  for (std::size_t i = 1; i < length; ++i) {
    if (i == text.size()) return {Step::Kind::kIncomplete, i};
    const bool fits = i == 1 ? byte(i) >= low && byte(i) <= high : (byte(i) & 0xC0) == 0x80;
    if (!fits) return {Step::Kind::kBroken, i};
  }
  return {Step::Kind::kCharacter, length};
}

}  // namespace

std::string Utf8Stream::push(std::string_view bytes) {
  std::string joined;
  if (!held_.empty()) {
    joined = std::move(held_);
    held_.clear();
    joined += bytes;
    bytes = joined;
  }
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    const Step step = step_of(bytes);
    if (step.kind == Step::Kind::kIncomplete) {
      held_ = bytes;
      break;
    }
    text += step.kind == Step::Kind::kCharacter ? bytes.substr(0, step.size) : kReplacement;
    bytes.remove_prefix(step.size);
  }
  return text;
}

std::string Utf8Stream::finish() {
  const bool whole = held_.empty();
  held_.clear();
  return whole ? std::string() : std::string(kReplacement);
}

}  // namespace deepwell
