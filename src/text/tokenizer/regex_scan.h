// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "text/tokenizer/pretokenizer.h"

namespace deepwell::pretokenizer {

/// A pass for a pattern without a hand-written scanner, on PCRE2 with its JIT.
///
/// Tokenizer files write for Oniguruma's Ruby syntax. What PCRE2 would silently read otherwise (\h, &&,
/// {n,m}+,
/// (?m...), verbs) is refused. PCRE2's own Unicode version decides the classes; it lags behind by some rare
/// characters. Bytes that are not UTF-8 match nothing: they stay in the gaps. A search that gives up at its
/// limit of steps leaves the rest of its piece uncut.
Result<std::unique_ptr<Pass>> make_regex_pass(const std::string& pattern);

/// A pattern that matches just this text.
std::string quote_regex(std::string_view text);

}  // namespace deepwell::pretokenizer
