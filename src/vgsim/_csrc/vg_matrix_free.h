/* The matrix-free engine: the two products of each Gaussian weight matrix, drawn instead of the matrix.

     forward    W x  = s ‖x‖ z                                              z  ~ N(0, I)
     backward   Wᵀ δ = s ‖δ‖ [ x̂ (z·δ̂) + (I − x̂ x̂ᵀ) z' ]                    z' ~ N(0, I)

   x̂ and δ̂ are unit vectors: the joint law of all products is that of the explicit matrix (docs/law.md). */
#ifndef VG_MATRIX_FREE_H
#define VG_MATRIX_FREE_H

#include "vg_block.h"

/* raw ← z; its scale is s ‖x‖. */
static scaled matrix_free_forward(block *b, int64_t index, layer *l)
{
    stream s = open_stream(&b->keys, VG_STREAM_FORWARD, (uint32_t)index);
    fill(VG_NORMAL, &s, l->width, l->raw);
    return scaled_product(scaled_number(b->plan->weight_scale[index]), l->input_norm);
}

/* g ← x̂ (z·δ̂) + (I − x̂ x̂ᵀ) z' for x = y 2^e, W of layer `index` (so y, g belong to layer index − 1), and y is 0 up to a whole quad.
   Returns ‖(I − x̂ x̂ᵀ) z'‖². */
static V matrix_free_backward(block *b, int64_t index, V square)
{
    int64_t n = b->plan->widths[index - 1];
    V *restrict g = b->g;
    const V *restrict y = b->y;
    stream s = open_stream(&b->keys, VG_STREAM_BACKWARD, (uint32_t)index);
    V sum[2] = {{0}, {0}}, norm2 = {0};
    fill(VG_NORMAL, &s, n, g);
    for (int64_t i = 0; i < n; i += 4)
        for (int k = 0; k < 4; k++) sum[k & 1] += y[i + k] * g[i + k];
    I some = square > 0;
    V along = choose(some, b->alignment / vsqrt(square), splat(0));
    V projection = choose(some, (sum[0] + sum[1]) / square, splat(0));
    for (int64_t i = 0; i < n; i++) {
        V across = g[i] - projection * y[i];
        if (n == 1) across = choose(some, splat(0), across);
        norm2 += across * across;
        g[i] = across + along * y[i];
    }
    return norm2;
}

#endif
