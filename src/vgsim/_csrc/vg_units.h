/* The operation ACTIVATE: φ on columns, forward, backward, and forward for tangents. */
#ifndef VG_UNITS_H
#define VG_UNITS_H

#include "vg_along.h"

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

/* Column b of out ← φ'(h) ∘ g, normalised, with φ'(h) in p->b.d and h the argument of φ. */
static void times_slope(pass *p, const activation *phi, parameters parameters, const unit *t, int64_t b,
                        const columns *g, columns *out)
{
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
        e = phi->tail_cotangents(l, parameters, lost, u, v);
        square = choose(lost, dot_product(v, v, g->rows), square);
    }
    out->rows = g->rows;
    out->exponent[b] = saturate(g->exponent[b] + e);
    normalise_column(out, b, square);
}

static void store_units(const pass *p, const vg_operation *o, void *slot, arena *a)
{
    units *t = slot;
    *t = (units){.h = p->x[o->target], .out = take_output(p, o, a)};
    t->each = take(a, (size_t)p->b.plan->batch * sizeof(unit));
}

/* target ← φ(target), and for tangents y' ← φ'(h) ∘ h'. */
static void units_ahead(pass *p, const vg_operation *o, void *slot)
{
    const vg_plan *plan = p->b.plan;
    const activation *phi = &activations[o->law];
    real own[2];
    parameters parameters = parameters_of(phi, p->b.plan->tables, o->parameters, own);
    units *t = slot;
    const columns *h = &t->h;
    columns *y = &p->x[o->target];
    *y = t->out;
    for (int64_t b = 0; b < plan->batch; b++) {
        layer l = view_of(h, b);
        outcome found = forward_through(phi, parameters, &l, column(y, b));
        t->each[b] = (unit){l, found};
        y->exponent[b] = found.value_exponent;
        normalise_column(y, b, found.square);
        if (plan->tangents) recall(phi, parameters, &l, found, p->b.y, p->b.d, column(h, b));
        for (int64_t k = 1; k <= plan->tangents; k++) {
            columns from = part(plan, h, k), to = part(plan, y, k);
            times_slope(p, phi, parameters, &t->each[b], b, &from, &to);
        }
    }
}

/* g ← φ'(h) ∘ g. */
static void units_back(pass *p, const vg_operation *o, void *slot)
{
    const activation *phi = &activations[o->law];
    real own[2];
    parameters parameters = parameters_of(phi, p->b.plan->tables, o->parameters, own);
    units *t = slot;
    columns *g = &p->g[o->target], *out = &p->spare;
    for (int64_t b = 0; b < p->batch; b++) {
        unit *u = &t->each[b];
        recall(phi, parameters, &u->taken, u->found, p->b.y, p->b.d, column(g, b));
        times_slope(p, phi, parameters, u, b, g, out);
        if (o->flags & VG_LONE) lone_unit(p, o, t, b, out);
        if (o->flags & VG_FOLLOWS) turn_pair(p, t, b);
        if (p->b.plan->saturation) p->saturated += saturated_units(p->b.d, g->rows, o->saturated_below);
    }
    p->units += p->batch * o->rows;
    exchange(g, out);
}

#endif
