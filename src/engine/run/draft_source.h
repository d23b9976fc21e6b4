// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

namespace deepwell {

/// What guesses tokens for the model to verify: what comes first of a smaller model that was given, the
/// model's own layers for it (MTP) and the text so far; or one of them.
enum class DraftSource { kAuto, kNgram, kMtp, kModel, kOff };
inline constexpr std::array<std::string_view, 5> kDraftSourceNames = {"auto", "ngram", "mtp", "model", "off"};
constexpr std::optional<DraftSource> parse_draft_source(std::string_view name) {
  for (std::size_t i = 0; i < kDraftSourceNames.size(); ++i)
    if (kDraftSourceNames[i] == name) return static_cast<DraftSource>(i);
  return std::nullopt;
}

}  // namespace deepwell
