/* φ on columns: forward, backward, and forward for tangents. */
#ifndef VG_UNITS_H
#define VG_UNITS_H

#include "vg_groups.h"

/* Column b of h as the argument of φ. An exponent within ±PLAIN_EXPONENT becomes a factor of the
   values. */
static layer view_of(const columns *h, int64_t b)
{
    I e = h->exponent[b], plain = (e >= -PLAIN_EXPONENT) & (e <= PLAIN_EXPONENT), none = e == LOWEST;
    layer l = {.width = h->rows,
               .raw = column(h, b),
               .a = choose(plain, power_of_two(plain & e), splat(1)),
               .exponent = choose_int(plain | none, splat_int(0), e)};
    l.gauge = gauge_of(l.exponent);
    return l;
}

/* Example b of out ← φ'(h) ∘ g, normalised, with φ'(h) in p->b.d and h the argument of φ. */
static void times_slope(pass *p, const unit *t, int64_t b, const columns *g, columns *out)
{
    const activation *phi = p->b.phi;
    const layer *l = &t->taken;
    const V *u = column(g, b), *d = p->b.d;
    V *v = column(out, b), square = {0};
    I e = splat_int(0);
    for (int64_t i = 0; i < g->rows; i++) {
        v[i] = d[i] * u[i];
        square += v[i] * v[i];
    }
    I lost = -phi->has_tail & has_lost(square, l->exponent) & (g->exponent[b] != LOWEST);
    if (any(lost)) {
        e = phi->tail_cotangents(l, p->b.parameters, lost, u, v);
        square = choose(lost, dot_product(v, v, g->rows), square);
    }
    out->rows = g->rows;
    out->exponent[b] = saturate(g->exponent[b] + e);
    normalise_column(out, b, square);
}

/* Example b of out ← φ'(h) ∘ g, normalised; φ(h) and φ'(h) go into p->b.y and p->b.d. */
static void through_unit(pass *p, const unit *t, int64_t b, const columns *g, columns *out)
{
    recall(p->b.phi, p->b.parameters, &t->taken, t->found, p->b.y, p->b.d, column(g, b));
    times_slope(p, t, b, g, out);
}

/* y ← φ(h), normalised, and for tangents y' ← φ'(h) ∘ h'. */
static void activate_columns(pass *p, const columns *h, unit *units, columns *y)
{
    const vg_plan *plan = p->b.plan;
    y->rows = h->rows;
    for (int64_t b = 0; b < plan->batch; b++) {
        layer l = view_of(h, b);
        outcome found = forward_through(p->b.phi, p->b.parameters, &l, column(y, b));
        units[b] = (unit){l, found};
        y->exponent[b] = found.value_exponent;
        normalise_column(y, b, found.square);
        for (int64_t k = 1; k <= plan->tangents; k++) {
            columns from = part(plan, h, k), to = part(plan, y, k);
            if (k == 1)
                through_unit(p, &units[b], b, &from, &to);
            else
                times_slope(p, &units[b], b, &from, &to);
        }
    }
}

#endif
