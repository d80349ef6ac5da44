/* exp, log, erfc and related functions by polynomials, with equal bits on all
   instruction sets. */
#ifndef VG_MATH_H
#define VG_MATH_H

#include "vg_coefficients.h"
#include "vg_vec.h"

#if VG_BITS == 32
#define ROUNDER 0x1.8p23f /* x + ROUNDER has the integer nearest to x in its low bits */
#define LN2_HIGH 0x1.62e4p-1f
#define LN2_LOW 0x1.7f7d1cp-20f
#define EXP2_LIMIT 125.0f
#else
#define ROUNDER 0x1.8p52
#define LN2_HIGH 0x1.62e42fefa2p-1
#define LN2_LOW 0x1.9ef35793c7673p-41
#define EXP2_LIMIT 1021.0
#endif
#define LOG2_E ((real)1.4426950408889634)
#define LN_2 ((real)0.6931471805599453)
#define SQRT_HALF ((real)0.7071067811865476)

#define POLYNOMIAL(x, name) polynomial(x, COEFFICIENTS(name), sizeof COEFFICIENTS(name) / sizeof(real))

/* c_0 + c_1 x + … by Estrin's scheme, whose chain of dependent operations is short. */
INLINE V polynomial(V x, const real *c, int count)
{
    V term[32];
#pragma GCC unroll 32
    for (int k = 0; k < count; k++) term[k] = splat(c[k]);
#pragma GCC unroll 8
    for (int left = count; left > 1; left = (left + 1) / 2, x = x * x)
#pragma GCC unroll 32
        for (int k = 0; k < left; k += 2) term[k / 2] = k + 1 < left ? term[k] + term[k + 1] * x : term[k];
    return term[0];
}

/* 2^(u + k) = scale + tail with scale = 2^round(u + k), for u ≤ 0 or slightly above; u + k is clipped
   below at −EXP2_LIMIT. Hence 2^u − 1 = (scale − 1) + tail up to rounding. */
INLINE V exp2_parts(V u, int k, V *tail)
{
    real shift = ROUNDER + EXPONENT_BIAS + k;
    u = vmax(u, splat(-EXP2_LIMIT - k));
    V shifted = u + shift, f = u - (shifted - shift);
    V scale = (V)as_exponent((I)shifted);
    *tail = (scale * f) * POLYNOMIAL(f, EXP2);
    return scale;
}

INLINE V vexp2(V u)
{
    V tail, scale = exp2_parts(u, 0, &tail);
    return scale + tail;
}

/* The relative error grows as ε |t|, which is also the effect of rounding t. */
INLINE V vexp(V t) { return vexp2(t * LOG2_E); }

/* log(1 + f) for √½ − 1 ≤ f ≤ √2 − 1. */
INLINE V log_near_one(V f)
{
#if VG_BITS == 32
    return f + f * f * POLYNOMIAL(f, LOG1P);
#else
    V s = f / (2 + f), w = s * s;
    return 2 * s + s * w * POLYNOMIAL(w, LOG_RATIO);
#endif
}

/* x = 2^e (1 + f) with √½ ≤ 1 + f < √2, x a positive normal number. */
INLINE V split(V x, V *f)
{
    I below = (I)splat(SQRT_HALF);
    I e = ((I)x - below) >> SIGNIFICAND_BITS;
    *f = (V)((I)x - as_exponent(e)) - 1;
    return (V)(e + (I)splat(ROUNDER)) - ROUNDER;
}

INLINE V vlog(V x)
{
    V f, e = split(x, &f);
    return e * LN2_HIGH + (e * LN2_LOW + log_near_one(f));
}

INLINE V vlog2(V x)
{
    V f, e = split(x, &f);
    return e + log_near_one(f) * LOG2_E;
}

/* log(1 + w) for 0 ≤ w ≤ 1. */
INLINE V log1p_unit(V w)
{
    I large = w > (real)0.41;
    V f = choose(large, (w - 1) * (real)0.5, w);
    return choose(large, splat(LN_2), splat(0)) + log_near_one(f);
}

/* exp(x²) erfc(x) for x ≥ 0: times x + 4 it is a polynomial in (x − 4)/(x + 4) = 1 − 8/(x + 4). */
INLINE V erfcx(V x)
{
    V inverse = 1 / (x + 4);
    return POLYNOMIAL(1 - 8 * inverse, ERFCX) * inverse;
}

#endif
