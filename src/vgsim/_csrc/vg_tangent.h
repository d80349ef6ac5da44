/* Tangent mode: V_l = ∂X_l/∂X_0 · V_0, for a random orthonormal V_0 of k tangents, is computed
   forward with X_l. The pass depends on W through W [X V] only, so the matrix-free law is exact
   without a backward pass. After every layer, or every residual block, V = Q R is factorised
   and V ← Q. The products of the R_ii over the layers are the stretching of the k leading
   directions; that of R_11 is ‖J v‖/‖v‖. */
#ifndef VG_TANGENT_H
#define VG_TANGENT_H

#include "vg_pass.h"

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
    orthonormalise_in(p->dimension, 0, first.v, size, size, 0, k, ROUNDING, p->small, p->work);
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

/* Reduces the dimension of the space of tangents to that of the current place: its units, minus one
   for each mean that normalisation subtracts. Skip connections restore these directions. */
static void narrow(pass *p, const vg_operation *first, const vg_operation *end)
{
    const vg_plan *plan = p->b.plan;
    int64_t batch = plan->batch, least = plan->widths[p->place] * batch;
    int skips = !(plan->resting[p->place] && plan->resting[p->place - 1]);
    for (const vg_operation *o = first; o < end; o++) skips |= o->kind == VG_COPY;
    for (const vg_operation *o = first; o < end && !skips; o++) {
        int64_t room = least;
        if (o->kind == VG_WEIGHTS) room = o->rows * batch;
        if (o->kind == VG_NORM && o->law == VG_LAYER_NORM) room = (o->rows - 1) * batch;
        if (o->kind == VG_NORM && o->law == VG_BATCH_NORM) room = o->rows * (batch - 1);
        if (room < least) least = room;
    }
    if (least < p->dimension) p->dimension = least;
}

/* Orthonormalises the tangents at the current place and records the stretching. Inside a residual
   block a copy is used, because another register has the tangents at the input of the block, in the
   same frame. */
static void measure_tangents(pass *p)
{
    const vg_plan *plan = p->b.plan;
    columns *x = &p->x[0];
    scaled *stretched = p->stretched, *copied = p->stretched + plan->tangents;
    if (!plan->resting[p->place]) {
        if (plan->column[p->place] < 0) return;
        copy_columns(&p->other, x);
        x = &p->other;
        stretched = __builtin_memcpy(copied, stretched, (size_t)plan->tangents * sizeof(scaled));
    }
    orthonormalise_tangents(p, x, stretched);
    if (plan->column[p->place] >= 0) record_stretching(p, p->place, stretched);
}

/* V_0: k orthonormal tangents, uniformly distributed. */
static void draw_tangents(pass *p)
{
    const vg_plan *plan = p->b.plan;
    columns *x = &p->x[0], first = part(plan, x, 1);
    draw_columns(&p->b, VG_STREAM_TANGENT, 0, x->rows, plan->tangents * plan->batch, first.v, first.stride);
    for (int64_t b = plan->batch; b < p->batch; b++) x->exponent[b] = splat_int(0);
    p->dimension = x->rows * plan->batch;
    orthonormalise_tangents(p, x, p->stretched);
    for (int64_t j = 0; j < plan->tangents; j++) p->stretched[j] = (scaled){splat(1), splat_int(0)};
    if (plan->column[0] >= 0) record_stretching(p, 0, p->stretched);
}

#endif
