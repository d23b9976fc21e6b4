// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace deepwell {

/// Unicode's composed form, NFC (UAX #15): "e" and a combining accent become one letter. Bytes that are no
/// UTF-8 stay as they are and part the text beside them. Text that is composed already comes back as it is;
/// otherwise the result lies in `memory`. A run of more than 256 combining marks, which no writing has, is
/// composed in parts: ordering marks takes the square of their number.
std::string_view to_nfc(std::string_view text, std::string& memory);

}  // namespace deepwell
