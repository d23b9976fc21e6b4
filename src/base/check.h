// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace deepwell {
/// Prints where and what, then aborts. For bugs only: what the world can cause is a Result.
[[noreturn]] void check_failed(const char* file, int line, const char* condition);
}  // namespace deepwell

/// Kept in release builds: a broken invariant must not go on computing.
#define DW_CHECK(condition) \
  (__builtin_expect(!!(condition), 1) ? void(0) : ::deepwell::check_failed(__FILE__, __LINE__, #condition))
