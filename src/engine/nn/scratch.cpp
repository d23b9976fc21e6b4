// SPDX-License-Identifier: Apache-2.0
#include "engine/nn/scratch.h"

#include <algorithm>
#include <cstdlib>
#include <new>

namespace deepwell {
namespace {
constexpr std::size_t kAlign = 64;
constexpr std::size_t kSmallestChunk = std::size_t{1} << 20;
}  // namespace

void Scratch::Free::operator()(std::byte* memory) const { std::free(memory); }

std::byte* Scratch::take_bytes(std::size_t bytes) {
  bytes = (bytes + kAlign - 1) / kAlign * kAlign;
  while (chunk_ < chunks_.size() && used_ + bytes > chunks_[chunk_].size) {
    ++chunk_;
    used_ = 0;
  }
  if (chunk_ == chunks_.size()) {
    // As much again as there is: steps that each need a little more than the one before (a chat's prompts)
    // would otherwise leave behind a chunk of every size.
    const std::size_t size = std::max({bytes, kSmallestChunk, this->bytes()});
    auto* memory = static_cast<std::byte*>(std::aligned_alloc(kAlign, size));
    if (memory == nullptr) throw std::bad_alloc();
    chunks_.push_back({std::unique_ptr<std::byte, Free>(memory), size});
    used_ = 0;
  }
  std::byte* at = chunks_[chunk_].memory.get() + used_;
  used_ += bytes;
  return at;
}

std::size_t Scratch::bytes() const {
  std::size_t total = 0;
  for (const Chunk& chunk : chunks_) total += chunk.size;
  return total;
}

}  // namespace deepwell
