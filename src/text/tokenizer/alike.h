// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace deepwell {

/// A number for each token, the same for those that read alike but for case, accents, Unicode's form and
/// blanks; numbers are given in order of first appearance. Tokens are as byte-level vocabularies write them;
/// one that is no whole text, part of a character, is like none but itself. This is what the hashes of
/// DeepSeek V4.1's memory (Engram) see of a text, so it must be what training had, bit for bit.
///
/// Source    DeepSeek V4.1-Flash, inference/engram.py, by way of docs/deepseek-v4.1.md.
std::vector<std::int32_t> numbers_of_alike(std::span<const std::string> tokens);

}  // namespace deepwell
