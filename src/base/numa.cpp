// SPDX-License-Identifier: Apache-2.0
#include "base/numa.h"

#include <linux/mempolicy.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

namespace deepwell {
namespace {

constexpr std::size_t kBits = 8 * sizeof(unsigned long), kMostNodeBits = 1024;  // as the kernel's

bool set_policy(void* memory, std::size_t bytes, int mode, std::span<const int> nodes) {
  if (bytes == 0) return true;
  std::array<unsigned long, kMostNodeBits / kBits> mask{};
  for (const int node : nodes) {
    const auto bit = static_cast<std::size_t>(node);
    if (bit >= kMostNodeBits) return false;
    mask[bit / kBits] |= 1UL << (bit % kBits);
  }
  // The kernel takes one off the number of bits.
  return ::syscall(SYS_mbind, memory, bytes, mode, mask.data(), kMostNodeBits + 1, 0) == 0;
}

}  // namespace

bool place_on_node(void* memory, std::size_t bytes, int node) {
  return set_policy(memory, bytes, MPOL_PREFERRED, {&node, 1});
}

bool spread_over_nodes(void* memory, std::size_t bytes, std::span<const int> nodes) {
  return set_policy(memory, bytes, MPOL_INTERLEAVE, nodes);
}

}  // namespace deepwell
