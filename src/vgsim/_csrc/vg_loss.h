/* The cotangent of the last layer, G_D = ∂L/∂X_D, for each loss; and clipping of the cotangents
   below it. */
#ifndef VG_LOSS_H
#define VG_LOSS_H

#include "vg_pass.h"
#include "vg_record.h"

/* Softmax minus the one-hot class y: G_j = p_j for j ≠ y, and G_y = −Σ_{j≠y} p_j, free of
   cancellation. With m the largest logit except z_y, w_j = exp(z_j − m) and S = Σ_{j≠y} w_j:
   p_j = w_j/(S + exp(z_y − m)). */
static void cross_entropy(const block *of, int64_t b, columns *g)
{
    int64_t n = g->rows;
    stream s = open_stream(&of->keys, VG_STREAM_TARGETS, (uint32_t)of->plan->places);
    W word[PARTS][4];
    V *v = column(g, b), true_class, own = {0}, top = splat(0), some = {0}, sum = {0}, square = {0};
    philox(&s, (uint32_t)(b / 4), 1, word);
    for (int k = 0; k < LANES; k++)
        true_class[k] = (real)(((word[k % PARTS][b % 4][k / PARTS] & 0xffffffff) * (uint64_t)n) >> 32);
    for (int64_t j = 0; j < n; j++) {
        I is_own = true_class == splat(j);
        own = choose(is_own, v[j], own);
        top = choose(is_own | ((some != 0) & (v[j] <= top)), top, v[j]);
        some = choose(is_own, some, splat(1));
    }
    V size = plain_size(g->exponent[b]), margin = (own - top) * size; /* may be infinite */
    for (int64_t j = 0; j < n; j++) {
        V w = vexp(vmax((v[j] - top) * size, splat(-EXP2_LIMIT)));
        sum += choose(true_class == splat(j), splat(0), w);
        v[j] = w;
    }
    V ahead = vmin(vmax(margin, splat(0)) * LOG2_E, splat(EXPONENT_LIMIT)); /* log2 e^margin */
    V whole = __builtin_convertvector(__builtin_convertvector(ahead, I), V);
    V behind = vexp(vmax(vmin(margin, splat(0)), splat(-EXP2_LIMIT)));
    V least = vexp2(vmax(-ahead, splat(-EXP2_LIMIT)));
    V factor = choose(margin > 0, vexp2(whole - ahead) / (sum * least + 1), 1 / (sum + behind));
    for (int64_t j = 0; j < n; j++) {
        v[j] = choose(true_class == splat(j), -sum, v[j]) * factor;
        square += v[j] * v[j];
    }
    g->exponent[b] = choose_int(margin > 0, -__builtin_convertvector(whole, I), splat_int(0));
    normalise_column(g, b, square);
}

/* g ← G_D, from the columns x of X_D. */
static void draw_cotangent(const block *b, const columns *x, columns *g)
{
    const vg_plan *plan = b->plan;
    int64_t n = x->rows;
    g->rows = n;
    if (plan->loss == VG_CROSS_ENTROPY) {
        copy_columns(g, x);
        for (int64_t k = 0; k < g->count; k++) cross_entropy(b, k, g);
        return;
    }
    draw_columns(b, plan->loss == VG_MSE ? VG_STREAM_TARGETS : VG_STREAM_COTANGENT, (uint32_t)plan->places, n,
                 g->count, g->v, g->stride);
    for (int64_t k = 0; k < g->count; k++) g->exponent[k] = splat_int(0);
    normalise_columns(g);
    if (plan->loss == VG_MSE) add_scaled(g, scaled_number(1), x, signed_number(-1), g);
}

/* v 2^e clipped to ±4, in two steps, for v = 0 or |v| ≥ 2^-EXP2_LIMIT. */
INLINE V shifted(V v, I e)
{
    I most = splat_int((int)EXP2_LIMIT), none = splat_int(0);
    I half = imin(imax(e, -most), most), rest = imin(imax(e - half, none), most);
    v = vmin(vmax(v * power_of_two(half), splat(-4)), splat(4));
    return vmin(vmax(v * power_of_two(rest), splat(-4)), splat(4));
}

/* The norm of G_l, the gradient by all registers of the state. */
static scaled norm_of_state(const pass *p)
{
    scaled norm = norm_of_columns(&p->g[0]);
    for (int64_t r = 1; r < p->b.plan->state; r++) norm = hypotenuse(norm, norm_of_columns(&p->g[r]));
    return norm;
}

/* Clips the entries of g to ±τ and returns how many were clipped. Columns without any do not
   change. */
static I clip_values(columns *g, scaled limit)
{
    I cut = {0};
    for (int64_t b = 0; b < g->count; b++) {
        V *v = column(g, b), most = splat(0), square = {0};
        I shift = saturate(g->exponent[b] - limit.exponent);
        for (int64_t i = 0; i < g->rows; i++) most = vmax(most, vabs(v[i]));
        I clips = shifted(most, shift) > limit.value;
        if (!any(clips)) continue;
        for (int64_t i = 0; i < g->rows; i++) {
            V w = shifted(v[i], shift);
            I beyond = vabs(w) > limit.value;
            cut -= clips & beyond;
            v[i] = choose(clips, choose(beyond, with_sign(limit.value, w), w), v[i]);
            square += v[i] * v[i];
        }
        g->exponent[b] = choose_int(clips, limit.exponent, g->exponent[b]);
        normalise_some(g, b, clips, square);
    }
    return cut;
}

/* Scales G_l to the norm τ in the samples in which its norm is larger, and p->along and the sums of
   groups by the same factor; returns the mask of these samples. Afterwards ½ ≤ ‖v_b‖ < 4. */
static I clip_norm(pass *p, scaled limit)
{
    scaled norm = norm_of_state(p);
    I clips = scaled_less(limit, norm);
    if (!any(clips)) return clips;
    V factor = choose(clips, limit.value / norm.value, splat(1));
    I shift = clips & saturate(limit.exponent - norm.exponent);
    for (int64_t r = 0; r < p->b.plan->state; r++) scale_columns(&p->g[r], (scaled){factor, shift});
    if (p->grouped) scale_columns(&p->sums, (scaled){factor, shift});
    for (int64_t b = 0; b < p->batch; b++)
        p->along[b] = signed_normalised(p->along[b].value * factor, p->along[b].exponent + shift);
    return clips;
}

/* Clips G_l and records the fraction of its entries that were clipped. */
static void clip(pass *p, int64_t index)
{
    const vg_plan *plan = p->b.plan;
    I cut = {0};
    double whole = plan->clip == VG_CLIP_NORM ? 1 : (double)(plan->widths[index] * p->batch * plan->state);
    if (index < plan->depth && plan->clip == VG_CLIP_NORM) cut = -clip_norm(p, scaled_number(plan->clip_at));
    for (int64_t r = 0; r < plan->state && index < plan->depth && plan->clip == VG_CLIP_VALUE; r++)
        cut += clip_values(&p->g[r], scaled_number(plan->clip_at));
    record_clipped(&p->b, plan->column[index], cut, whole);
}

#endif
