// SPDX-License-Identifier: Apache-2.0
// Qwen2, Qwen2.5 and the DeepSeek-R1 distills of them.
#include "text/tokenizer/scan.h"

namespace deepwell::pretokenizer {

PreTokenizer pretokenizer_pre_qwen2() {
  return {
      {{"qwen2"}, {"deepseek-r1-qwen"}},
      {{R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
        cut_matches<line_word<1>>}}};
}

}  // namespace deepwell::pretokenizer
