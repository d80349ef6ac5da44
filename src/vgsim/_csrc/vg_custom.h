/* Custom activations, by the table that vgsim/_networks/custom_functions.py makes of φ and φ'.

   A table p is an array of reals:

     p[0], p[1]   cuts: φ is on its tails for t ≤ p[0] and for t > p[1]
     p[2], p[3]   ends of the tables of the tails
     p[4 …], p[8 …]  left and right tail: a, s, and signs of the rests of φ and φ'
     p[12]        where the table of the tails begins
     p[CUSTOM_HEAD …]  the table between the cuts; both have two piecewise polynomials (vg_pieces.h)

   Between the cuts φ(t) = t P(t) if φ(0) = 0, else φ(t) = P(t), and φ'(t) = Q(t). On a tail
   φ(t) = a + s t ± 2^P(t) and φ'(t) = s ± 2^Q(t), without the rests beyond the ends. */
#ifndef VG_CUSTOM_H
#define VG_CUSTOM_H

#include "vg_pieces.h"

#define CUSTOM_HEAD 16
#if VG_BITS == 32
#define CUSTOM_COUNT 4
#else
#define CUSTOM_COUNT 8
#endif

typedef struct {
    V P, Q;
} custom;

/* P and Q of a table at t, which is clipped to [low, high]. */
INLINE custom custom_pieces(const real *table, V t, real low, real high)
{
    V c[2 * CUSTOM_COUNT], f = look_up(table, vmin(vmax(t, splat(low)), splat(high)), 2 * CUSTOM_COUNT, c);
    return (custom){piece_value(c, CUSTOM_COUNT, f), piece_value(c + CUSTOM_COUNT, CUSTOM_COUNT, f)};
}

INLINE I beyond_cuts(V t, const real *p) { return (t <= p[0]) | (t > p[1]); }

/* A tail: a sign is 0 where there is no rest. */
typedef struct {
    V a, s, value_sign, slope_sign;
    custom rest;
} custom_tail;

/* The tail on which t is; of no use where t is not beyond the cuts. */
INLINE custom_tail custom_tail_at(V t, I beyond, const real *p)
{
    V place = choose(beyond, t, splat(p[0]));
    custom_tail c = {.rest = custom_pieces(p + (int)p[12], place, p[2], p[3])};
    V *parts[] = {&c.a, &c.s, &c.value_sign, &c.slope_sign};
    I right = t > 0, known = (t >= p[2]) & (t <= p[3]);
    for (int k = 0; k < 4; k++) *parts[k] = choose(right, splat(p[8 + k]), splat(p[4 + k]));
    c.value_sign = choose(known, c.value_sign, splat(0));
    c.slope_sign = choose(known, c.slope_sign, splat(0));
    return c;
}

/* φ(t) `unit` and φ'(t) for the t beyond the cuts. Rarely called, and therefore not inlined. */
NOINLINE static void set_beyond(I beyond, V t, V unit, V t_unit, const real *p, V *value, V *slope)
{
    custom_tail c = custom_tail_at(t, beyond, p);
    V rest = c.value_sign * vexp2(vmin(c.rest.P, splat(EXP2_LIMIT)));
    V slope_rest = c.slope_sign * vexp2(vmin(c.rest.Q, splat(EXP2_LIMIT)));
    *value = choose(beyond, c.s * t_unit + (c.a + rest) * unit, *value);
    *slope = choose(beyond, c.s + slope_rest, *slope);
}

/* φ(t) `unit`, given t `unit` exactly. `at_zero`: φ(0) = 0. */
INLINE V phi_custom(V t, V unit, V t_unit, int at_zero, const real *p, V *slope)
{
    custom core = custom_pieces(p + CUSTOM_HEAD, t, p[0], p[1]);
    V value = (at_zero ? t_unit : unit) * core.P;
    I beyond = beyond_cuts(t, p);
    *slope = core.Q;
    if (some(beyond)) {
        V far = value, far_slope = core.Q;
        set_beyond(beyond, t, unit, t_unit, p, &far, &far_slope);
        value = far, *slope = far_slope;
    }
    return value;
}

NOINLINE static tail tail_of_custom(V t, V excess, int at_zero, const real *p)
{
    custom core = custom_pieces(p + CUSTOM_HEAD, t, p[0], p[1]);
    I beyond = beyond_cuts(t, p);
    custom_tail c = custom_tail_at(t, beyond, p);
    V line = c.a + c.s * t, none = splat(-EXPONENT_LIMIT);
    I sloped = c.s != 0, straight = line != 0;
    V near = vlog2(vabs(core.P)), near_sign = sign_of(core.P);
    if (at_zero) near += vlog2(vabs(t)) + vmin(excess, splat(0)), near_sign *= sign_of(t);
    V far = vlog2(vabs(line)) + choose(sloped, vmax(excess, splat(0)), splat(0));
    V far_slope = choose(sloped, vlog2(vabs(c.s)), c.rest.Q);
    tail found = {.value_sign = choose(beyond, choose(straight, sign_of(line), c.value_sign), near_sign),
                  .slope_sign = choose(beyond, choose(sloped, sign_of(c.s), c.slope_sign), sign_of(core.Q))};
    far = choose(beyond, choose(straight, far, c.rest.P), near);
    far_slope = choose(beyond, far_slope, vlog2(vabs(core.Q)));
    found.value_log2 = choose(found.value_sign == 0, none, far);
    found.slope_log2 = choose(found.slope_sign == 0, none, far_slope);
    return found;
}

PHI(custom_homogeneous) { return phi_custom(h * g->in, g->out, h, 1, p, slope); }
PHI(custom_saturating) { return phi_custom(h * g->in, g->cap, h * (g->in * g->cap), 1, p, slope); }

PHI(custom_bounded)
{
    V t = h * g->in;
    return phi_custom(t, splat(1), t, 0, p, slope);
}

PHI(custom_rising)
{
    V small = vmin(g->out, splat(1));
    return phi_custom(h * g->in, small, h * (g->in * small), 0, p, slope);
}

TAIL(custom_zero) { return tail_of_custom(t, excess, 1, p); }
TAIL(custom_other) { return tail_of_custom(t, excess, 0, p); }

#endif
