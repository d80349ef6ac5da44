/* The forward pass, a segment of layers at a time. */
#ifndef VG_FORWARD_H
#define VG_FORWARD_H

#include "vg_dense.h"
#include "vg_matrix_free.h"

INLINE void zero_to_whole_quad(V *v, int64_t n)
{
    for (int64_t i = n; i < whole_quads(n); i++) v[i] = splat(0);
}

/* x_0: N(0, 1) or a random row of the data. */
static scaled draw_input(block *b)
{
    const vg_plan *plan = b->plan;
    int64_t n = plan->widths[0];
    stream s = open_stream(&b->keys, VG_STREAM_INPUT, 0);
    b->input_exponent = splat_int(0);
    if (!plan->inputs)
        fill(VG_NORMAL, &s, n, b->input);
    else
        for (int k = 0; k < LANES; k++) {
            W word[PARTS][4];
            philox(&s, 0, 1, word);
            int64_t row =
                (int64_t)(((word[k % PARTS][0][k / PARTS] & 0xffffffff) * (uint64_t)plan->rows) >> 32);
            b->input_exponent[k] = (lane_int)plan->input_exponents[row];
            for (int64_t i = 0; i < n; i++) b->input[i][k] = (real)plan->inputs[row * n + i];
        }
    zero_to_whole_quad(b->input, n);
    b->input_square = sum_of_squares(b->input, n);
    return root(b->input_square, b->input_exponent);
}

/* x ← y 2^-k with 1 ≤ ‖x‖ < 2, where Σ y² = square. */
INLINE void rescale(V *x, const V *y, int64_t n, V square)
{
    V factor = power_of_two(-root(square, splat_int(0)).exponent);
    for (int64_t i = 0; i < n; i++) x[i] = y[i] * factor;
    zero_to_whole_quad(x, n);
}

/* Layer `index` from the norm of its input (matrix-free) or b->x (dense); returns ‖x_l‖. */
static scaled forward_layer(block *b, int64_t index, layer *l, scaled input_norm, const V *x)
{
    const vg_plan *plan = b->plan;
    l->width = plan->widths[index];
    l->input_norm = input_norm;
    scaled a = plan->engine == VG_DENSE ? dense_forward(b, index, x, l) : matrix_free_forward(b, index, l);
    scaled c = scaled_number(plan->bias_scale[index]);
    if (l->zeta) {
        stream s = open_stream(&b->keys, VG_STREAM_BIAS, (uint32_t)index);
        fill(plan->bias_law, &s, l->width, l->zeta);
    }
    I least = splat_int(-EXPONENT_LIMIT);
    I top = imax(choose_int(a.value > 0, a.exponent, least), choose_int(c.value > 0, c.exponent, least));
    I plain = (top >= -PLAIN_EXPONENT) & (top <= PLAIN_EXPONENT);
    I none = (a.value == 0) & (c.value == 0);
    l->exponent = choose_int(plain | none, splat_int(0), top);
    l->a = against(a, l->exponent);
    l->c = against(c, l->exponent);
    l->gauge = gauge_of(l->exponent);
    forward_through(b->phi, b->parameters, l, b->y);
    scaled norm = root(l->square, l->value_exponent);
    if (plan->engine == VG_DENSE) rescale(b->x, b->y, l->width, l->square);
    return norm;
}

/* Runs the layers of a segment from its checkpoint. The first time it also records the activations
   and leaves the next segment's checkpoint. */
static int forward_segment(block *b, int64_t segment, int first_time)
{
    const vg_plan *plan = b->plan;
    int64_t begin = segment ? plan->segment_ends[segment - 1] : 0, end = plan->segment_ends[segment];
    scaled norm = b->checkpoints[segment].norm;
    const V *x = b->checkpoints[segment].x;
    V *store = b->store;
    for (int64_t index = begin + 1; index <= end; index++, x = b->x) {
        if (cancelled(b)) return VG_CANCELLED;
        layer *l = &b->layers[index - begin - 1];
        int64_t room = whole_quads(plan->widths[index]);
        l->raw = store;
        store += room;
        l->zeta = NULL;
        if (plan->bias_scale[index] > 0) {
            l->zeta = store;
            store += room;
        }
        norm = forward_layer(b, index, l, norm, x);
        if (first_time && plan->activation_rms && plan->column[index] >= 0)
            record_log10(b, plan->activation_rms, plan->n_columns, plan->column[index],
                         over_root(norm, l->width));
    }
    if (first_time && segment + 1 < plan->n_segments) {
        checkpoint *next = &b->checkpoints[segment + 1];
        next->norm = norm;
        if (plan->engine == VG_DENSE)
            for (int64_t i = 0; i < whole_quads(plan->widths[end]); i++) next->x[i] = b->x[i];
    }
    return VG_OK;
}

#endif
