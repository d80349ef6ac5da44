/* The operation MULTIPLY: x ← y ∘ x, the product of a gate and a signal. */
#ifndef VG_MULTIPLY_H
#define VG_MULTIPLY_H

#include "vg_pass.h"

typedef struct {
    columns x, y, out;
} multiplied;

/* The product of two normal floating-point numbers times 2^(2 HALF_RANGE) is one too. */
#define HALF_RANGE (EXPONENT_BIAS / 2)

/* Column b of out ← x ∘ y in the samples `lost`, in which the squares of the products underflow: their
   factors are scaled by 2^HALF_RANGE each, and then the products so that the largest is of size 1. */
static void multiply_small(columns *out, int64_t b, I lost, const V *x, const V *y)
{
    V *v = column(out, b), most = splat(0), square = {0}, up = power_of_two(splat_int(HALF_RANGE));
    for (int64_t i = 0; i < out->rows; i++) most = vmax(most, vabs((x[i] * up) * (y[i] * up)));
    I e = normalised(most, splat_int(0)).exponent;
    V down = power_of_two(-e);
    for (int64_t i = 0; i < out->rows; i++) {
        v[i] = choose(lost, (x[i] * up) * (y[i] * up) * down, v[i]);
        square += v[i] * v[i];
    }
    out->exponent[b] += lost & (e - 2 * HALF_RANGE);
    normalise_some(out, b, lost, square);
}

/* out ← x ∘ y, normalised; out is neither x nor y. */
static void multiply_columns(columns *out, const columns *x, const columns *y)
{
    out->rows = x->rows;
    for (int64_t b = 0; b < x->count; b++) {
        const V *u = column(x, b), *w = column(y, b);
        V *v = column(out, b), square = {0};
        for (int64_t i = 0; i < x->rows; i++) {
            V product = u[i] * w[i];
            v[i] = product;
            square += product * product;
        }
        I e = product_exponent(x->exponent[b], y->exponent[b]), lost = (square < TINY) & (e != LOWEST);
        out->exponent[b] = e;
        normalise_some(out, b, ~lost, square);
        if (any(lost)) multiply_small(out, b, lost, u, w);
    }
}

static void store_product(const pass *p, const vg_operation *o, void *slot, arena *a)
{
    *(multiplied *)slot = (multiplied){p->x[o->target], p->x[o->source], take_output(p, o, a)};
}

/* target ← y ∘ x, and for tangents y ∘ x' + y' ∘ x. */
static void product_ahead(pass *p, const vg_operation *o, void *slot)
{
    const vg_plan *plan = p->b.plan;
    const multiplied *t = slot;
    columns x = examples(plan, &t->x), y = examples(plan, &t->y), out = examples(plan, &t->out);
    scaled one = scaled_number(1);
    multiply_columns(&out, &x, &y);
    for (int64_t k = 1; k <= plan->tangents; k++) {
        columns of_x = part(plan, &t->x, k), of_y = part(plan, &t->y, k), other = part(plan, &p->other, k);
        out = part(plan, &t->out, k);
        multiply_columns(&out, &of_x, &y);
        multiply_columns(&other, &x, &of_y);
        add_scaled(&out, one, &out, one, &other);
    }
    p->x[o->target] = t->out;
}

/* Of G: y ∘ G for x, and x ∘ G for y. */
static void product_back(pass *p, const vg_operation *o, void *slot)
{
    const multiplied *t = slot;
    columns *to_x = &p->g[o->target], *to_y = &p->g[o->source];
    scaled one = scaled_number(1);
    multiply_columns(&p->spare, to_x, &t->x);
    if (o->flags & VG_ADDS)
        add_scaled(to_y, one, to_y, one, &p->spare);
    else
        exchange(to_y, &p->spare);
    multiply_columns(&p->spare, to_x, &t->y);
    exchange(to_x, &p->spare);
}

#endif
