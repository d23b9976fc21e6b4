// SPDX-License-Identifier: Apache-2.0
#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace deepwell {
void check_failed(const char* file, int line, const char* condition) {
  std::fprintf(stderr, "%s:%d: check failed: %s (a bug in deepwell; please report it)\n", file, line,
               condition);
  std::abort();
}
}  // namespace deepwell
