// SPDX-License-Identifier: Apache-2.0
#include "base/version.h"

namespace deepwell {

std::string_view version() { return DEEPWELL_VERSION; }

}  // namespace deepwell
