/* The forward pass of plain networks, one segment of layers at a time. */
#ifndef VG_FORWARD_H
#define VG_FORWARD_H

#include "vg_dense.h"
#include "vg_matrix_free.h"

INLINE void zero_to_whole_quad(V *v, int64_t n)
{
    for (int64_t i = n; i < whole_quads(n); i++) v[i] = splat(0);
}

/* x_0: N(0, 1) entries, or a random row of the data. */
static void draw_input(block *b)
{
    const vg_plan *plan = b->plan;
    int64_t n = plan->widths[0];
    stream s = open_stream(&b->keys, VG_STREAM_INPUT, 0);
    I exponent = splat_int(0);
    if (!plan->inputs)
        fill(VG_NORMAL, &s, n, b->input);
    else
        for (int k = 0; k < LANES; k++) {
            W word[PARTS][4];
            philox(&s, 0, 1, word);
            int64_t row =
                (int64_t)(((word[k % PARTS][0][k / PARTS] & 0xffffffff) * (uint64_t)plan->rows) >> 32);
            exponent[k] = (lane_int)plan->input_exponents[row];
            for (int64_t i = 0; i < n; i++) b->input[i][k] = (real)plan->inputs[row * n + i];
        }
    zero_to_whole_quad(b->input, n);
    b->outcomes[0] = (outcome){.square = sum_of_squares(b->input, n), .value_exponent = exponent};
}

/* x ← y 2^-k with 1 ≤ ‖x‖ < 2, where Σ y² = square. */
INLINE void rescale(V *x, const V *y, int64_t n, V square)
{
    V factor = power_of_two(-root(square, splat_int(0)).exponent);
    for (int64_t i = 0; i < n; i++) x[i] = y[i] * factor;
    zero_to_whole_quad(x, n);
}

static void record_activation(const block *b, int64_t index)
{
    const vg_plan *plan = b->plan;
    if (plan->activation_rms && plan->column[index] >= 0)
        record_log10(b, plan->activation_rms, plan->n_columns, plan->column[index],
                     over_root(norm_of(b, index), plan->widths[index]));
}

/* H_l, if it is a place of its own. */
static void record_pre_activation(const block *b, int64_t index, const layer *l)
{
    const vg_plan *plan = b->plan;
    V square = {0};
    if (!plan->inner_column || !plan->activation_rms || plan->inner_column[index] < 0) return;
    for (int64_t i = 0; i < l->width; i++) {
        V h = pre_activation(l, i, l->zeta != NULL);
        square += h * h;
    }
    record_log10(b, plan->activation_rms, plan->n_columns, plan->inner_column[index],
                 over_root(root(square, l->exponent), l->width));
}

/* The pre-activations of layer `index` from ‖x_{l-1}‖ (matrix-free) or x (dense). */
static void draw_layer(block *b, int64_t index, layer *l, const V *x)
{
    const vg_plan *plan = b->plan;
    l->width = plan->widths[index];
    l->input_norm = norm_of(b, index - 1);
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
}

/* Draws the layers of a segment. The first time, φ is also applied, and products are kept for the
   last segment only, because its backward pass is next. */
static int forward_segment(block *b, int64_t segment, int first_time)
{
    const vg_plan *plan = b->plan;
    int dense = plan->engine == VG_DENSE, last = segment + 1 == plan->n_segments;
    int64_t begin = segment ? plan->segment_ends[segment - 1] : 0, end = plan->segment_ends[segment];
    const V *x = dense ? b->checkpoints[segment] : NULL;
    V *store = b->store;
    for (int64_t index = begin + 1; index <= end; index++, x = b->x) {
        if (cancelled(b)) return VG_CANCELLED;
        if (first_time && !last) store = b->store;
        layer *l = &b->layers[index - begin - 1];
        int64_t room = whole_quads(plan->widths[index]);
        l->raw = store;
        store += room;
        l->zeta = NULL;
        if (plan->bias_scale[index] > 0) {
            l->zeta = store;
            store += room;
        }
        draw_layer(b, index, l, x);
        if (first_time || dense) b->outcomes[index] = forward_through(b->phi, b->parameters, l, b->y);
        if (first_time) record_pre_activation(b, index, l);
        if (first_time) record_activation(b, index);
        if (dense) rescale(b->x, b->y, l->width, b->outcomes[index].square);
    }
    if (dense && first_time && !last)
        for (int64_t i = 0; i < whole_quads(plan->widths[end]); i++) b->checkpoints[segment + 1][i] = b->x[i];
    return VG_OK;
}

#endif
