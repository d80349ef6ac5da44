/* One layer of units: from raw products and biases to activations, slopes and their sums. */
#ifndef VG_LAYER_H
#define VG_LAYER_H

#include "vg_activation.h"
#include "vg_api.h"

/* Results of φ on a layer in the forward pass, which later stages need. */
typedef struct {
    V square;         /* Σ ŷ² */
    I value_exponent; /* x = ŷ 2^e */
    I in_tail;        /* samples in which φ of all units underflows: ŷ is computed by logarithms */
} outcome;

/* h_i = ĥ_i 2^E, ĥ_i = a raw_i. */
typedef struct {
    int64_t width;
    const V *raw;
    V a;
    I exponent; /* E */
    gauge gauge;
} layer;

/* The sums over the units of a layer from which its backward pass is computed: ŷ = φ(h) 2^-e,
   d = φ'(h), z = raw, and g a vector of normals. */
typedef struct {
    V yy, yg, gg; /* Σ ŷ², Σ ŷ g, Σ g² */
    V A, B, C;    /* Σ (d g)², Σ (d g)(d ŷ), Σ (d ŷ)² */
    V E, F;       /* Σ z d g, Σ z d ŷ */
    V zz, S, T;   /* Σ z², Σ d g, Σ d ŷ, where they are needed */
    V mean;       /* layer normalisation: the mean of z before it was subtracted */
    I exponent;   /* x = ŷ 2^e */
    I in_tail;    /* samples in which φ of all units underflows */
} sums;

/* Whether Σ ŷ² or Σ δ̂² has lost terms by underflow, or because a large E was clipped. */
#if VG_BITS == 32
#define TINY 0x1p-80f
#else
#define TINY 0x1p-800
#endif

INLINE I has_lost(V square, I exponent)
{
    return (square < TINY) | ((exponent > EXPONENT_CUT) & (square < (real)0x1p-40));
}

INLINE V pre_activation(const layer *l, int64_t i) { return l->a * l->raw[i]; }

typedef V phi_function(V, const gauge *, parameters, V *);
typedef tail tail_function(V, V, parameters);

/* The gauge of a layer; if E = 0 in all lanes, constants of a compiled loop. */
INLINE gauge gauge_for(const layer *l, int plain)
{
    return plain ? (gauge){splat(1), splat(1), splat(1), splat(0)} : l->gauge;
}

/* y ← φ(h); returns Σ y². */
INLINE V activate_units(const layer *l, parameters p, V *y, int plain, phi_function phi)
{
    gauge g = gauge_for(l, plain);
    V square = {0}, slope;
    for (int64_t i = 0; i < l->width; i++) {
        V value = phi(pre_activation(l, i), &g, p, &slope);
        y[i] = value;
        square += value * value;
    }
    return square;
}

/* y ← φ(h), d ← φ'(h); returns Σ y g. */
INLINE V recall_units(const layer *l, parameters p, V *restrict y, V *restrict d, const V *restrict g,
                      int plain, phi_function phi)
{
    gauge units = gauge_for(l, plain);
    V dot = {0};
    for (int64_t i = 0; i < l->width; i++) {
        V value = phi(pre_activation(l, i), &units, p, &d[i]);
        y[i] = value;
        dot += value * g[i];
    }
    return dot;
}

enum { PLAIN = 1, WHOLE = 2 }; /* constants of a compiled loop: E = 0; with zz, S and T */

/* s ← s + the sums over the units of l. */
INLINE void add_units(const layer *l, parameters p, const V *restrict g, sums *s, int known, phi_function phi)
{
    gauge units = gauge_for(l, known & PLAIN);
    sums t = {.yy = {0}};
    for (int64_t i = 0; i < l->width; i++) {
        V z = l->raw[i], d, y = phi(l->a * z, &units, p, &d), dy = d * y, dg = d * g[i];
        t.yy += y * y, t.yg += y * g[i], t.gg += g[i] * g[i];
        t.A += dg * dg, t.B += dg * dy, t.C += dy * dy;
        t.E += z * dg, t.F += z * dy;
        if (known & WHOLE) t.zz += z * z, t.S += dg, t.T += dy;
    }
    s->yy += t.yy, s->yg += t.yg, s->gg += t.gg;
    s->A += t.A, s->B += t.B, s->C += t.C;
    s->E += t.E, s->F += t.F;
    if (known & WHOLE) s->zz += t.zz, s->S += t.S, s->T += t.T;
}

INLINE tail tail_at(const layer *l, int64_t i, parameters p, tail_function f)
{
    return f(pre_activation(l, i) * l->gauge.in, l->gauge.excess, p);
}

/* For samples in the mask, y ← φ(h) 2^-e by logarithms. If e is not `known`, it is set to the
   integer part of max log2 |φ|. */
INLINE void tail_values(const layer *l, parameters p, I mask, I *e, int known, V *y, tail_function f)
{
    V limit = splat(-EXPONENT_LIMIT), top = limit;
    if (!known) {
        for (int64_t i = 0; i < l->width; i++) {
            tail t = tail_at(l, i, p, f);
            top = vmax(top, choose(t.value_sign == 0, limit, t.value_log2));
        }
        *e = choose_int(mask, __builtin_convertvector(top, I), *e);
    }
    V shift = __builtin_convertvector(*e, V);
    for (int64_t i = 0; i < l->width; i++) {
        tail t = tail_at(l, i, p, f);
        y[i] = choose(mask, t.value_sign * vexp2(vmax(t.value_log2, limit) - shift), y[i]);
    }
}

/* For samples in the mask, delta ← φ'(h) g 2^-e by logarithms; returns e, the integer part of
   max log2 |φ' g|. */
INLINE I tail_cotangents(const layer *l, parameters p, I mask, const V *g, V *delta, tail_function f)
{
    V limit = splat(-EXPONENT_LIMIT), top = limit;
    for (int64_t i = 0; i < l->width; i++) {
        tail t = tail_at(l, i, p, f);
        V size = t.slope_log2 + vlog2(vabs(g[i]));
        delta[i] =
            choose(mask, choose((g[i] == 0) | (t.slope_sign == 0), limit, vmax(size, limit)), delta[i]);
        top = vmax(top, delta[i]);
    }
    I e = __builtin_convertvector(choose(mask, top, splat(0)), I);
    V shift = __builtin_convertvector(e, V);
    for (int64_t i = 0; i < l->width; i++) {
        V sign = tail_at(l, i, p, f).slope_sign * sign_of(g[i]);
        delta[i] = choose(mask, sign * vexp2(delta[i] - shift), delta[i]);
    }
    return e;
}

typedef struct {
    int kind, has_tail;
    V (*activate)(const layer *, parameters, V *y);
    V (*recall)(const layer *, parameters, V *y, V *d, const V *g);
    void (*add)(const layer *, parameters, const V *g, sums *, int whole);
    void (*tail_values)(const layer *, parameters, I mask, I *e, int known, V *y);
    I (*tail_cotangents)(const layer *, parameters, I mask, const V *g, V *delta);
} activation;

#define HAS_TAIL(name) (sizeof #name != sizeof "none" || #name[0] != 'n')

/* f(l, …, plain, phi) with `plain` a constant. */
#define WHETHER_PLAIN(l, f, phi, ...)                            \
    if (any(l->exponent != 0)) return f(l, __VA_ARGS__, 0, phi); \
    return f(l, __VA_ARGS__, 1, phi);

#define LAYER_LOOPS(name, kind, tail)                                                           \
    static V activate_##name(const layer *l, parameters p, V *y)                                \
    {                                                                                           \
        WHETHER_PLAIN(l, activate_units, phi_##name, p, y)                                      \
    }                                                                                           \
    static V recall_##name(const layer *l, parameters p, V *y, V *d, const V *g)                \
    {                                                                                           \
        WHETHER_PLAIN(l, recall_units, phi_##name, p, y, d, g)                                  \
    }                                                                                           \
    static void add_##name(const layer *l, parameters p, const V *g, sums *s, int whole)        \
    {                                                                                           \
        if (any(l->exponent != 0))                                                              \
            add_units(l, p, g, s, WHOLE, phi_##name);                                           \
        else if (whole)                                                                         \
            add_units(l, p, g, s, PLAIN | WHOLE, phi_##name);                                   \
        else                                                                                    \
            add_units(l, p, g, s, PLAIN, phi_##name);                                           \
    }                                                                                           \
    static void tail_values_##name(const layer *l, parameters p, I mask, I *e, int known, V *y) \
    {                                                                                           \
        tail_values(l, p, mask, e, known, y, tail_##tail);                                      \
    }                                                                                           \
    static I tail_cotangents_##name(const layer *l, parameters p, I mask, const V *g, V *delta) \
    {                                                                                           \
        return tail_cotangents(l, p, mask, g, delta, tail_##tail);                              \
    }
VG_ACTIVATIONS(LAYER_LOOPS)
VG_CUSTOM_ACTIVATIONS(LAYER_LOOPS)

#define ACTIVATION_ROW(name, kind, tail)                                   \
    {kind,       HAS_TAIL(tail),     activate_##name,       recall_##name, \
     add_##name, tail_values_##name, tail_cotangents_##name},
static const activation activations[] = {VG_ACTIVATIONS(ACTIVATION_ROW)
                                             VG_CUSTOM_ACTIVATIONS(ACTIVATION_ROW)};

#define COUNT_ONE(name, kind, tail) +1
enum { BUILT_IN = 0 VG_ACTIVATIONS(COUNT_ONE), CUSTOM = 0 VG_CUSTOM_ACTIVATIONS(COUNT_ONE) };

/* The parameters of φ: two numbers, or its table, which begins at entry given[0] of all tables. */
INLINE parameters parameters_of(const activation *phi, const void *tables, const double given[2], real own[2])
{
    own[0] = (real)given[0], own[1] = (real)given[1];
    return phi - activations < BUILT_IN ? own : (const real *)tables + (int64_t)given[0];
}

/* Fills y, where x_l = y 2^e. */
static outcome forward_through(const activation *phi, parameters p, const layer *l, V *y)
{
    outcome o = {.value_exponent = value_exponent(phi->kind, l->exponent)};
    o.square = phi->activate(l, p, y);
    o.in_tail = -phi->has_tail & has_lost(o.square, l->exponent);
    if (any(o.in_tail)) {
        phi->tail_values(l, p, o.in_tail, &o.value_exponent, 0, y);
        V square = splat(0);
        for (int64_t i = 0; i < l->width; i++) square += y[i] * y[i];
        o.square = choose(o.in_tail, square, o.square);
    }
    return o;
}

/* Computes y again, as forward_through did, and d = φ'(h); returns Σ y g. */
static V recall(const activation *phi, parameters p, const layer *l, outcome o, V *y, V *d, const V *g)
{
    V dot = phi->recall(l, p, y, d, g);
    if (any(o.in_tail)) {
        V again = {0};
        phi->tail_values(l, p, o.in_tail, &o.value_exponent, 1, y);
        for (int64_t i = 0; i < l->width; i++) again += y[i] * g[i];
        dot = choose(o.in_tail, again, dot);
    }
    return dot;
}

#endif
