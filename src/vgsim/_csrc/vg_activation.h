/* Activations of scaled numbers h = ĥ 2^E, with one integer E per lane.

   phi_NAME(ĥ, g, p, &slope) returns ŷ and sets slope to φ'(h). Here φ(h) = ŷ 2^e, and the kind of
   the activation determines e and ŷ, with t = ĥ 2^E:

     homogeneous  e = E            ŷ = φ(ĥ), or ĥ times a bounded function of t
     saturating   e = min(E, 0)    ŷ = φ(t) 2^-e: φ is odd and bounded, and φ(h) ~ h at 0
     bounded      e = 0            ŷ = φ(t)
     rising       e = max(E, 0)    ŷ = φ(t) 2^-e: φ(0) > 0, and φ(h) ~ h at infinity

   In t, E is clipped to ±60. Where larger |E| matters, the tail functions are used.

   In the tails of a smooth activation φ or φ' underflows although it is not 0. There
   tail_NAME(t, excess, p) gives the signs and base-2 logarithms of φ(h) and φ'(h) at
   h = t 2^excess, where excess ≠ 0 only if E was clipped. It is used for the samples in which all
   units of the layer are in a tail (vg_layer.h). Activations whose φ and φ' are exactly 0 there, or
   never underflow, have no tail function.

   To add an activation, write its two functions and add its line to VG_ACTIVATIONS. */
#ifndef VG_ACTIVATION_H
#define VG_ACTIVATION_H

#include "vg_math.h"

/*      name        kind         tail */
#define VG_ACTIVATIONS(X)            \
    X(linear, HOMOGENEOUS, none)     \
    X(relu, HOMOGENEOUS, none)       \
    X(leaky_relu, HOMOGENEOUS, none) \
    X(elu, HOMOGENEOUS, elu)         \
    X(selu, HOMOGENEOUS, selu)       \
    X(gelu, HOMOGENEOUS, gelu)       \
    X(silu, HOMOGENEOUS, silu)       \
    X(softplus, RISING, softplus)    \
    X(sigmoid, BOUNDED, sigmoid)     \
    X(tanh, SATURATING, tanh)        \
    X(hard_tanh, SATURATING, none)   \
    X(erf, SATURATING, erf)          \
    X(softsign, SATURATING, softsign)

/* Given by a table (vg_custom.h); the kind and φ(0) decide. */
#define VG_CUSTOM_ACTIVATIONS(X)                    \
    X(custom_homogeneous, HOMOGENEOUS, custom_zero) \
    X(custom_saturating, SATURATING, custom_zero)   \
    X(custom_bounded, BOUNDED, custom_other)        \
    X(custom_rising, RISING, custom_other)

enum { HOMOGENEOUS, SATURATING, BOUNDED, RISING };

typedef struct {
    V in;  /* 2^E: t = ĥ in */
    V out; /* 2^-E */
    V cap; /* 2^-min(E, 0) */
    V excess; /* E minus the clipped E */
} gauge;

typedef struct {
    V value_log2, value_sign, slope_log2, slope_sign; /* a sign is −1, 0 or 1 */
} tail;

typedef const real *parameters;

#define EXPONENT_CUT 60

INLINE gauge gauge_of(I exponent)
{
    I e = imin(imax(exponent, splat_int(-EXPONENT_CUT)), splat_int(EXPONENT_CUT));
    return (gauge){power_of_two(e), power_of_two(-e), power_of_two(-imin(e, splat_int(0))),
                   __builtin_convertvector(exponent - e, V)};
}

INLINE I value_exponent(int kind, I e)
{
    switch (kind) {
    case HOMOGENEOUS: return e;
    case SATURATING: return imin(e, splat_int(0));
    case RISING: return imax(e, splat_int(0));
    default: return splat_int(0);
    }
}

INLINE V sign_of(V h) { return choose(h == 0, splat(0), with_sign(splat(1), h)); }

#define PHI(name) INLINE V phi_##name(V h, const gauge *g, parameters p, V *slope)
#define TAIL(name) INLINE tail tail_##name(V t, V excess, parameters p)

/* log2 |h| */
INLINE V log2_size(V t, V excess) { return vlog2(vabs(t)) + excess; }
#define UNUSED(x) (void)(x)

TAIL(none)
{
    UNUSED(p);
    return (tail){t, excess, t, t};
}

/* Piecewise linear. */

PHI(linear)
{
    UNUSED(g), UNUSED(p);
    *slope = splat(1);
    return h;
}

PHI(relu)
{
    UNUSED(g), UNUSED(p);
    I on = h > 0;
    *slope = choose(on, splat(1), splat(0));
    return choose(on, h, splat(0));
}

PHI(leaky_relu)
{
    UNUSED(g);
    *slope = choose(h > 0, splat(1), splat(p[0]));
    return h * *slope;
}

PHI(hard_tanh)
{
    UNUSED(p);
    V t = h * g->in;
    *slope = choose(vabs(t) < 1, splat(1), splat(0));
    return vmin(vmax(t, splat(-1)), splat(1)) * g->cap;
}

/* ELU: h for h > 0, else α (eʰ − 1). SELU: λ times ELU. */

INLINE V exponential_linear(V h, const gauge *g, real positive, real negative, V *slope)
{
    V tail, scale = exp2_parts(vmin(h * g->in, splat(0)) * LOG2_E, 0, &tail);
    *slope = choose(h > 0, splat(positive), negative * (scale + tail));
    return choose(h > 0, positive * h, negative * g->out * ((scale - 1) + tail));
}

INLINE tail exponential_linear_tail(V t, V excess, real positive, real negative)
{
    V rest, scale = exp2_parts(-vabs(t) * LOG2_E, 0, &rest), size = choose(t > 0, t, (1 - scale) - rest);
    V factor_log2 = choose(t > 0, vlog2(splat(positive)), vlog2(splat(negative)));
    V value = vlog2(size) + choose(t > 0, excess, vmin(excess, splat(0)));
    return (tail){value + factor_log2, sign_of(t), choose(t > 0, splat(0), t * LOG2_E) + factor_log2,
                  splat(1)};
}

#define SELU_ALPHA ((real)1.6732632423543772848)
#define SELU_LAMBDA ((real)1.0507009873554804934)

PHI(elu) { return exponential_linear(h, g, 1, p[0], slope); }
TAIL(elu) { return exponential_linear_tail(t, excess, 1, p[0]); }

PHI(selu)
{
    UNUSED(p);
    return exponential_linear(h, g, SELU_LAMBDA, SELU_LAMBDA * SELU_ALPHA, slope);
}

TAIL(selu)
{
    UNUSED(p);
    return exponential_linear_tail(t, excess, SELU_LAMBDA, SELU_LAMBDA * SELU_ALPHA);
}

/* Returns σ(t) = 1/(1 + e^-t); sets complement to 1 − σ(t) and decay to e^-|t|. */

INLINE V logistic(V t, V *complement, V *decay)
{
    V e = vexp(-vabs(t)), larger = 1 / (1 + e), smaller = e * larger;
    *decay = e;
    *complement = choose(t > 0, smaller, larger);
    return choose(t > 0, larger, smaller);
}

INLINE V log2_logistic(V t) { return (vmin(t, splat(0)) - log1p_unit(vexp(-vabs(t)))) * LOG2_E; }

PHI(sigmoid)
{
    UNUSED(p);
    V complement, decay, y = logistic(h * g->in, &complement, &decay);
    *slope = y * complement;
    return y;
}

TAIL(sigmoid)
{
    UNUSED(p), UNUSED(excess);
    V y = log2_logistic(t);
    return (tail){y, splat(1), y + log2_logistic(-t), splat(1)};
}

PHI(silu)
{
    UNUSED(p);
    V t = h * g->in, complement, decay, s = logistic(t, &complement, &decay);
    *slope = s * (1 + t * complement);
    return h * s;
}

TAIL(silu)
{
    UNUSED(p);
    V complement, decay, y = log2_logistic(t), factor;
    logistic(t, &complement, &decay);
    factor = 1 + t * complement;
    return (tail){log2_size(t, excess) + y, sign_of(t), vlog2(vabs(factor)) + y, sign_of(factor)};
}

PHI(softplus)
{
    UNUSED(p);
    V t = h * g->in, complement, decay, small = vmin(g->out, splat(1));
    *slope = logistic(t, &complement, &decay);
    return vmax(h, splat(0)) * (g->in * small) + small * log1p_unit(decay);
}

TAIL(softplus)
{
    UNUSED(p);
    V y = vmax(t, splat(0)) + log1p_unit(vexp(-vabs(t)));
    return (tail){choose(t < -40, t * LOG2_E, vlog2(y) + vmax(excess, splat(0))), splat(1), log2_logistic(t),
                  splat(1)};
}

/* Odd and saturating. With q = exp(−2|t|)/4: tanh |t| = (¼ − q)/(¼ + q), tanh' = q/(¼ + q)². */

PHI(tanh)
{
    UNUSED(p);
    V t = h * g->in, tail, scale = exp2_parts(vabs(t) * (-2 * LOG2_E), -2, &tail), quarter = scale + tail;
    V inverse = 1 / ((real)0.25 + quarter);
    *slope = quarter * (inverse * inverse);
    return with_sign((((real)0.25 - scale) - tail) * inverse * g->cap, t);
}

TAIL(tanh)
{
    UNUSED(p);
    V a = vabs(t), rest, scale = exp2_parts(a * (-2 * LOG2_E), 0, &rest);
    V size = ((1 - scale) - rest) / ((1 + scale) + rest),
      slope = 2 - 2 * (a + log1p_unit(scale + rest)) * LOG2_E;
    return (tail){vlog2(size) + vmin(excess, splat(0)), sign_of(t), slope, splat(1)};
}

PHI(softsign)
{
    UNUSED(p);
    V t = h * g->in, inverse = 1 / (1 + vabs(t));
    *slope = inverse * inverse;
    return t * inverse * g->cap;
}

TAIL(softsign)
{
    UNUSED(p);
    V log2_inverse = -(vlog2(1 + vabs(t)) + vmax(excess, splat(0)));
    return (tail){log2_size(t, excess) + log2_inverse, sign_of(t), 2 * log2_inverse, splat(1)};
}

/* erf t for t ≥ 0: a polynomial for t < 1, else 1 − exp(−t²) erfcx(t). */

#define TWO_OVER_ROOT_PI ((real)1.1283791670955126)

INLINE V erf_positive(V a, V *gaussian)
{
    *gaussian = vexp(-(a * a));
    V inner = a * POLYNOMIAL(vmin(a * a, splat(1)), ERF);
    return choose(a < 1, inner, 1 - *gaussian * erfcx(a));
}

PHI(erf)
{
    UNUSED(p);
    V t = h * g->in, gaussian, y = erf_positive(vabs(t), &gaussian);
    *slope = TWO_OVER_ROOT_PI * gaussian;
    return with_sign(y * g->cap, t);
}

TAIL(erf)
{
    UNUSED(p);
    V gaussian, y = erf_positive(vabs(t), &gaussian);
    return (tail){vlog2(y) + vmin(excess, splat(0)), sign_of(t),
                  vlog2(splat(TWO_OVER_ROOT_PI)) - t * t * LOG2_E, splat(1)};
}

/* GELU: h Φ(h) with the slope Φ(h) + h Φ'(h), Φ the normal distribution function. For a ≥ 0,
   Φ(−a) = Φ'(a) m(a) with Mills' ratio m. */

#define ROOT_HALF_PI ((real)1.2533141373155003)
#define INVERSE_ROOT_TWO_PI ((real)0.3989422804014327)

INLINE V mills_ratio(V a) { return ROOT_HALF_PI * erfcx(a * SQRT_HALF); }

PHI(gelu)
{
    UNUSED(p);
    V t = h * g->in, a = vabs(t);
    V density = INVERSE_ROOT_TWO_PI * vexp2(a * a * (LOG2_E * (real)-0.5)), m = mills_ratio(a);
    V lower = density * m, cdf = choose(t > 0, 1 - lower, lower);
    *slope = choose(t > 0, cdf + t * density, density * (m - a));
    return h * cdf;
}

TAIL(gelu)
{
    UNUSED(p);
    V a = vabs(t), m = mills_ratio(a), half = t * t * (real)(0.5 * 1.4426950408889634);
    V log2_density = vlog2(splat(INVERSE_ROOT_TWO_PI)) - half;
    V lower = vexp(a * a * (real)-0.5) * INVERSE_ROOT_TWO_PI * m, rest = m - a;
    V log2_cdf = choose(t > 0, vlog2(1 - lower), log2_density + vlog2(m));
    V upper_slope = 1 - lower + a * (lower / m), lower_slope = log2_density + vlog2(vabs(rest));
    return (tail){log2_size(t, excess) + log2_cdf, sign_of(t), choose(t > 0, vlog2(upper_slope), lower_slope),
                  choose(t > 0, splat(1), sign_of(rest))};
}

#include "vg_custom.h"

#endif
