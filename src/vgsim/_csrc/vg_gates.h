/* The operations GATE_BIAS and DRIVE: what the steps of a recurrent cell add to W h, from vectors that
   are drawn before the pass or the segment. */
#ifndef VG_GATES_H
#define VG_GATES_H

#include "vg_sums.h"

/* Added to the number of a bias: for a second ζ, and for ln u. */
enum { SECOND = 8, LOGARITHM = 16 };

/* v ← ln u with u = 1 + (most − 1)(v + 1)/2 uniform on [1, most], for v uniform on (−1, 1). The
   logarithm is of u/most, as `most` may exceed the range of the reals. */
static void logarithms(double inverse_most, double log_most, int64_t n, V *v)
{
    real share = (real)((1 - inverse_most) * 0.5);
    for (int64_t i = 0; i < n; i++) v[i] = vlog((real)inverse_most + share * (v[i] + 1)) + (real)log_most;
}

/* Column o->distance of p->biases ← ±(ζ + ln u + shift). */
static void draw_gate_bias(pass *p, const vg_operation *o)
{
    columns *all = &p->biases, b = {column(all, o->distance), all->exponent + o->distance, o->rows, 0, 1};
    clear_columns(&b);
    for (int k = 0; k < o->heads; k++) {
        stream s = open_stream(&p->b.keys, VG_STREAM_BIAS, (uint32_t)(o->number + k * SECOND));
        fill(o->law, &s, o->rows, p->raw);
        add_vector(&b, 1, scaled_number(o->scale), p->raw, 0);
    }
    if (o->parameters[0] > 0) {
        stream s = open_stream(&p->b.keys, VG_STREAM_BIAS, (uint32_t)(o->number + LOGARITHM));
        fill(VG_UNIFORM, &s, o->rows, p->raw);
        logarithms(o->parameters[0], o->parameters[1], o->rows, p->raw);
        add_vector(&b, 1, scaled_number(1), p->raw, 0);
    }
    add_vector(&b, 1, signed_number(o->factor), NULL, 0);
    if (o->flags & VG_NEGATIVE)
        for (int64_t i = 0; i < o->rows; i++) b.v[i] = -b.v[i];
}

static void draw_gate_biases(pass *p)
{
    const vg_plan *plan = p->b.plan;
    for (const vg_operation *o = plan->operations; o < plan->operations + plan->bodies[plan->n_bodies]; o++)
        if (o->kind == VG_GATE_BIAS) draw_gate_bias(p, o);
}

static void gate_bias_ahead(pass *p, const vg_operation *o, void *slot)
{
    const I e = p->biases.exponent[o->distance];
    UNUSED(slot);
    scaled size = {choose(e == LOWEST, splat(0), splat(1)), e};
    add_vector(&p->x[o->target], p->b.plan->batch, size, column(&p->biases, o->distance), 0);
}

static void drive_ahead(pass *p, const vg_operation *o, void *slot)
{
    const V *u = column(&p->drive, (p->place - p->begin - 1) * p->b.plan->batch) + (o->number - 1) * o->rows;
    UNUSED(slot);
    add_vector(&p->x[o->target], p->b.plan->batch, scaled_number(o->scale), u, p->drive.stride);
}

#define STEPS_AT_ONCE 8

/* p->drive ← U s_t of all gates, for all steps of a segment. Each row of U is drawn once per segment. */
static void draw_drive(pass *p, int64_t begin, int64_t end)
{
    const vg_plan *plan = p->b.plan;
    int64_t n = plan->widths[0], count = (end - begin) * plan->batch, quads = whole_quads(n) / 4;
    int64_t rows = plan->driven * n;
    columns *s = &p->signal;
    int law = first_operation(plan, VG_DRIVE)->law;
    stream of_weights = open_stream(&p->b.keys, VG_STREAM_INPUT_WEIGHTS, 1);
    for (int64_t l = begin + 1; l <= end; l++)
        draw_columns(&p->b, VG_STREAM_DRIVE, (uint32_t)l, n, plan->batch,
                     column(s, (l - begin - 1) * plan->batch), s->stride);
    for (int64_t i = 0; i < rows && !cancelled(&p->b); i += ROWS_AT_ONCE) {
        int64_t w = rows - i < ROWS_AT_ONCE ? rows - i : ROWS_AT_ONCE;
        V product[ROWS_AT_ONCE * STEPS_AT_ONCE];
        for (int64_t k = 0; k < w; k++) {
#define ROW(law) fill_from(law, &of_weights, (i + k) * quads, n, p->rows + k * s->stride)
            FOR_EACH_LAW(law, ROW);
#undef ROW
        }
        for (int64_t b = 0; b < count; b += STEPS_AT_ONCE) {
            int64_t q = count - b < STEPS_AT_ONCE ? count - b : STEPS_AT_ONCE;
            inner(p->rows, s->stride, w > 1 ? w : 2, column(s, b), s->stride, q, n, product, STEPS_AT_ONCE);
            for (int64_t c = 0; c < q; c++)
                for (int64_t k = 0; k < w; k++)
                    column(&p->drive, b + c)[i + k] = product[k * STEPS_AT_ONCE + c];
        }
    }
}

#endif
