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

/* h_i = ĥ_i 2^E, ĥ_i = a raw_i + c ζ_i: raw is W x divided by its scale, ζ the raw bias or NULL. */
typedef struct {
    int64_t width;
    V *raw, *zeta;
    V a, c;
    I exponent; /* E */
    gauge gauge;
    scaled input_norm; /* ‖x_{l-1}‖ */
} layer;

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

INLINE V pre_activation(const layer *l, int64_t i, int biased)
{
    V h = l->a * l->raw[i];
    return biased ? h + l->c * l->zeta[i] : h;
}

typedef V phi_function(V, const gauge *, parameters, V *);
typedef tail tail_function(V, V, parameters);

/* Properties of all lanes that are constants of a compiled loop. */
enum { BIASED = 1, PLAIN = 2 }; /* has a bias; E = 0 */

INLINE gauge gauge_for(const layer *l, int known)
{
    return known & PLAIN ? (gauge){splat(1), splat(1), splat(1), splat(0)} : l->gauge;
}

/* y ← φ(h); returns Σ y². */
INLINE V activate_units(const layer *l, parameters p, V *y, int known, phi_function phi)
{
    gauge g = gauge_for(l, known);
    V square = {0}, slope;
    for (int64_t i = 0; i < l->width; i++) {
        V value = phi(pre_activation(l, i, known & BIASED), &g, p, &slope);
        y[i] = value;
        square += value * value;
    }
    return square;
}

/* y ← φ(h), d ← φ'(h); returns Σ y g. */
INLINE V recall_units(const layer *l, parameters p, V *restrict y, V *restrict d, const V *restrict g,
                      int known, phi_function phi)
{
    gauge units = gauge_for(l, known);
    V dot = {0};
    for (int64_t i = 0; i < l->width; i++) {
        V value = phi(pre_activation(l, i, known & BIASED), &units, p, &d[i]);
        y[i] = value;
        dot += value * g[i];
    }
    return dot;
}

INLINE tail tail_at(const layer *l, int64_t i, parameters p, tail_function f)
{
    V h = pre_activation(l, i, 0);
    if (l->zeta) h += l->c * l->zeta[i];
    return f(h * l->gauge.in, l->gauge.excess, p);
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
    void (*tail_values)(const layer *, parameters, I mask, I *e, int known, V *y);
    I (*tail_cotangents)(const layer *, parameters, I mask, const V *g, V *delta);
} activation;

#define HAS_TAIL(name) (sizeof #name != sizeof "none" || #name[0] != 'n')

/* f(l, …, known, phi) with `known` a constant. */
#define WITH_KNOWN(l, f, phi, ...)                                          \
    switch ((l->zeta ? BIASED : 0) | (any(l->exponent != 0) ? 0 : PLAIN)) { \
    case PLAIN: return f(l, __VA_ARGS__, PLAIN, phi);                       \
    case BIASED | PLAIN: return f(l, __VA_ARGS__, BIASED | PLAIN, phi);     \
    case BIASED: return f(l, __VA_ARGS__, BIASED, phi);                     \
    default: return f(l, __VA_ARGS__, 0, phi);                              \
    }

#define LAYER_LOOPS(name, kind, tail)                                                           \
    static V activate_##name(const layer *l, parameters p, V *y)                                \
    {                                                                                           \
        WITH_KNOWN(l, activate_units, phi_##name, p, y)                                         \
    }                                                                                           \
    static V recall_##name(const layer *l, parameters p, V *y, V *d, const V *g)                \
    {                                                                                           \
        WITH_KNOWN(l, recall_units, phi_##name, p, y, d, g)                                     \
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

#define ACTIVATION_ROW(name, kind, tail) \
    {kind, HAS_TAIL(tail), activate_##name, recall_##name, tail_values_##name, tail_cotangents_##name},
static const activation activations[] = {VG_ACTIVATIONS(ACTIVATION_ROW)};

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
