// SPDX-License-Identifier: Apache-2.0
#include "engine/nn/attend_kernels.h"

namespace deepwell {
namespace {

// From here on rounding a page costs less than it saves.
constexpr std::int64_t kRowsToRound = 8;

template <class F16, class Bf16, class F32, class Q8>
typename F16::Fn* exact_kernel(CacheType type) {
  static typename F16::Fn* const by_type[] = {best_kernel<F16>(), best_kernel<Bf16>(), best_kernel<F32>(),
                                              best_kernel<Q8>()};
  static_assert(static_cast<int>(CacheType::kQ8) == 3);
  return by_type[static_cast<std::size_t>(type)];
}

}  // namespace

AttendKernel::AttendKernel(CacheType type, bool exact, std::int64_t rows)
    : type_(type), rounded_(!exact && rows >= kRowsToRound && has_avx512_bf16()) {}

std::int64_t AttendKernel::scratch_floats(std::int64_t rows, std::int64_t key_width,
                                          std::int64_t value_width) const {
  return rounded_ ? attend_rounded_floats(rows, key_width, value_width)
                  : attend_scratch_floats(static_cast<int>(rows));
}

void AttendKernel::operator()(const AttendArgs& args) const {
  static AttendRounded::Fn* const rounded = best_kernel<AttendRounded>();
  if (rounded_) return rounded(args, type_);
  exact_kernel<AttendF16, AttendBf16, AttendF32, AttendQ8>(type_)(args);
}

void AttendKernel::operator()(const AttendLatentArgs& args) const {
  static AttendLatentRounded::Fn* const rounded = best_kernel<AttendLatentRounded>();
  if (rounded_) return rounded(args, type_);
  exact_kernel<AttendLatentF16, AttendLatentBf16, AttendLatentF32, AttendLatentQ8>(type_)(args);
}

}  // namespace deepwell
