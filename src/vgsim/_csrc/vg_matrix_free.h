/* The matrix-free engine: the two products of each Gaussian weight matrix, drawn instead of the matrix.

     forward    W x  = s ‖x‖ z                                 z  ~ N(0, I)
     backward   Wᵀ δ = s ‖δ‖ [ x̂ (z·δ̂) + (I − x̂ x̂ᵀ) z' ]       z' ~ N(0, I)

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

/* For W of layer `index`, so that y and g belong to layer index − 1, y with Σ y² = square:
   g ← z', along ← (z·δ̂)/‖y‖ − (y·z')/‖y‖², so that Wᵀ δ = s ‖δ‖ (g + along y). */
static void matrix_free_backward(block *b, int64_t index, V square)
{
    int64_t n = b->plan->widths[index - 1];
    stream s = open_stream(&b->keys, VG_STREAM_BACKWARD, (uint32_t)index);
    fill(VG_NORMAL, &s, n, b->g);
    V dot = {0};
    for (int64_t i = 0; i < n; i++) dot += b->y[i] * b->g[i];
    I some = square > 0;
    if (n == 1) { /* nothing lies across x */
        b->g[0] = choose(some, splat(0), b->g[0]);
        dot = splat(0);
    }
    b->along = choose(some, b->alignment / vsqrt(square) - dot / square, splat(0));
    b->across_square = sum_of_squares(b->g, n) - choose(some, dot * dot / square, splat(0));
}

#endif
