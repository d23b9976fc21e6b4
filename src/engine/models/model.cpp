// SPDX-License-Identifier: Apache-2.0
#include "engine/models/model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/human.h"

namespace deepwell {

Result<Architecture> find_architecture(std::string_view name) {
  std::vector<std::string_view> names;
  for (const Architecture& architecture : all_architectures()) {
    if (architecture.name == name) return architecture;
    names.push_back(architecture.name);
  }
  return Error{
      ErrorCode::kUnsupported,
      fmt::format("architecture '{}' is not supported by this version (it runs {}); get a model of one of "
                  "these, or a newer deepwell",
                  printable(name, 64), fmt::join(names, ", "))};
}

}  // namespace deepwell
