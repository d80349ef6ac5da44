/* The operation MIX: x ← T ∘ y + (1 − T) ∘ x with the gate T = σ(h). */
#ifndef VG_MIX_H
#define VG_MIX_H

#include "vg_along.h"

typedef struct {
    columns h;          /* argument of the gate */
    columns difference; /* y − x */
} mixed;

static void store_mix(const pass *p, const vg_operation *o, void *slot, arena *a)
{
    UNUSED(a);
    *(mixed *)slot = (mixed){p->x[o->gate], p->x[o->target]};
}

#define SHUT ((real)0x1p-20)

/* In samples whose largest gate value, `widest`, is below SHUT: gate ← σ(sign h) 2^-e, computed by
   logarithms. Returns e there, and 0 in the other samples. */
static I gates_by_logarithms(const columns *h, int64_t b, V sign, V widest, V *gate)
{
    const V *v = column(h, b);
    V size = sign * plain_size(h->exponent[b]), top = splat(-EXPONENT_LIMIT);
    I shut = widest < SHUT;
    if (!any(shut)) return splat_int(0);
    for (int64_t i = 0; i < h->rows; i++) top = vmax(top, log2_logistic(v[i] * size));
    I e = shut & __builtin_convertvector(top, I);
    V whole = __builtin_convertvector(e, V);
    for (int64_t i = 0; i < h->rows; i++)
        gate[i] = choose(shut, vexp2(vmax(log2_logistic(v[i] * size) - whole, splat(-EXP2_LIMIT))), gate[i]);
    return e;
}

/* The gate values of one column: T = open 2^of_open and 1 − T = closed 2^of_closed. */
typedef struct {
    V *open, *closed;
    I of_open, of_closed;
} gates;

static gates open_gate(const columns *h, int64_t b, V *open, V *closed)
{
    const V *v = column(h, b);
    V size = plain_size(h->exponent[b]), decay, most = splat(0), least = splat(0), one = splat(1),
      minus = splat(-1);
    for (int64_t i = 0; i < h->rows; i++) {
        open[i] = logistic(v[i] * size, &closed[i], &decay);
        most = vmax(most, open[i]);
        least = vmax(least, closed[i]);
    }
    return (gates){open, closed, gates_by_logarithms(h, b, one, most, open),
                   gates_by_logarithms(h, b, minus, least, closed)};
}

/* x' ← T (1 − T) (y − x) h' + T y' + (1 − T) x' for the k-th tangent of example b. */
static void mix_tangent(const pass *p, const mixed *t, int64_t k, int64_t b, gates gate, const columns *y,
                        columns *x)
{
    int64_t c = k * p->b.plan->batch + b;
    I of_gate = saturate(gate.of_open + gate.of_closed), e_x = saturate(x->exponent[c] + gate.of_closed);
    I e_y = saturate(y->exponent[c] + gate.of_open);
    I e_h = saturate(of_gate + product_exponent(t->h.exponent[c], t->difference.exponent[b]));
    I e = imax(e_h, imax(e_x, e_y));
    V f = beside(e_x - e), g = beside(e_y - e), a = beside(e_h - e), square = {0};
    V *v = column(x, c), *h = column(&t->h, c), *w = column(y, c), *d = column(&t->difference, b);
    for (int64_t i = 0; i < x->rows; i++) {
        V turned = gate.open[i] * gate.closed[i] * h[i];
        v[i] = gate.open[i] * (g * w[i]) + gate.closed[i] * (f * v[i]) + turned * (a * d[i]);
        square += v[i] * v[i];
    }
    x->exponent[c] = e;
    normalise_column(x, c, square);
}

/* The array of x takes the sum; that of y takes y − x, which the backward pass needs. */
static void mix_ahead(pass *p, const vg_operation *o, void *slot)
{
    mixed *t = slot;
    columns *y = &p->x[o->target], *x = &p->x[o->source], *d = &t->difference;
    for (int64_t b = 0; b < p->b.plan->batch; b++) {
        gates gate = open_gate(&t->h, b, p->b.y, p->b.d);
        I e_y = saturate(y->exponent[b] + gate.of_open), e_x = saturate(x->exponent[b] + gate.of_closed);
        I e = imax(e_x, e_y), e_d = imax(x->exponent[b], y->exponent[b]);
        V f = beside(e_x - e), g = beside(e_y - e), square = {0}, of_difference = {0};
        V of_x = relative_size(x, b, e_d), of_y = relative_size(y, b, e_d);
        V *v = column(x, b), *w = column(y, b), *u = column(d, b);
        for (int64_t i = 0; i < x->rows; i++) {
            V difference = of_y * w[i] - of_x * v[i];
            v[i] = gate.open[i] * (g * w[i]) + gate.closed[i] * (f * v[i]);
            u[i] = difference;
            square += v[i] * v[i];
            of_difference += difference * difference;
        }
        d->exponent[b] = e_d;
        normalise_column(d, b, of_difference);
        for (int64_t k = 1; k <= p->b.plan->tangents; k++) mix_tangent(p, t, k, b, gate, y, x);
        x->exponent[b] = e;
        normalise_column(x, b, square);
    }
    p->x[o->target] = *x;
}

/* Of G: T ∘ G for y, (1 − T) ∘ G for x, T ∘ (1 − T) ∘ (y − x) ∘ G for h. A gate of a recurrent cell
   counts as units with the slope T (1 − T). */
static void mix_back(pass *p, const vg_operation *o, void *slot)
{
    const mixed *t = slot;
    columns *to_y = &p->g[o->target], *to_x = &p->g[o->source], *to_h = &p->g[o->gate];
    to_x->rows = to_h->rows = o->rows;
    for (int64_t b = 0; b < p->batch; b++) {
        gates gate = open_gate(&t->h, b, p->b.y, p->b.d);
        const V *d = column(&t->difference, b);
        V *of_y = column(to_y, b), *of_x = column(to_x, b), *of_h = column(to_h, b), squares[3] = {{0}};
        for (int64_t i = 0; i < o->rows; i++) {
            V g = of_y[i];
            of_y[i] = gate.open[i] * g;
            of_x[i] = gate.closed[i] * g;
            of_h[i] = of_y[i] * gate.closed[i] * d[i];
            squares[0] += of_y[i] * of_y[i];
            squares[1] += of_x[i] * of_x[i];
            squares[2] += of_h[i] * of_h[i];
        }
        I e = to_y->exponent[b], of_both = saturate(gate.of_open + gate.of_closed);
        if (p->b.plan->saturation && o->saturated_below > 0) {
            for (int64_t i = 0; i < o->rows; i++)
                p->b.y[i] = gate.open[i] * gate.closed[i] * plain_size(of_both);
            p->saturated += saturated_units(p->b.y, o->rows, o->saturated_below);
        }
        to_h->exponent[b] = saturate(of_both + product_exponent(e, t->difference.exponent[b]));
        to_x->exponent[b] = saturate(e + gate.of_closed);
        to_y->exponent[b] = saturate(e + gate.of_open);
        normalise_column(to_y, b, squares[0]);
        normalise_column(to_x, b, squares[1]);
        normalise_column(to_h, b, squares[2]);
    }
    if (o->saturated_below > 0) p->units += p->batch * o->rows;
}

#endif
