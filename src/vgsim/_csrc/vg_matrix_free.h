/* The matrix-free engine: it draws the two products of each Gaussian weight matrix instead of the
   matrix.

     forward    W x  = s ‖x‖ z                                 z  ~ N(0, I)
     backward   Wᵀ δ = s ‖δ‖ [ x̂ (z·δ̂) + (I − x̂ x̂ᵀ) z' ]       z' ~ N(0, I)

   with x̂ = x/‖x‖ and δ̂ = δ/‖δ‖. The joint law of all products is that of explicit matrices
   (docs/law.md). */
#ifndef VG_MATRIX_FREE_H
#define VG_MATRIX_FREE_H

#include "vg_block.h"

/* raw ← z; returns its scale s ‖x‖. */
static scaled matrix_free_forward(block *b, int64_t index, layer *l)
{
    stream s = open_stream(&b->keys, VG_STREAM_FORWARD, (uint32_t)index);
    fill(VG_NORMAL, &s, l->width, l->raw);
    return scaled_product(scaled_number(b->plan->weight_scale[index]), l->input_norm);
}

/* g ← z' of the product with Wᵀ, W of layer `index`. */
static void matrix_free_backward(block *b, int64_t index)
{
    stream s = open_stream(&b->keys, VG_STREAM_BACKWARD, (uint32_t)index);
    fill(VG_NORMAL, &s, b->plan->widths[index - 1], b->g);
}

/* along ← (z·δ̂)/‖y‖ − (y·z')/‖y‖², so that Wᵀ δ = s ‖δ‖ (z' + along y), where ‖y‖² = square and
   y·z' = dot. If want_square, across_square ← ‖(I − x̂ x̂ᵀ) z'‖². */
static void matrix_free_along(block *b, int64_t n, V square, V dot, int want_square)
{
    I some = square > 0;
    if (n == 1) { /* I − x̂ x̂ᵀ = 0 */
        b->g[0] = choose(some, splat(0), b->g[0]);
        dot = splat(0);
    }
    V projection = choose(some, dot / square, splat(0));
    b->along = choose(some, b->alignment / vsqrt(square), splat(0)) - projection;
    if (want_square) b->across_square = vmax(sum_of_squares(b->g, n) - projection * dot, splat(0));
}

#endif
