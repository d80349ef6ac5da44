/* Tangent mode: V_l = ∂X_l/∂X_0 · V_0, for a random orthonormal V_0 of k tangents, is computed
   forward with X_l. The pass depends on W through W [X V] only, so the matrix-free law is exact
   without a backward pass. After every layer, or every residual block, V = Q R is factorised
   and V ← Q. The products of the R_ii over the layers are the stretching of the k leading
   directions; that of R_11 is ‖J v‖/‖v‖. */
#ifndef VG_TANGENT_H
#define VG_TANGENT_H

#include "vg_ahead.h"

/* V = Q R: x ← Q, stretched_i ← stretched_i R_ii. One tangent is the vector of its columns of all
   examples. */
static void orthonormalise_tangents(pass *p, columns *x, scaled *stretched)
{
    const vg_plan *plan = p->b.plan;
    int64_t k = plan->tangents, size = plan->batch * x->stride;
    for (int64_t j = 0; j < k; j++) {
        columns tangent = part(plan, x, j + 1);
        I e = common_exponent(&tangent);
        zero_rows(&tangent, x->rows, x->stride);
        for (int64_t b = 0; b < plan->batch; b++) {
            V *v = column(&tangent, b), factor = relative_size(&tangent, b, e);
            for (int64_t i = 0; i < x->rows && plan->batch > 1; i++) v[i] *= factor;
            tangent.exponent[b] = splat_int(0);
        }
        stretched[j].exponent = saturate(stretched[j].exponent + e);
    }
    columns first = part(plan, x, 1);
    orthonormalise_in(p->dimension, first.v, size, size, 0, k, ROUNDING, p->small, p->work);
    for (int64_t j = 0; j < k; j++)
        stretched[j] = normalised(stretched[j].value * p->small[j * k + j], stretched[j].exponent);
}

static void record_stretching(const pass *p, int64_t index, const scaled *stretched)
{
    const vg_plan *plan = p->b.plan;
    for (int64_t j = 0; j < plan->tangents; j++)
        record_log10(&p->b, plan->stretching, plan->n_columns * plan->tangents,
                     plan->column[index] * plan->tangents + j, stretched[j]);
}

/* Reduces the dimension of the space of tangents to that of layer `index`: its units, minus one for
   each mean that normalisation subtracts. Skip connections restore these directions. */
static void narrow(pass *p, int64_t index)
{
    const vg_plan *plan = p->b.plan;
    int64_t n = plan->widths[index], room = n * plan->batch;
    if (plan->skip == VG_NO_SKIP && plan->norm == VG_LAYER_NORM) room -= plan->batch;
    if (plan->skip == VG_NO_SKIP && plan->norm == VG_BATCH_NORM) room -= n;
    if (room < p->dimension) p->dimension = room;
}

/* Orthonormalises the tangents at layer `index` and records the stretching. Inside a residual block
   a copy is used, because p->skip still has the tangents at the input of the block, in the same
   frame. */
static void measure_tangents(pass *p, int64_t index)
{
    const vg_plan *plan = p->b.plan;
    columns *x = &p->x;
    scaled *stretched = p->stretched, *copied = p->stretched + plan->tangents;
    if (plan->skip != VG_NO_SKIP && plan->skip != VG_HIGHWAY && !block_ends(plan, index)) {
        if (plan->column[index] < 0) return;
        copy_columns(&p->other, x);
        x = &p->other;
        stretched = __builtin_memcpy(copied, stretched, (size_t)plan->tangents * sizeof(scaled));
    }
    narrow(p, index);
    orthonormalise_tangents(p, x, stretched);
    if (plan->column[index] >= 0) record_stretching(p, index, stretched);
}

/* V_0: k orthonormal tangents, uniformly distributed. */
static void draw_tangents(pass *p)
{
    const vg_plan *plan = p->b.plan;
    columns first = part(plan, &p->x, 1);
    draw_columns(&p->b, VG_STREAM_TANGENT, 0, p->x.rows, plan->tangents * plan->batch, first.v, first.stride);
    for (int64_t b = plan->batch; b < p->batch; b++) p->x.exponent[b] = splat_int(0);
    p->dimension = p->x.rows * plan->batch;
    orthonormalise_tangents(p, &p->x, p->stretched);
    for (int64_t j = 0; j < plan->tangents; j++) p->stretched[j] = (scaled){splat(1), splat_int(0)};
}

static int run_tangents(pass *p)
{
    const vg_plan *plan = p->b.plan;
    copy_columns(&p->x, &p->starts[0]);
    draw_tangents(p);
    if (plan->column[0] >= 0) record_stretching(p, 0, p->stretched);
    for (int64_t segment = 0, begin = 0; segment < plan->n_segments; segment++) {
        int64_t end = plan->segment_ends[segment];
        place_segment(p, begin, end);
        if (plan->recurrent && plan->input_scale > 0) draw_drive(p, begin, end);
        for (int64_t index = begin + 1; index <= end && !cancelled(&p->b); index++) {
            layer_ahead(p, index, &p->steps[index - begin - 1]);
            measure_tangents(p, index);
            record_activations(p, index);
        }
        begin = end;
    }
    return cancelled(&p->b) ? VG_CANCELLED : VG_OK;
}

#endif
