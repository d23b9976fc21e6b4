// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "base/result.h"
#include "text/tokenizer/tokenizer.h"

namespace deepwell {

/// Reads a tokenizer.json of Hugging Face tokenizers, type BPE, byte level.
///
/// What it cannot do exactly is kUnsupported and named: other models, normalizers beyond NFC, pre-tokenizers
/// beyond Split (isolated), Digits and ByteLevel, added tokens that strip or match whole words, templates
/// beyond one token before and one after. The file does not name its first and last tokens; the
/// post-processor's template gives them, else the texts DeepSeek and its relatives use. What
/// tokenizer_config.json says (add_bos_token, ...) a caller may set before making the Tokenizer.
Result<Vocabulary> vocabulary_from_json(std::string_view json);

}  // namespace deepwell
