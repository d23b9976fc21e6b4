// SPDX-License-Identifier: Apache-2.0
#include "engine/nn/scratch.h"

#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <new>

namespace deepwell {
namespace {

constexpr std::size_t kAlign = 64;
constexpr std::size_t kGrowth = std::size_t{4} << 20;  // made usable together
constexpr std::size_t kReserved = std::size_t{1} << 38, kReservedLeast = std::size_t{64} << 20;

/// Addresses nobody may use yet cost nothing, but where the process is allowed few.
std::size_t wanted_addresses() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return kReserved;
  return std::clamp(static_cast<std::size_t>(limit.rlim_cur) / 8 / kGrowth * kGrowth, kReservedLeast,
                    kReserved);
}

}  // namespace

Scratch::~Scratch() {
  if (memory_ != nullptr) ::munmap(memory_, reserved_);
}

void Scratch::grow(std::size_t bytes) {
  if (memory_ == nullptr) {
    const std::size_t size = wanted_addresses();
    void* memory = ::mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    memory_ = static_cast<std::byte*>(memory);
    reserved_ = size;
  }
  const std::size_t usable = (bytes + kGrowth - 1) / kGrowth * kGrowth;
  if (usable > reserved_ || ::mprotect(memory_ + usable_, usable - usable_, PROT_READ | PROT_WRITE) != 0)
    throw std::bad_alloc();
  usable_ = usable;
}

std::byte* Scratch::take_bytes(std::size_t bytes) {
  if (bytes > kReserved) throw std::bad_alloc();
  bytes = (bytes + kAlign - 1) / kAlign * kAlign;
  if (used_ + bytes > usable_) grow(used_ + bytes);
  std::byte* at = memory_ + used_;
  used_ += bytes;
  return at;
}

}  // namespace deepwell
