// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/cpu.h"

namespace deepwell {

/// One variant of one operator: a file FOLDER/NAME.cpp, where the folder is the instruction set.
struct Kernel {
  using AnyFn = void (*)();
  std::string_view op;  ///< Op::kName, or for a family of operators Op::name(...)
  Isa isa;
  AnyFn fn;                    ///< Op::Fn*, cast
  bool (*usable)() = nullptr;  ///< beyond the ISA (BF16, VBMI); nullptr: always
};

template <class Op>
Kernel kernel_of(Isa isa, typename Op::Fn* fn, bool (*usable)() = nullptr) {
  return {Op::kName, isa, reinterpret_cast<Kernel::AnyFn>(fn), usable};
}

const std::vector<Kernel>& all_kernels();

/// The variants of `op` this machine can run, slowest ISA first.
std::vector<Kernel> usable_kernels(std::string_view op, Isa highest = best_isa());

/// The fastest variant; a missing operator is a bug.
template <class Op>
typename Op::Fn* best_kernel(Isa highest = best_isa()) {
  const std::vector<Kernel> variants = usable_kernels(Op::kName, highest);
  DW_CHECK(!variants.empty());
  return reinterpret_cast<typename Op::Fn*>(variants.back().fn);
}

}  // namespace deepwell
