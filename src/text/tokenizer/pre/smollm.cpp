// SPDX-License-Identifier: Apache-2.0
// SmolLM and SmolLM2: each digit alone, then the words of GPT-2.
#include "text/tokenizer/scan.h"

namespace deepwell::pretokenizer {

PreTokenizer pretokenizer_pre_smollm() {
  return {{{"smollm"}},
          {{kDigits, cut_matches<short_run<is_digit_split, 1>, kNumberFirst>},
           {kGpt2Pattern, cut_matches<gpt2_word>}}};
}

}  // namespace deepwell::pretokenizer
