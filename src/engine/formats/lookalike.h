// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace deepwell {

/// For a file that is not a GGUF: what its first bytes look like, and what to do about it, as the rest of a
/// sentence. "it looks like an HTML page, ...; fetch the file itself".
std::string describe_lookalike(std::span<const std::byte> file);

}  // namespace deepwell
