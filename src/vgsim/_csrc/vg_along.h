/* The component of the cotangent along X, under layer and RMS normalisation (docs/law.md). If layer
   l + 1 normalises W x without a bias, its output hardly depends on the norm of x:

     G_l · X_l = Δ_{l+1} · H_{l+1} = (D_{l+1} · Ĥ_{l+1}) ε/(var + ε)

   for each example, with D the cotangent of Ĥ. This is much smaller than ‖G_l‖ ‖X_l‖, so a sum of
   its terms would be rounding error. If φ is of degree one, D_l · Ĥ_l = G_l · X_l, and G_l · X_l is
   computed from the output down as a product. It is needed where D_l has no other component: if
   only unit i is open, D_l = (G_l · X_l)/ĥ_i e_i; if a layer has one unit, G_l = (G_l · X_l)/x. */
#ifndef VG_ALONG_H
#define VG_ALONG_H

#include "vg_weights.h"

/* The argument of φ for one column, and the result. */
typedef struct {
    layer taken;
    outcome found;
} unit;

/* ACTIVATE: the argument, and the array of the output. */
typedef struct {
    columns h, out;
    unit *each; /* one per column */
} units;

/* p->along ← the product at the input of a normalisation, where d is the gradient of Ĥ. */
static void follow(pass *p, const vg_operation *o, const columns *h, deviations s, const columns *d)
{
    for (int64_t b = 0; b < p->batch; b++) {
        scaled product = p->along[b], share = share_of_epsilon(o->parameters[0], s, b);
        if (!(o->flags & VG_KNOWN))
            product = signed_normalised(dot_product(column(h, b), column(d, b), d->rows),
                                        saturate(h->exponent[b] + d->exponent[b]));
        p->along[b] = signed_normalised(product.value * share.value, product.exponent + share.exponent);
    }
}

#define ALL_BUT_SHUT ((real)0x1p-12) /* relative to the steepest slope */

/* Whether unit i is open: its slope, in p->b.d, is not close to 0. If a mask behind φ has left one
   entry, only that unit counts as open. */
INLINE I is_open(const pass *p, const vg_operation *o, int64_t b, int64_t i, real least)
{
    I open = p->b.d[i] >= least;
    if (!(o->flags & VG_MASKED)) return open;
    return choose_int(p->lone[b] < 0, open, open & (p->lone[b] == splat_int(i)));
}

/* Column b of d ← (G·X)/ĥ_i e_i in the samples in which only unit i is open. With a leaky slope close
   to 0 the other units keep their small components, and d_i = (G·X − Σ_{j≠i} d_j ĥ_j)/ĥ_i. */
static void lone_unit(pass *p, const vg_operation *o, const units *t, int64_t b, columns *d)
{
    int64_t n = d->rows;
    real leak = (real)o->parameters[0], least = ALL_BUT_SHUT * (leak > 1 ? leak : 1);
    if ((n > 1 && leak >= least && leak * ALL_BUT_SHUT <= 1)) return;
    const V *h = column(&t->h, b);
    V *v = column(d, b), at = {0};
    I count = {0};
    for (int64_t i = 0; i < n; i++) {
        I open = is_open(p, o, b, i, least);
        count -= open;
        at = choose(open, h[i], at);
    }
    I lone = (count == 1) & (at != 0);
    if (!any(lone)) return;

    V rest = {0}, most = {0};
    for (int64_t i = 0; i < n; i++) {
        V other = choose(is_open(p, o, b, i, least), splat(0), v[i]);
        rest += other * h[i];
        most = vmax(most, vabs(other));
    }
    I some = lone & (p->along[b].value != 0), e = saturate(p->along[b].exponent - t->h.exponent[b]);
    I of_rest = choose_int(most > 0, d->exponent[b], LOWEST), of_own = choose_int(some, e, LOWEST);
    I top = imax(of_rest, of_own);
    V inverse = choose(some, 1 / at, splat(0)), factor = beside(of_rest - top), square = {0};
    V own = p->along[b].value * inverse * beside(of_own - top) - rest * inverse * factor;
    for (int64_t i = 0; i < n; i++) {
        v[i] = choose(lone, choose(is_open(p, o, b, i, least), own, v[i] * factor), v[i]);
        square += v[i] * v[i];
    }
    d->exponent[b] = choose_int(lone, top, d->exponent[b]);
    normalise_some(d, b, lone, square);
}

/* G·Y → D·Ĥ for two units of an odd φ, where Ĥ = (ĥ, −ĥ): times φ'(ĥ) ĥ/φ(ĥ), with φ in p->b.y and φ'
   in p->b.d. */
static void turn_pair(pass *p, const units *t, int64_t b)
{
    V h = column(&t->h, b)[0], y = p->b.y[0], turn = p->b.d[0] * h / choose(y != 0, y, splat(1));
    I e = saturate(p->along[b].exponent + t->h.exponent[b] - t->each[b].found.value_exponent);
    p->along[b] = signed_normalised(p->along[b].value * choose(y != 0, turn, splat(1)), e);
}

/* d ← (D·Ĥ) Ĥ/‖Ĥ‖² of two units, which is D less its mean. */
static void pair_of_units(pass *p, const columns *normal, columns *d)
{
    for (int64_t b = 0; b < p->batch; b++) {
        const V *h = column(normal, b);
        V *v = column(d, b), square = h[0] * h[0] + h[1] * h[1];
        I some = (square > 0) & (p->along[b].value != 0);
        for (int i = 0; i < 2; i++) v[i] = choose(some, p->along[b].value * (h[i] / square), v[i]);
        d->exponent[b] =
            choose_int(some, saturate(p->along[b].exponent - normal->exponent[b]), d->exponent[b]);
        normalise_some(d, b, some, v[0] * v[0] + v[1] * v[1]);
    }
}

/* Adds round · X to p->along, where X is copied and then multiplied by a matrix, and `round` is the
   gradient of the copy. */
static void add_along(pass *p, const columns *round, const void *slot)
{
    columns *x = &p->other;
    restore_operand(p, slot, x);
    for (int64_t b = 0; b < p->batch; b++) {
        V sum = dot_product(column(round, b), column(x, b), x->rows);
        scaled own = p->along[b],
               more = signed_normalised(sum, saturate(round->exponent[b] + x->exponent[b]));
        I e = imax(exponent_or_lowest(own), exponent_or_lowest(more));
        V f = beside(exponent_or_lowest(own) - e), g = beside(exponent_or_lowest(more) - e);
        p->along[b] = signed_normalised(own.value * f + more.value * g, e);
    }
}

/* g ← (G·X)/x, where x, the operand of W, has one unit. */
static void lone_operand(pass *p, const operand *of, columns *g)
{
    columns *x = &p->other;
    restore_operand(p, of, x);
    for (int64_t b = 0; b < p->batch; b++) {
        V value = column(x, b)[0], *v = column(g, b);
        I some = (value != 0) & (p->along[b].value != 0);
        v[0] = choose(some, p->along[b].value / value, v[0]);
        g->exponent[b] = choose_int(some, saturate(p->along[b].exponent - x->exponent[b]), g->exponent[b]);
        normalise_some(g, b, some, v[0] * v[0]);
    }
}

#endif
