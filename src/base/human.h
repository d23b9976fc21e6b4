// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace deepwell {

/// "999 B", "98.9 MB", "404 GB": decimal units, as disks and model hubs count; three digits.
std::string human_bytes(std::int64_t bytes);
/// "999", "134.5M", "671B": for counts of parameters and tokens.
std::string human_count(std::int64_t count);
/// "3s", "4m05s", "2h07m": for waiting times. Below zero or beyond 99 days: "?".
std::string human_duration(double seconds);
/// 1234567 as "1,234,567".
std::string grouped(std::int64_t number);

/// Foreign text made safe to print on one line: control characters and bytes that are not UTF-8 become
/// \n, \t or \xHH, and what goes beyond `bytes_max` (at a character border) is cut with "...".
std::string printable(std::string_view text, std::size_t bytes_max = 1024);

}  // namespace deepwell
