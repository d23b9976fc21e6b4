// SPDX-License-Identifier: Apache-2.0
// GPT-2 and the many that kept its words.
#include "text/tokenizer/scan.h"

namespace deepwell::pretokenizer {

PreTokenizer pretokenizer_pre_gpt_2() { return {{{"gpt-2"}}, {{kGpt2Pattern, cut_matches<gpt2_word>}}}; }

}  // namespace deepwell::pretokenizer
