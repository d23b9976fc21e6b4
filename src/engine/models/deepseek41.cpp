// SPDX-License-Identifier: Apache-2.0
// DeepSeek V4.1-Flash: known, not run; docs/models.md says what it would take.
#include "engine/models/model.h"

namespace deepwell {
Architecture architecture_deepseek41() {
  return {
      "deepseek41", nullptr, nullptr,
      "DeepSeek V4.1 looks words up in memory tables (Engram), shares keys and selections across layers, "
      "selects in two steps and mixes its streams one step late, none of which is here yet; get DeepSeek V4"};
}
}  // namespace deepwell
