/* Tangent mode: V_l = ∂X_l/∂X_0 · V_0, for a random orthonormal V_0 of k tangents, is computed
   forward with X_l. The pass depends on W through W [X V] only, so the matrix-free law is exact
   without a backward pass. After every layer, or every residual block, V = Q R is factorised
   and V ← Q. The products of the R_ii over the layers are the stretching of the k leading
   directions; that of R_11 is ‖J v‖/‖v‖. */
#ifndef VG_TANGENT_H
#define VG_TANGENT_H

#include "vg_pass.h"

/* The k-th tangent ← its columns under one exponent, which is returned; their exponents become 0. */
static I equal_exponents(const pass *p, columns *registers, int64_t k)
{
    const vg_plan *plan = p->b.plan;
    I e = LOWEST;
    for (int64_t r = 0; r < plan->state; r++) {
        columns tangent = part(plan, &registers[r], k);
        e = imax(e, common_exponent(&tangent));
    }
    for (int64_t r = 0; r < plan->state; r++) {
        columns tangent = part(plan, &registers[r], k);
        zero_rows(&tangent, tangent.rows, tangent.stride);
        for (int64_t b = 0; b < plan->batch; b++) {
            V *v = column(&tangent, b), factor = relative_size(&tangent, b, e);
            for (int64_t i = 0; i < tangent.rows && plan->batch * plan->state > 1; i++) v[i] *= factor;
            tangent.exponent[b] = splat_int(0);
        }
    }
    return e;
}

/* p->joined ← the tangents of all registers, each as one vector; or, back, the registers from it. */
static void join(const pass *p, columns *registers, int back)
{
    const vg_plan *plan = p->b.plan;
    int64_t size = plan->batch * registers[0].stride;
    for (int64_t j = 0; j < plan->tangents; j++)
        for (int64_t r = 0; r < plan->state; r++) {
            V *own = part(plan, &registers[r], j + 1).v, *joined = p->joined + (j * plan->state + r) * size;
            copy(back ? own : joined, back ? joined : own, size);
        }
}

/* V = Q R: registers ← Q, stretched_i ← stretched_i R_ii. One tangent is the vector of its columns of
   all registers of the state and all examples. */
static void orthonormalise_tangents(pass *p, columns *registers, scaled *stretched)
{
    const vg_plan *plan = p->b.plan;
    int64_t k = plan->tangents, size = plan->state * plan->batch * registers[0].stride;
    V *first = plan->state > 1 ? p->joined : part(plan, registers, 1).v;
    for (int64_t j = 0; j < k; j++)
        stretched[j].exponent = saturate(stretched[j].exponent + equal_exponents(p, registers, j + 1));
    if (plan->state > 1) join(p, registers, 0);
    orthonormalise_in(p->dimension, 0, first, size, size, 0, k, ROUNDING, p->small, p->work);
    if (plan->state > 1) join(p, registers, 1);
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

/* Reduces the dimension of the space of tangents to that of the current place: the units of its state,
   minus one for each mean that normalisation subtracts. Skip connections restore these directions. */
static void narrow(pass *p, const vg_operation *first, const vg_operation *end)
{
    const vg_plan *plan = p->b.plan;
    int64_t batch = plan->batch, least = plan->widths[p->place] * batch * plan->state;
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

/* V_0: k orthonormal tangents, uniformly distributed, of the registers of the state one after another. */
static void draw_tangents(pass *p, columns *registers)
{
    const vg_plan *plan = p->b.plan;
    int64_t rows = plan->widths[0], columns_each = plan->tangents * plan->batch;
    stream s = open_stream(&p->b.keys, VG_STREAM_TANGENT, 0);
    for (int64_t r = 0; r < plan->state; r++)
        for (int64_t b = 0; b < columns_each; b++) {
            fill_from(VG_NORMAL, &s, (r * columns_each + b) * (whole_quads(rows) / 4), rows,
                      column(&registers[r], plan->batch + b));
            registers[r].exponent[plan->batch + b] = splat_int(0);
        }
    p->dimension = rows * plan->batch * plan->state;
    orthonormalise_tangents(p, registers, p->stretched);
    for (int64_t j = 0; j < plan->tangents; j++) p->stretched[j] = (scaled){splat(1), splat_int(0)};
    if (plan->column[0] >= 0) record_stretching(p, 0, p->stretched);
}

#endif
