// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace deepwell {

/// A token's bytes as text, U+FFFD for what is not UTF-8 by itself.
std::string readable(std::string_view bytes);
/// The same, but "bytes:\xe4\xbd" when it is not, so that different tokens keep different names.
std::string readable_or_bytes(std::string_view bytes);
/// Code points that start in `bytes`.
std::size_t characters_in(std::string_view bytes);
nlohmann::json bytes_of(std::string_view bytes);
/// JSON has no infinity: OpenAI writes -9999 for "never".
double finite(float logprob);

}  // namespace deepwell
