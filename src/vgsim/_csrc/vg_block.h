/* The state of one lane group of samples during a run, and scratch memory. */
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
    sample_keys keys;
    int64_t first_row; /* output row of lane 0; may lie outside 0 … count − 1 */
    V *y, *d;          /* of one layer: ŷ; φ', then δ */
    scaled rms_min, rms_max; /* extremes of RMS(G) from layer D down to the current one */
} block;

INLINE int64_t whole_quads(int64_t n) { return (n + 3) & ~(int64_t)3; }

INLINE int cancelled(const block *b) { return vg_is_raised(b->plan->cancelled); }

INLINE scaled root(V square, I exponent) { return normalised(vsqrt(square), exponent); }

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

#endif
