/* The operations COPY, SUM, MASK, BIAS and SHIFT: what is added, and what is set to 0. */
#ifndef VG_SUMS_H
#define VG_SUMS_H

#include "vg_along.h"

typedef struct {
    columns out;
} copied;

static void store_nothing(const pass *p, const vg_operation *o, void *slot, arena *a)
{
    UNUSED(p), UNUSED(o), UNUSED(slot), UNUSED(a);
}

static void nothing_back(pass *p, const vg_operation *o, void *slot) { UNUSED(p), UNUSED(o), UNUSED(slot); }

static void store_copy(const pass *p, const vg_operation *o, void *slot, arena *a)
{
    *(copied *)slot = (copied){take_output(p, o, a)};
}

static void copy_ahead(pass *p, const vg_operation *o, void *slot)
{
    p->x[o->target] = ((copied *)slot)->out;
    copy_columns(&p->x[o->target], &p->x[o->source]);
}

static void copy_back(pass *p, const vg_operation *o, void *slot)
{
    scaled one = scaled_number(1);
    columns *g = &p->g[o->source], *round = &p->g[o->target];
    if (o->flags & VG_FOLLOWS) add_along(p, round, (char *)slot + SLOT_BYTES);
    add_scaled(g, one, g, one, round);
}

/* target ← factor source + scale target. The array of the source takes the sum. */
static void sum_ahead(pass *p, const vg_operation *o, void *slot)
{
    columns *x = &p->x[o->source];
    UNUSED(slot);
    add_scaled(x, signed_number(o->factor), x, signed_number(o->scale), &p->x[o->target]);
    p->x[o->target] = *x;
}

static void sum_back(pass *p, const vg_operation *o, void *slot)
{
    columns *g = &p->g[o->target], *round = &p->g[o->source];
    UNUSED(slot);
    copy_columns(round, g);
    scale_columns(round, signed_number(o->factor));
    scale_columns(g, signed_number(o->scale));
    normalise_columns(g);
}

/* x ← scale m ∘ x with the mask m: a word of the stream for each entry, column by column. An entry
   is kept if its word is at least parameters[0]. */
static void mask_columns(const pass *p, const vg_operation *o, columns *x)
{
    int64_t batch = p->b.plan->batch, quads = whole_quads(x->rows) / 4;
    stream s = open_stream(&p->b.keys, VG_STREAM_MASK, mask_number(p, o));
    scaled scale = scaled_number(o->scale);
    for (int64_t b = 0; b < batch; b++) {
        for (int64_t q = 0; q < quads; q++)
            keep_words(&s, (uint32_t)(b * quads + q), (uint32_t)o->parameters[0], p->raw + 4 * q);
        for (int64_t c = b; c < x->count; c += batch) {
            V *v = column(x, c), square = {0};
            for (int64_t i = 0; i < x->rows; i++) {
                v[i] *= p->raw[i];
                square += v[i] * v[i];
            }
            x->exponent[c] = saturate(x->exponent[c] + scale.exponent);
            normalise_times(x, c, square, scale.value);
        }
    }
}

/* MASK: the only entry of each column that is not 0, in the samples that have one. */
typedef struct {
    V *value; /* the entry, 0 in the other samples */
    I *index, *exponent;
} lone_entries;

static void store_mask(const pass *p, const vg_operation *o, void *slot, arena *a)
{
    lone_entries *t = slot;
    if (!(o->flags & VG_LONE)) return;
    t->value = take_vectors(a, p->batch);
    t->index = take(a, (size_t)p->batch * sizeof(I));
    t->exponent = take(a, (size_t)p->batch * sizeof(I));
}

static void mask_ahead(pass *p, const vg_operation *o, void *slot)
{
    lone_entries *t = slot;
    const columns *y = &p->x[o->target];
    mask_columns(p, o, &p->x[o->target]);
    for (int64_t b = 0; b < p->batch && o->flags & VG_LONE; b++) {
        I count = {0}, index = {0};
        V value = {0};
        for (int64_t i = 0; i < y->rows; i++) {
            I some = column(y, b)[i] != 0;
            count -= some;
            index = choose_int(some, splat_int(i), index);
            value = choose(some, column(y, b)[i], value);
        }
        t->value[b] = choose(count == 1, value, splat(0));
        t->index[b] = index;
        t->exponent[b] = y->exponent[b];
    }
}

/* The gradient of x. If y = scale m ∘ x has one entry only, G_i x_i = G · X (vg_along.h). The index of
   this entry is left in p->lone for the activation before the mask, because G_i may be too small beside
   the gradients of units that the activation closes. */
static void mask_back(pass *p, const vg_operation *o, void *slot)
{
    const lone_entries *t = slot;
    columns *g = &p->g[o->target];
    scaled scale = scaled_number(o->scale);
    mask_columns(p, o, g);
    for (int64_t b = 0; b < p->batch && o->flags & VG_LONE; b++) {
        I lone = (t->value[b] != 0) & (p->along[b].value != 0);
        p->lone[b] = choose_int(t->value[b] != 0, t->index[b], splat_int(-1));
        if (!any(lone)) continue;
        V most = splat(0);
        for (int64_t i = 0; i < g->rows; i++)
            most = choose(t->index[b] == splat_int(i), most, vmax(most, vabs(column(g, b)[i])));
        V own = p->along[b].value * scale.value / choose(lone, t->value[b], splat(1)), square = {0};
        I e = saturate(p->along[b].exponent + scale.exponent - t->exponent[b]);
        I of_rest = choose_int(most > 0, g->exponent[b], LOWEST), top = imax(e, of_rest);
        V *v = column(g, b), f = beside(e - top), rest = beside(of_rest - top);
        for (int64_t i = 0; i < g->rows; i++) {
            V entry = choose(t->index[b] == splat_int(i), own * f, v[i] * rest);
            v[i] = choose(lone, entry, v[i]);
            square += v[i] * v[i];
        }
        g->exponent[b] = choose_int(lone, top, g->exponent[b]);
        normalise_some(g, b, lone, square);
    }
}

/* The first `count` columns of h ← h + c u, normalised. One u is for all of them if stride = 0; u is 1
   if it is NULL. */
INLINE void add_vector(columns *h, int64_t count, scaled c, const V *u, int64_t stride)
{
    for (int64_t b = 0; b < count; b++) {
        I of_h = h->exponent[b], e = imax(of_h, exponent_or_lowest(c));
        V f = beside(of_h - e), *v = column(h, b), square = {0}, factor = against(c, e);
        for (int64_t i = 0; i < h->rows; i++) {
            V sum = f * v[i] + (u ? factor * u[b * stride + i] : factor);
            v[i] = sum;
            square += sum * sum;
        }
        h->exponent[b] = e;
        normalise_column(h, b, square);
    }
}

static void bias_ahead(pass *p, const vg_operation *o, void *slot)
{
    stream s = open_stream(&p->b.keys, VG_STREAM_BIAS, matrix_number(p, o));
    UNUSED(slot);
    fill(o->law, &s, o->rows, p->raw);
    add_vector(&p->x[o->target], p->b.plan->batch, scaled_number(o->scale), p->raw, 0);
}

static void shift_ahead(pass *p, const vg_operation *o, void *slot)
{
    UNUSED(slot);
    add_vector(&p->x[o->target], p->b.plan->batch, signed_number(o->scale), NULL, 0);
}

#endif
