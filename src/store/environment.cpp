// SPDX-License-Identifier: Apache-2.0
#include "store/environment.h"

#include <strings.h>

#include <cstdlib>

namespace deepwell {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool environment_flag(const char* name) {
  const std::string value = environment(name);
  for (const char* yes : {"1", "true", "yes", "on"})
    if (::strcasecmp(value.c_str(), yes) == 0) return true;
  return false;
}

}  // namespace deepwell
