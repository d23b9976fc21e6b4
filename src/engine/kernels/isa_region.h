// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <immintrin.h>

/// Code between BEGIN and END is compiled for an instruction set above the baseline. Include everything
/// before BEGIN: an inline function of a header compiled inside could be the copy the linker keeps, and
/// would crash an older CPU.
#define DW_PRAGMA(text) _Pragma(#text)
#if defined(__clang__)
#define DW_ISA_BEGIN(features) \
  DW_PRAGMA(clang attribute push(__attribute__((target(features))), apply_to = function))
#define DW_ISA_END DW_PRAGMA(clang attribute pop)
#else
#define DW_ISA_BEGIN(features) _Pragma("GCC push_options") DW_PRAGMA(GCC target(features))
#define DW_ISA_END _Pragma("GCC pop_options")
#endif

#define DW_AVX2_BEGIN DW_ISA_BEGIN("avx2,fma,f16c")
#define DW_AVX512_BEGIN DW_ISA_BEGIN("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
#define DW_AVX512_BF16_BEGIN \
  DW_ISA_BEGIN("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512bf16")
