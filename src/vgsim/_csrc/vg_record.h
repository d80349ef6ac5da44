/* How results of a lane group are recorded. */
#ifndef VG_RECORD_H
#define VG_RECORD_H

#include "vg_block.h"

/* Loops over the lanes that are samples of this run. */
#define FOR_SAMPLES(b, lane)                 \
    for (int lane = 0; lane < LANES; lane++) \
        if ((uint64_t)((b)->first_row + lane) < (uint64_t)(b)->plan->count)

static void record_log10(const block *b, double *table, int64_t columns, int64_t column, scaled x)
{
    FOR_SAMPLES(b, k) table[(b->first_row + k) * columns + column] = vg_log10(x.value[k], x.exponent[k]);
}

/* Records the norm of a gradient of n entries, and the extremes of the RMS from the last one down. */
static void record_norm(block *b, int64_t column, int64_t n, scaled norm)
{
    const vg_plan *plan = b->plan;
    scaled rms = over_root(norm, n);
    b->rms_min = scaled_choose(scaled_less(rms, b->rms_min), rms, b->rms_min);
    b->rms_max = scaled_choose(scaled_less(b->rms_max, rms), rms, b->rms_max);
    if (!plan->gradient || column < 0) return;
    record_log10(b, plan->gradient, plan->n_columns, column, norm);
    record_log10(b, plan->rms_min, plan->n_columns, column, b->rms_min);
    record_log10(b, plan->rms_max, plan->n_columns, column, b->rms_max);
}

/* Records ‖G_D‖ of n entries. */
static void record_output(block *b, int64_t n, scaled norm)
{
    b->rms_min = b->rms_max = over_root(norm, n);
    record_log10(b, b->plan->output_gradient, 1, 0, norm);
}

static void record_dead(const block *b, scaled norm)
{
    FOR_SAMPLES(b, k) b->plan->dead[b->first_row + k] = norm.value[k] == 0;
}

INLINE I saturated_units(const V *slopes, int64_t width, double below)
{
    I count = {0};
    for (int64_t i = 0; i < width; i++) count -= vabs(slopes[i]) < (real)below;
    return count;
}

/* Records the fraction of saturated units, 0 where there are none. */
static void record_saturation(const block *b, int64_t index, I count, int64_t units)
{
    const vg_plan *plan = b->plan;
    int64_t column = plan->saturation_column[index];
    if (!plan->saturation || column < 0) return;
    FOR_SAMPLES(b, k)
        plan->saturation[(b->first_row + k) * plan->n_saturation_columns + column] =
            (double)count[k] / (double)(units ? units : 1);
}

/* Records the fraction of the entries of a gradient that were clipped. */
static void record_clipped(const block *b, int64_t column, I count, double entries)
{
    const vg_plan *plan = b->plan;
    if (!plan->clipped || column < 0) return;
    FOR_SAMPLES(b, k)
        plan->clipped[(b->first_row + k) * plan->n_columns + column] = (double)count[k] / entries;
}

#endif
