/* Activations of scaled numbers h = ĥ 2^E, with one integer E per lane.

   phi_NAME(ĥ, g, p, &slope) returns ŷ and sets slope to φ'(h). Here φ(h) = ŷ 2^e, and the kind of
   the activation determines e and ŷ, with t = ĥ 2^E:

     homogeneous  e = E            ŷ = φ(ĥ), or ĥ times a bounded function of t
     saturating   e = min(E, 0)    ŷ = φ(t) 2^-e: φ is bounded, and φ(h) ~ h at 0, on one side or both
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
#define VG_ACTIVATIONS(X)                \
    X(linear, HOMOGENEOUS, none)         \
    X(relu, HOMOGENEOUS, none)           \
    X(leaky_relu, HOMOGENEOUS, none)     \
    X(elu, HOMOGENEOUS, elu)             \
    X(selu, HOMOGENEOUS, selu)           \
    X(gelu, HOMOGENEOUS, gelu)           \
    X(silu, HOMOGENEOUS, silu)           \
    X(softplus, RISING, softplus)        \
    X(sigmoid, BOUNDED, sigmoid)         \
    X(tanh, SATURATING, tanh)            \
    X(hard_tanh, SATURATING, none)       \
    X(erf, SATURATING, erf)              \
    X(softsign, SATURATING, softsign)    \
    X(mish, HOMOGENEOUS, mish)           \
    X(relu6, SATURATING, none)           \
    X(hard_sigmoid, BOUNDED, none)       \
    X(hard_swish, HOMOGENEOUS, none)     \
    X(gelu_tanh, HOMOGENEOUS, gelu_tanh) \
    X(sine, SATURATING, none)

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

PHI(relu6)
{
    UNUSED(p);
    V t = h * g->in;
    *slope = choose((t > 0) & (t < 6), splat(1), splat(0));
    return vmin(vmax(t, splat(0)), splat(6)) * g->cap;
}

/* min(max(t + 3, 0), 6)/6 */
INLINE V hard_logistic(V t) { return vmin(vmax(t + 3, splat(0)), splat(6)) * ((real)1 / 6); }

PHI(hard_sigmoid)
{
    UNUSED(p);
    V t = h * g->in;
    *slope = choose(vabs(t) < 3, splat((real)1 / 6), splat(0));
    return hard_logistic(t);
}

PHI(hard_swish)
{
    UNUSED(p);
    V t = h * g->in;
    *slope = choose(vabs(t) < 3, (t + t + 3) * ((real)1 / 6), choose(t > 0, splat(1), splat(0)));
    return h * hard_logistic(t);
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

/* Mish: h tanh(log(1 + eʰ)) = h N/(N + 2) with N = u (2 + u), u = eʰ, and the slope
   N/(N + 2) + 4 h u (1 + u)/(N + 2)². In terms of e = e^-|h| the numerators and denominators are

     h > 0    1 + 2e,     4 h e² (1 + e),  and M = 1 + 2e + 2e²
     h ≤ 0    e (2 + e),  4 h e (1 + e),   and M = 2 + 2e + e²

   The factor e of the second line may underflow: φ = h front ratio and φ' = front slope. */

typedef struct {
    V front, ratio, slope;
} mish_factors;

INLINE mish_factors mish_at(V t)
{
    I up = t > 0;
    V e = vexp(-vabs(t)), square = e * e, top = choose(up, 1 + 2 * e, 2 + e);
    V inverse = 1 / choose(up, top + 2 * square, 2 + e * top), ratio = top * inverse;
    V bend = choose(up, square, splat(1)) * (1 + e) * (inverse * inverse);
    return (mish_factors){choose(up, splat(1), e), ratio, ratio + 4 * t * bend};
}

PHI(mish)
{
    UNUSED(p);
    mish_factors m = mish_at(h * g->in);
    *slope = m.front * m.slope;
    return h * (m.front * m.ratio);
}

TAIL(mish)
{
    UNUSED(p);
    mish_factors m = mish_at(t);
    V front = vmin(t, splat(0)) * LOG2_E;
    return (tail){log2_size(t, excess) + front + vlog2(m.ratio), sign_of(t), front + vlog2(vabs(m.slope)),
                  sign_of(m.slope)};
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

/* GELU with tanh: ½ h (1 + tanh(v/2)) = h σ(v), v = c (h + k h³), with the slope
   σ(v) + h v' σ(v) σ(−v). Beyond `limit`, where |v| would overflow, h is clipped in v. */

#define GELU_SLOPE ((real)1.5957691216057308) /* 2 √(2/π) */
#define GELU_CUBE ((real)0.044715)

/* v; sets growth to h v'. */
INLINE V gelu_argument(V t, real limit, V *growth)
{
    t = vmin(vmax(t, splat(-limit)), splat(limit));
    V cube = GELU_CUBE * (t * t);
    *growth = GELU_SLOPE * t * (1 + 3 * cube);
    return GELU_SLOPE * t * (1 + cube);
}

PHI(gelu_tanh)
{
    UNUSED(p);
    V growth, complement, decay, v = gelu_argument(h * g->in, 32, &growth);
    V s = logistic(v, &complement, &decay);
    *slope = s * (1 + growth * complement);
    return h * s;
}

TAIL(gelu_tanh)
{
    UNUSED(p);
    V growth, complement, decay, v = gelu_argument(t, 0x1p20f, &growth), y = log2_logistic(v);
    logistic(v, &complement, &decay);
    V factor = 1 + growth * complement;
    return (tail){log2_size(t, excess) + y, sign_of(t), vlog2(vabs(factor)) + y, sign_of(factor)};
}

/* sin(ω h) with the slope ω cos(ω h). The angle is u quarter turns; u − round(u) is exact. Where it
   is 0, that is rounding: the distance of u from its exact value, about ε |u|, takes its place, so
   that neither φ nor φ' is 0 for h ≠ 0. From |u| = TURNS on, u is divided by the power of two that
   leaves TURNS ≤ |u| < 2 TURNS: the phase of larger angles is that of rounding errors. */

#define TWO_OVER_PI ((real)0.6366197723675814)
#if VG_BITS == 32
#define TURNS 12 /* log2 */
#define HALF_ULP 0x1p-24f
#else
#define TURNS 40
#define HALF_ULP 0x1p-53
#endif

PHI(sine)
{
    V u = h * g->in * (p[0] * TWO_OVER_PI);
    I excess = imax((((I)vabs(u)) >> SIGNIFICAND_BITS) - (EXPONENT_BIAS + TURNS), splat_int(0));
    u = (V)((I)u - as_exponent(excess));
    V shifted = u + ROUNDER, f = u - (shifted - ROUNDER);
    f = choose(f == 0, u * HALF_ULP, f);
    I quarter = (I)shifted, swap = (quarter & 1) != 0;
    V x = f + f, w = x * x, sine = x * POLYNOMIAL(w, SIN), cosine = POLYNOMIAL(w, COS);
    U odd = (U)quarter << (8 * sizeof(real) - 2) & SIGN_BIT;        /* sign of the sine: n & 2 */
    U next = (U)(quarter + 1) << (8 * sizeof(real) - 2) & SIGN_BIT; /* of the cosine: (n + 1) & 2 */
    *slope = p[0] * (V)((U)choose(swap, sine, cosine) ^ next);
    return (V)((U)choose(swap, cosine, sine) ^ odd) * g->cap;
}

#include "vg_custom.h"

#endif
