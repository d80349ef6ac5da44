/* What the arithmetic assumes of the machine and the compiler, tested when it is compiled. */
#ifndef VG_MACHINE_H
#define VG_MACHINE_H

#include <float.h>
#include <stddef.h>
#include <stdint.h>

/* Results must have the same bits on every machine: each operation rounds to the type of its
   operands, and is neither reassociated nor left out. */
#if FLT_EVAL_METHOD != 0
#error "vgsim needs FLT_EVAL_METHOD = 0. x87 evaluates with more digits: compile for x86-64"
#endif
#if defined(__FAST_MATH__) || __FINITE_MATH_ONLY__
#error "vgsim must be compiled without -ffast-math and -ffinite-math-only"
#endif

/* Random words are put together in lanes of another size (vg_draws.h). */
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "vgsim needs a little-endian machine"
#endif

_Static_assert(sizeof(float) == 4 && FLT_RADIX == 2 && FLT_MANT_DIG == 24 && FLT_MAX_EXP == 128,
               "float is not binary32 of IEEE 754");
_Static_assert(sizeof(double) == 8 && DBL_MANT_DIG == 53 && DBL_MAX_EXP == 1024,
               "double is not binary64 of IEEE 754");
_Static_assert((int32_t)UINT32_MAX == -1 && (int64_t)UINT64_MAX == -1,
               "a conversion to a signed integer does not keep the bits");
_Static_assert((int32_t)-5 >> 1 == -3 && (int64_t)-5 >> 1 == -3, "a right shift does not extend the sign");
_Static_assert(sizeof(int) == 4, "int does not have 32 bits");
_Static_assert(sizeof(size_t) == 8, "sizes of arrays need a 64-bit address space");

#endif
