// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace deepwell {

/// Cache entries (tokens) per page. Pages are the unit of allocation and of sharing.
inline constexpr int kPageTokens = 64;

}  // namespace deepwell
