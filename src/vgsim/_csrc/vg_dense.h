/* The dense engine: weight matrices, generated inside both products and never stored.

   Element (i, j) of a layer is draw j of row i; every row starts a new quad. */
#ifndef VG_DENSE_H
#define VG_DENSE_H

#include "vg_block.h"

/* sum ← sum + W_{i, 4q …} x over `quads` quads of one row. */
INLINE void add_products(int law, const stream *s, int64_t quad, int quads, const V *x, V *sum)
{
    V w[4 * QUADS];
    draw(law, s, (uint32_t)quad, quads, w);
    for (int k = 0; k < 4 * quads; k++) sum[k] += w[k] * x[k];
}

INLINE void forward_product(int law, const stream *s, int64_t rows, int64_t columns, const V *x, V *out,
                            const vg_flag *cancelled)
{
    int64_t quads = whole_quads(columns) / 4;
    for (int64_t i = 0; i < rows && !vg_is_raised(cancelled); i++) {
        V sum[4 * QUADS] = {{0}};
        int64_t q = 0;
        for (; q + QUADS <= quads; q += QUADS) add_products(law, s, i * quads + q, QUADS, x + 4 * q, sum);
        for (; q < quads; q++) add_products(law, s, i * quads + q, 1, x + 4 * q, sum);
        for (int half = 2 * QUADS; half; half /= 2)
            for (int k = 0; k < half; k++) sum[k] += sum[k + half];
        out[i] = sum[0];
    }
}

/* out ← Wᵀ δ for the columns of `quads` quads. */
INLINE void column_products(int law, const stream *s, int64_t rows, int64_t stride, int64_t q, int quads,
                            const V *delta, V *out)
{
    V sum[4 * QUADS] = {{0}}, w[4 * QUADS];
    for (int64_t i = 0; i < rows; i++) {
        draw(law, s, (uint32_t)(i * stride + q), quads, w);
        for (int k = 0; k < 4 * quads; k++) sum[k] += w[k] * delta[i];
    }
    for (int k = 0; k < 4 * quads; k++) out[k] = sum[k];
}

INLINE void backward_product(int law, const stream *s, int64_t rows, int64_t columns, const V *delta, V *out,
                             const vg_flag *cancelled)
{
    int64_t quads = whole_quads(columns) / 4, q = 0;
    for (; q + QUADS <= quads && !vg_is_raised(cancelled); q += QUADS)
        column_products(law, s, rows, quads, q, QUADS, delta, out + 4 * q);
    for (; q < quads && !vg_is_raised(cancelled); q++)
        column_products(law, s, rows, quads, q, 1, delta, out + 4 * q);
}

INLINE V square_norm(int law, const stream *s, int64_t rows, int64_t columns)
{
    int64_t quads = whole_quads(columns) / 4;
    V total = {0};
    for (int64_t i = 0; i < rows; i++) {
        V row = {0}, w[4];
        for (int64_t j = 0; j < columns; j++) {
            if (j % 4 == 0) draw(law, s, (uint32_t)(i * quads + j / 4), 1, w);
            row += w[j % 4] * w[j % 4];
        }
        total += row;
    }
    return total;
}

#define FOR_EACH_LAW(law, call) \
    (law == VG_NORMAL ? call(VG_NORMAL) : law == VG_UNIFORM ? call(VG_UNIFORM) : call(VG_TRUNCATED_NORMAL))

/* raw ← W x̂ / weight scale. The entries of x̂ beyond the last, up to a whole quad, are 0. */
static scaled dense_forward(block *b, int64_t index, const V *x, layer *l)
{
    stream s = open_stream(&b->keys, VG_STREAM_FORWARD, (uint32_t)index);
    int64_t columns = b->plan->widths[index - 1];
#define CALL(law) forward_product(law, &s, l->width, columns, x, l->raw, b->plan->cancelled)
    FOR_EACH_LAW(b->plan->weight_law, CALL);
#undef CALL
    scaled x_scale = {choose(l->input_norm.value > 0, splat(1), splat(0)), l->input_norm.exponent};
    return scaled_product(scaled_number(b->plan->weight_scale[index]), x_scale);
}

/* ĝ ← Wᵀ δ̂ / weight scale, W of layer `index`. */
static void dense_backward(block *b, int64_t index)
{
    stream s = open_stream(&b->keys, VG_STREAM_FORWARD, (uint32_t)index);
    int64_t rows = b->plan->widths[index], columns = b->plan->widths[index - 1];
#define CALL(law) backward_product(law, &s, rows, columns, b->outgoing, b->g, b->plan->cancelled)
    FOR_EACH_LAW(b->plan->weight_law, CALL);
#undef CALL
}

/* ‖W‖² / (weight scale)². */
static V dense_weight_square(const block *b, int law, uint32_t number, int64_t rows, int64_t columns)
{
    stream s = open_stream(&b->keys, VG_STREAM_FORWARD, number);
#define CALL(law) square_norm(law, &s, rows, columns)
    return FOR_EACH_LAW(law, CALL);
#undef CALL
}

#endif
