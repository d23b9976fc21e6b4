// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace deepwell {

/// A tokenizer.json taken apart: the two large members as plain vectors, the rest as a document. A document
/// of all of it would cost several times the time and memory.
struct TokenizerDocument {
  std::vector<std::pair<std::string, std::int64_t>> vocab;  ///< model.vocab, in the order of the file
  std::vector<std::string> merges;                          ///< model.merges as "left right"
  nlohmann::json rest;                                      ///< everything else; "model" lacks those two
};
Result<TokenizerDocument> parse_tokenizer_document(std::string_view json);

}  // namespace deepwell
