/* Vectors of the native width whose lanes are different samples. Only +, −, ×, ÷, √, integer
   operations and selections are used, so that a lane has the same bits on every instruction set. */
#ifndef VG_VEC_H
#define VG_VEC_H

#include "vg_machine.h"

#if defined(__AVX512F__)
#include <immintrin.h>
#define VG_BYTES 64
#elif defined(__AVX2__)
#include <immintrin.h>
#define VG_BYTES 32
#elif defined(__SSE2__)
#include <emmintrin.h>
#define VG_BYTES 16
#else
#define VG_BYTES 16
#endif

#define INLINE static inline __attribute__((always_inline))
#define NOINLINE __attribute__((noinline))
#define VECTOR __attribute__((vector_size(VG_BYTES)))

/* V: reals, I and U: signed and unsigned integers of the same size, W: 64-bit slots. */
#if VG_BITS == 32
typedef float real;
typedef float V VECTOR;
typedef int32_t I VECTOR;
typedef uint32_t U VECTOR;
typedef int32_t lane_int;
typedef uint32_t lane_bits;
#define SIGNIFICAND_BITS 23
#define EXPONENT_BIAS 127
#define COEFFICIENTS(name) name##_32
#else
typedef double real;
typedef double V VECTOR;
typedef int64_t I VECTOR;
typedef uint64_t U VECTOR;
typedef int64_t lane_int;
typedef uint64_t lane_bits;
#define SIGNIFICAND_BITS 52
#define EXPONENT_BIAS 1023
#define COEFFICIENTS(name) name##_64
#endif
typedef uint64_t W VECTOR;

_Static_assert(sizeof(V) == VG_BYTES && sizeof(I) == VG_BYTES && sizeof(W) == VG_BYTES,
               "vectors do not have the native width");

#define LANES ((int)(sizeof(V) / sizeof(real)))
#define SLOTS ((int)(sizeof(W) / sizeof(uint64_t)))

#define splat(x) ((real)(x) - (V){0})
#define splat_int(x) ((lane_int)(x) + (I){0})
#define splat_word(x) ((uint64_t)(x) + (W){0})

#define SIGN_BIT ((U){0} + ((lane_bits)1 << (8 * sizeof(real) - 1)))

INLINE V choose(I mask, V a, V b) { return (V)((mask & (I)a) | (~mask & (I)b)); }
INLINE I choose_int(I mask, I a, I b) { return (mask & a) | (~mask & b); }
INLINE I imin(I a, I b) { return choose_int(a < b, a, b); }
INLINE I imax(I a, I b) { return choose_int(a > b, a, b); }
INLINE V vabs(V a) { return (V)((U)a & ~SIGN_BIT); }
INLINE V with_sign(V magnitude, V sign) { return (V)((U)magnitude | ((U)sign & SIGN_BIT)); }

INLINE int any(I mask)
{
    lane_int seen = 0;
    for (int k = 0; k < LANES; k++) seen |= mask[k];
    return seen != 0;
}

INLINE V vsqrt(V a)
{
#if VG_BYTES == 64 && VG_BITS == 32
    return (V)_mm512_sqrt_ps((__m512)a);
#elif VG_BYTES == 64
    return (V)_mm512_sqrt_pd((__m512d)a);
#elif VG_BYTES == 32 && VG_BITS == 32
    return (V)_mm256_sqrt_ps((__m256)a);
#elif VG_BYTES == 32
    return (V)_mm256_sqrt_pd((__m256d)a);
#elif defined(__SSE2__) && VG_BITS == 32
    return (V)_mm_sqrt_ps((__m128)a);
#elif defined(__SSE2__)
    return (V)_mm_sqrt_pd((__m128d)a);
#else
    for (int k = 0; k < LANES; k++) a[k] = sizeof(real) == 4 ? __builtin_sqrtf(a[k]) : __builtin_sqrt(a[k]);
    return a;
#endif
}

/* a < b ? a : b, and a > b ? a : b. */
#if VG_BYTES == 64 && VG_BITS == 32
INLINE V vmin(V a, V b) { return (V)_mm512_min_ps((__m512)a, (__m512)b); }
INLINE V vmax(V a, V b) { return (V)_mm512_max_ps((__m512)a, (__m512)b); }
#elif VG_BYTES == 64
INLINE V vmin(V a, V b) { return (V)_mm512_min_pd((__m512d)a, (__m512d)b); }
INLINE V vmax(V a, V b) { return (V)_mm512_max_pd((__m512d)a, (__m512d)b); }
#elif VG_BYTES == 32 && VG_BITS == 32
INLINE V vmin(V a, V b) { return (V)_mm256_min_ps((__m256)a, (__m256)b); }
INLINE V vmax(V a, V b) { return (V)_mm256_max_ps((__m256)a, (__m256)b); }
#elif VG_BYTES == 32
INLINE V vmin(V a, V b) { return (V)_mm256_min_pd((__m256d)a, (__m256d)b); }
INLINE V vmax(V a, V b) { return (V)_mm256_max_pd((__m256d)a, (__m256d)b); }
#else
INLINE V vmin(V a, V b) { return choose(a < b, a, b); }
INLINE V vmax(V a, V b) { return choose(a > b, a, b); }
#endif

/* The 64-bit product of the low halves of the slots. */
INLINE W widening_product(W a, W b)
{
#if VG_BYTES == 64
    return (W)_mm512_mul_epu32((__m512i)a, (__m512i)b);
#elif VG_BYTES == 32
    return (W)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#elif defined(__SSE2__)
    return (W)_mm_mul_epu32((__m128i)a, (__m128i)b);
#else
    return (a & 0xffffffff) * (b & 0xffffffff);
#endif
}

/* The high halves of the slots in their low halves; the new high halves are of no use. */
INLINE W high_halves(W a)
{
#if VG_BYTES == 64
    return (W)_mm512_shuffle_epi32((__m512i)a, 0xf5);
#else
    return a >> 32;
#endif
}

/* The low halves of the slots of two vectors, by turns. */
INLINE U interleaved(W even, W odd)
{
#if VG_BYTES == 64
    return (U)_mm512_mask_shuffle_epi32((__m512i)even, 0xaaaa, (__m512i)odd, 0xa0);
#elif VG_BYTES == 32
    return (U)_mm256_blend_epi32((__m256i)even, _mm256_shuffle_epi32((__m256i)odd, 0xa0), 0xaa);
#else
    return (U)((even & 0xffffffff) | odd << 32);
#endif
}

#if VG_BITS == 32
INLINE V to_real(I a) { return __builtin_convertvector(a, V); }
#endif

/* e · 2^SIGNIFICAND_BITS modulo the size of a lane, also for e < 0: e in the place of the exponent. */
INLINE I as_exponent(I e) { return (I)((U)e << SIGNIFICAND_BITS); }

/* 2^e for −126 ≤ e ≤ 127 (−1022 ≤ e ≤ 1023). */
INLINE V power_of_two(I e) { return (V)as_exponent(e + EXPONENT_BIAS); }

/* value · 2^exponent with 1 ≤ value < 2, or value = 0 and exponent = 0. The exponent saturates. */
typedef struct {
    V value;
    I exponent;
} scaled;

#define EXPONENT_LIMIT ((1 << 30) - 256) /* a sum of two exponents fits in 32 bits */

INLINE I saturate(I e) { return imin(imax(e, splat_int(-EXPONENT_LIMIT)), splat_int(EXPONENT_LIMIT)); }

/* x 2^exponent for x ≥ 0. An x below the smallest normal number counts as zero. */
INLINE scaled normalised(V x, I exponent)
{
    I bits = (I)x, some = (bits >> SIGNIFICAND_BITS) > 0;
    I value =
        (bits & (((lane_int)1 << SIGNIFICAND_BITS) - 1)) | ((lane_int)EXPONENT_BIAS << SIGNIFICAND_BITS);
    I e = saturate(exponent + (bits >> SIGNIFICAND_BITS) - EXPONENT_BIAS);
    return (scaled){(V)(some & value), some & e};
}

INLINE scaled scaled_product(scaled a, scaled b)
{
    return normalised(a.value * b.value, a.exponent + b.exponent);
}

INLINE scaled scaled_number(double x)
{
    union {
        double real;
        int64_t bits;
    } u = {x};
    int64_t e = (u.bits >> 52) - 1023;
    u.bits = (u.bits & 0xfffffffffffff) | 0x3ff0000000000000;
    if (x == 0) return (scaled){splat(0), splat_int(0)};
    return normalised(splat(u.real), splat_int(e)); /* rounding to real may give 2 */
}

INLINE I scaled_less(scaled a, scaled b)
{
    I nonzero_b = b.value > 0, zero_a = a.value == 0;
    I less = (a.exponent < b.exponent) | ((a.exponent == b.exponent) & (a.value < b.value));
    return nonzero_b & (zero_a | less);
}

INLINE scaled scaled_choose(I mask, scaled a, scaled b)
{
    return (scaled){choose(mask, a.value, b.value), choose_int(mask, a.exponent, b.exponent)};
}

#endif
