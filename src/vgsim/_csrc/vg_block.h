/* The state of one lane group of samples during a run, and how results are recorded. */
#ifndef VG_BLOCK_H
#define VG_BLOCK_H

#include "vg_draws.h"
#include "vg_layer.h"

/* Scratch memory, allocated in order. If base is NULL, only the size is computed. */
typedef struct {
    size_t bytes;
    char *base;
} arena;

static void *take(arena *a, size_t bytes)
{
    void *place = a->base ? a->base + a->bytes : NULL;
    a->bytes += (bytes + 63) & ~(size_t)63;
    return place;
}

typedef struct {
    const vg_plan *plan;
    const activation *phi;
    real parameters[2];
    sample_keys keys;
    int64_t first_row; /* output row of lane 0; may lie outside 0 … count − 1 */
    outcome *outcomes; /* of layers 0 … D; layer 0 is the input */
    layer *layers;  /* of the current segment */
    V *store;       /* raw products and biases of these layers */
    V **checkpoints; /* dense: x̂ at the start of each segment */
    V *x;           /* dense: the current x̂ with 1 ≤ ‖x̂‖ < 2, x = x̂ 2^k, k the exponent of ‖x‖ */
    V *input;       /* x_0 = input 2^e */
    V *y, *d, *g;   /* of the current layer: ŷ; φ', then δ; ĝ without its part along ŷ, then ĝ */
    V along;        /* matrix-free: the part of ĝ along ŷ */
    V across_square; /* matrix-free: ‖(I − x̂ x̂ᵀ) z'‖² */
    V *outgoing;    /* dense: δ̂ with 1 ≤ ‖δ̂‖ < 2 */
    scaled scale;   /* G = scale ĝ */
    scaled delta;   /* ‖δ‖ (matrix-free), or δ/δ̂ (dense) */
    V alignment;    /* z·δ/‖δ‖ (matrix-free) */
    scaled rms_min, rms_max; /* extremes of RMS(G) from layer D down to the current one */
    scaled weight_gradient;  /* ‖∂L/∂W_l‖ and Σ z_l², kept until ‖W_l‖ is known */
    V z_square;
} block;

INLINE int64_t whole_quads(int64_t n) { return (n + 3) & ~(int64_t)3; }

INLINE int cancelled(const block *b) { return vg_is_raised(b->plan->cancelled); }

INLINE scaled root(V square, I exponent) { return normalised(vsqrt(square), exponent); }

/* ‖x_l‖ */
INLINE scaled norm_of(const block *b, int64_t index)
{
    return root(b->outcomes[index].square, b->outcomes[index].value_exponent);
}

INLINE V sum_of_squares(const V *v, int64_t n)
{
    V sum = {0};
    for (int64_t i = 0; i < n; i++) sum += v[i] * v[i];
    return sum;
}

INLINE scaled over_root(scaled norm, int64_t count)
{
    return scaled_product(norm, scaled_number(__builtin_sqrt(1.0 / (double)count)));
}

/* a · 2^-E as a plain number. The exponent is clipped to ±100: below, a does not change the sum. */
INLINE V against(scaled a, I exponent)
{
    I e = imin(imax(a.exponent - exponent, splat_int(-100)), splat_int(100));
    return a.value * power_of_two(e);
}

#define PLAIN_EXPONENT 8 /* scales from 2^-8 to 2^8 stay in the significand: E = 0 */

/* Loops over the lanes that are samples of this run. */
#define FOR_SAMPLES(b, lane)                 \
    for (int lane = 0; lane < LANES; lane++) \
        if ((uint64_t)((b)->first_row + lane) < (uint64_t)(b)->plan->count)

static void record_log10(const block *b, double *table, int64_t columns, int64_t column, scaled x)
{
    FOR_SAMPLES(b, k) table[(b->first_row + k) * columns + column] = vg_log10(x.value[k], x.exponent[k]);
}

#endif
