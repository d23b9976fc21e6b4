// SPDX-License-Identifier: Apache-2.0
// Llama 3 and the DeepSeek-R1 distills of it.
#include "text/tokenizer/scan.h"

namespace deepwell::pretokenizer {

PreTokenizer pretokenizer_pre_llama_bpe() {
  return {
      {{"llama-bpe", true}, {"llama3", true}, {"llama-v3", true}},
      {{R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
        cut_matches<line_word<3>>}},
      /*ignore_merges=*/true};
}

}  // namespace deepwell::pretokenizer
