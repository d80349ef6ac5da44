/* Custom activations, by the table that vgsim/_networks/custom_activation.py makes of φ and φ'.

   A table p is an array of reals:

     p[0], p[1]   ends of the domain of the pieces
     p[2], p[3]   cuts: φ is on its tails for t ≤ p[2] and for t > p[3]
     p[4 …], p[8 …]  left and right tail: a, s, and signs of the rests of φ and φ'
     p[CUSTOM_HEAD …]  a table of two piecewise polynomials P and Q (vg_pieces.h)

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

/* φ and φ' at t: between the cuts P and Q, beyond them the parts of the tails. */
typedef struct {
    V P, Q;
    I left, right;
    V a, s, value_sign, slope_sign;
} custom;

INLINE custom custom_at(V t, const real *p)
{
    V c[2 * CUSTOM_COUNT];
    V f = look_up(p + CUSTOM_HEAD, vmin(vmax(t, splat(p[0])), splat(p[1])), 2 * CUSTOM_COUNT, c);
    return (custom){.P = piece_value(c, CUSTOM_COUNT, f),
                    .Q = piece_value(c + CUSTOM_COUNT, CUSTOM_COUNT, f),
                    .left = t <= p[2],
                    .right = t > p[3]};
}

INLINE void set_tails(custom *c, V t, const real *p)
{
    I ends = (t < p[0]) | (t > p[1]);
    V *tails[] = {&c->a, &c->s, &c->value_sign, &c->slope_sign};
    for (int k = 0; k < 4; k++) *tails[k] = choose(c->right, splat(p[8 + k]), splat(p[4 + k]));
    c->value_sign = choose(ends, splat(0), c->value_sign);
    c->slope_sign = choose(ends, splat(0), c->slope_sign);
}

/* φ(t) `unit`, given t `unit` exactly. `at_zero`: φ(0) = 0. */
INLINE V phi_custom(V t, V unit, V t_unit, int at_zero, const real *p, V *slope)
{
    custom c = custom_at(t, p);
    V value = (at_zero ? t_unit : unit) * c.P;
    I beyond = c.left | c.right;
    *slope = c.Q;
    if (some(beyond)) {
        set_tails(&c, t, p);
        V rest = c.value_sign * vexp2(vmin(c.P, splat(EXP2_LIMIT)));
        value = choose(beyond, c.s * t_unit + (c.a + rest) * unit, value);
        *slope = choose(beyond, c.s + c.slope_sign * vexp2(vmin(c.Q, splat(EXP2_LIMIT))), *slope);
    }
    return value;
}

INLINE tail tail_of_custom(V t, V excess, int at_zero, const real *p)
{
    custom c = custom_at(t, p);
    I beyond = c.left | c.right, straight;
    set_tails(&c, t, p);
    V line = c.a + c.s * t, own = c.P, own_sign = sign_of(c.P);
    V own_log2 = vlog2(vabs(own));
    if (at_zero) own_log2 += vlog2(vabs(t)) + vmin(excess, splat(0)), own_sign *= sign_of(t);
    straight = line != 0;
    V far = choose(straight, vlog2(vabs(line)) + choose(c.s != 0, vmax(excess, splat(0)), splat(0)), c.P);
    V far_slope = choose(c.s != 0, vlog2(vabs(c.s)), c.Q), none = splat(-EXPONENT_LIMIT);
    tail found = {.value_sign = choose(beyond, choose(straight, sign_of(line), c.value_sign), own_sign),
                  .slope_sign = choose(beyond, choose(c.s != 0, sign_of(c.s), c.slope_sign), sign_of(c.Q))};
    found.value_log2 = choose(found.value_sign == 0, none, choose(beyond, far, own_log2));
    found.slope_log2 = choose(found.slope_sign == 0, none, choose(beyond, far_slope, vlog2(vabs(c.Q))));
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
