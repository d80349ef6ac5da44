/* The backward pass: from the cotangent of layer l to that of layer l − 1. */
#ifndef VG_BACKWARD_H
#define VG_BACKWARD_H

#include "vg_forward.h"

/* Records ‖∂L/∂W‖/‖W‖ of layer `index`. The matrix-free engine draws the part of ‖W‖² that the two
   products do not determine. */
static void record_update_ratio(const block *b, int64_t index, int64_t column)
{
    const vg_plan *plan = b->plan;
    int dense = plan->engine == VG_DENSE;
    double s = plan->weight_scale[index];
    double unseen = (double)(plan->widths[index] - 1) * (double)(plan->widths[index - 1] - 1);
    V seen = b->z_square + b->across_square;
    if (dense)
        seen = dense_weight_square(b, plan->weight_law, (uint32_t)index, plan->widths[index],
                                   plan->widths[index - 1]);
    FOR_SAMPLES(b, k) {
        uint64_t sample = plan->first + (uint64_t)(b->first_row + k);
        double square = seen[k] + (dense ? 0 : vg_chi_square(plan->key, (uint32_t)index, sample, unseen));
        plan->update_ratio[(b->first_row + k) * plan->n_weight_columns + column] =
            vg_log10(b->weight_gradient.value[k], b->weight_gradient.exponent[k]) -
            0.5 * vg_log10(square, 0) - vg_log10(s, 0);
    }
}

/* g ← the product with W_{l+1}ᵀ without its part along ŷ, or the cotangent of the loss at l = D:
   G_l = scale (g + along ŷ), l = `index`. */
static void arrive(block *b, int64_t index)
{
    const vg_plan *plan = b->plan;
    if (index == plan->depth) {
        stream s = open_stream(&b->keys, VG_STREAM_COTANGENT, (uint32_t)plan->places);
        fill(VG_NORMAL, &s, plan->widths[index], b->g);
        b->scale = scaled_number(1);
        return;
    }
    b->scale = scaled_product(b->delta, scaled_number(plan->weight_scale[index + 1]));
    if (plan->engine == VG_DENSE)
        dense_backward(b, index + 1);
    else
        matrix_free_backward(b, index + 1);
}

/* Sets `along`, where Σ ŷ² = square and Σ ŷ g = dot, and records the update ratio of the
   layer above. */
static void align(block *b, int64_t index, V square, V dot)
{
    const vg_plan *plan = b->plan;
    b->along = splat(0);
    if (index == plan->depth) return;
    int64_t column = plan->update_ratio ? plan->weight_column[index + 1] : -1;
    if (plan->engine == VG_MATRIX_FREE) matrix_free_along(b, plan->widths[index], square, dot, column >= 0);
    if (column >= 0) record_update_ratio(b, index + 1, column);
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

/* Records ‖G_l‖, where Σ ĝ² = square. */
static void record_cotangent(block *b, int64_t index, V square)
{
    const vg_plan *plan = b->plan;
    int64_t n = plan->widths[index] * plan->batch;
    scaled norm = scaled_product(b->scale, root(square, splat_int(0)));
    if (index == plan->depth) {
        b->rms_min = b->rms_max = over_root(norm, n);
        record_log10(b, plan->output_gradient, 1, 0, norm);
    }
    record_norm(b, plan->column[index], n, norm);
    if (index == 0)
        FOR_SAMPLES(b, k) plan->dead[b->first_row + k] = norm.value[k] == 0;
}

INLINE I saturated_units(const block *b, int64_t width, double below)
{
    I count = {0};
    for (int64_t i = 0; i < width; i++) count -= vabs(b->d[i]) < (real)below;
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

/* ĝ ← g + along ŷ; δ ← φ' ĝ, in the array of φ'. Samples in which δ underflows are computed by
   logarithms. */
static void through_activation(block *b, int64_t index, const layer *l)
{
    const vg_plan *plan = b->plan;
    int64_t n = l->width, column = plan->weight_column[index];
    if (plan->saturation && plan->saturation_column[index] >= 0)
        record_saturation(b, index, saturated_units(b, n, b->plan->saturated_below), n);
    V *restrict y = b->y, *restrict d = b->d, *restrict g = b->g;
    const V *next = l->raw - (l->zeta ? 2 : 1) * n; /* near the layer below */
    V along = b->along, square = {0}, delta_square = {0}, z_delta = {0};
    for (int64_t i = 0; i < n; i++) {
        V cotangent = g[i] + along * y[i], delta = d[i] * cotangent;
        g[i] = cotangent;
        d[i] = delta;
        square += cotangent * cotangent;
        delta_square += delta * delta;
        z_delta += l->raw[i] * delta;
        __builtin_prefetch(next + i);
    }
    record_cotangent(b, index, square);
    I exponent = splat_int(0);
    I lost = -b->phi->has_tail & has_lost(delta_square, l->exponent) & (b->scale.value > 0);
    if (any(lost)) {
        exponent = b->phi->tail_cotangents(l, b->parameters, lost, b->g, b->d);
        V z_lost = {0};
        for (int64_t i = 0; i < n; i++) z_lost += l->raw[i] * b->d[i];
        delta_square = choose(lost, sum_of_squares(b->d, n), delta_square);
        z_delta = choose(lost, z_lost, z_delta);
    }
    scaled own = root(delta_square, exponent), norm = scaled_product(b->scale, own);
    if (plan->inner_column) record_norm(b, plan->inner_column[index], n, norm);
    if (plan->engine == VG_DENSE) {
        rescale(b->outgoing, b->d, n, delta_square);
        b->delta = (scaled){choose(norm.value > 0, b->scale.value, splat(0)),
                            saturate(b->scale.exponent + own.exponent)};
    } else {
        b->delta = norm;
        b->alignment = choose(delta_square > 0, z_delta / vsqrt(delta_square), splat(0));
    }
    if (column < 0) return;
    b->weight_gradient = scaled_product(norm, l->input_norm);
    b->z_square = sum_of_squares(l->raw, n);
    if (plan->weight_gradient)
        record_log10(b, plan->weight_gradient, plan->n_weight_columns, column, b->weight_gradient);
}

/* From G_l to δ_l for the layers of a segment, last layer first, after forward_segment. */
static int backward_segment(block *b, int64_t segment)
{
    int64_t begin = segment ? b->plan->segment_ends[segment - 1] : 0;
    for (int64_t index = b->plan->segment_ends[segment]; index > begin; index--) {
        if (cancelled(b)) return VG_CANCELLED;
        layer *l = &b->layers[index - begin - 1];
        arrive(b, index);
        V dot = recall(b->phi, b->parameters, l, b->outcomes[index], b->y, b->d, b->g);
        align(b, index, b->outcomes[index].square, dot);
        through_activation(b, index, l);
    }
    return VG_OK;
}

static void reach_input(block *b)
{
    int64_t n = b->plan->widths[0];
    V dot = {0}, square = {0};
    arrive(b, 0);
    for (int64_t i = 0; i < n; i++) dot += b->input[i] * b->g[i];
    align(b, 0, b->outcomes[0].square, dot);
    for (int64_t i = 0; i < n; i++) {
        V cotangent = b->g[i] + b->along * b->input[i];
        square += cotangent * cotangent;
    }
    record_cotangent(b, 0, square);
}

#endif
