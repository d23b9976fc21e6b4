// SPDX-License-Identifier: Apache-2.0
#include "engine/kernels/kernel.h"

#include <algorithm>

namespace deepwell {

std::vector<Kernel> usable_kernels(std::string_view op, Isa highest) {
  std::vector<Kernel> variants;
  for (const Kernel& kernel : all_kernels())
    if (kernel.op == op && kernel.isa <= highest && (kernel.usable == nullptr || kernel.usable()))
      variants.push_back(kernel);
  std::stable_sort(variants.begin(), variants.end(),
                   [](const Kernel& a, const Kernel& b) { return a.isa < b.isa; });
  return variants;
}

}  // namespace deepwell
