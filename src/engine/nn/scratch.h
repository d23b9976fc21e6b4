// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

namespace deepwell {

/// Memory of one step: taken in turn, given back all at once. Address space is reserved at first; what a step
/// reached stays usable, so that a step like one before it allocates nothing, and what no step reached takes
/// no memory. 64-byte aligned. One thread. Without memory it throws std::bad_alloc, which whoever runs the
/// step turns into an error.
class Scratch {
 public:
  Scratch() = default;
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  template <class T>
  T* take(std::int64_t count) {
    return reinterpret_cast<T*>(take_bytes(static_cast<std::size_t>(count) * sizeof(T)));
  }
  /// Everything taken since the mark is free again.
  std::size_t mark() const { return used_; }
  void release(std::size_t mark) { used_ = mark; }
  std::size_t bytes() const { return usable_; }  ///< the most that steps took, about

 private:
  std::byte* take_bytes(std::size_t bytes);
  void grow(std::size_t bytes);

  std::byte* memory_ = nullptr;
  std::size_t reserved_ = 0, usable_ = 0, used_ = 0;
};

/// Frees what a block took.
class ScratchScope {
 public:
  explicit ScratchScope(Scratch& scratch) : scratch_(scratch), mark_(scratch.mark()) {}
  ~ScratchScope() { scratch_.release(mark_); }
  ScratchScope(const ScratchScope&) = delete;
  ScratchScope& operator=(const ScratchScope&) = delete;

 private:
  Scratch& scratch_;
  std::size_t mark_;
};

}  // namespace deepwell
