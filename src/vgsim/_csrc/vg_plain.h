/* Plain networks, h = W x + b, x = φ(h) with Gaussian W and b and one input: what the sweep
   (vg_sweep.h, vg_recursion.h) and the chain (vg_chain.h) share.

   With biases h = τ w, τ² = s² ‖x‖² + σ², w ~ N(0, I), and the product W x of the matrix alone is
   s ‖x‖ z with z = κ w + λ η, κ = s ‖x‖/τ, λ = σ/τ and η ~ N(0, I) independent of w. Without,
   κ = 1 and λ = 0. */
#ifndef VG_PLAIN_H
#define VG_PLAIN_H

#include "vg_columns.h"
#include "vg_record.h"

typedef struct {
    scaled tau;
    V kappa, lambda;
} rotation;

/* The state of the backward pass on its way down. */
typedef struct {
    block b;
    scaled c;               /* G_l = c ĝ: 1 at l = D, then s_{l+1} ‖δ_{l+1}‖ */
    V a;                    /* z_{l+1}·δ̂_{l+1}, the component of ĝ along x̂_l */
    scaled weight_gradient; /* of W_{l+1}, whose ‖W‖ is known after the next step: */
    V along, across;        /* z·δ̂ and κ ‖w − (w·δ̂) δ̂‖, */
    V lambda;
} plain;

/* τ, κ and λ of layer `index` with the input norm ‖x‖. */
static rotation rotate(const vg_plan *plan, int64_t index, scaled x)
{
    scaled u = scaled_product(scaled_number(plan->weight_scale[index]), x);
    if (plan->bias_scale[index] == 0) return (rotation){u, splat(1), splat(0)};
    scaled v = scaled_number(plan->bias_scale[index]);
    I e = imax(exponent_or_lowest(u), v.exponent);
    V weights = against(u, e), bias = against(v, e), tau = vsqrt(weights * weights + bias * bias);
    return (rotation){normalised(tau, e), weights / tau, bias / tau};
}

/* x ← a random row of the data for each sample; returns its exponents. */
static I draw_row(const block *b, V *x)
{
    const vg_plan *plan = b->plan;
    int64_t n = plan->widths[0];
    stream s = open_stream(&b->keys, VG_STREAM_INPUT, 0);
    I exponent = splat_int(0);
    W word[PARTS][4];
    philox(&s, 0, 1, word);
    for (int k = 0; k < LANES; k++) {
        uint64_t bits = word[k % PARTS][0][k / PARTS] & 0xffffffff;
        int64_t row = (int64_t)((bits * (uint64_t)plan->rows) >> 32);
        exponent[k] = (lane_int)plan->input_exponents[row];
        for (int64_t i = 0; i < n; i++) x[i][k] = (real)plan->inputs[row * n + i];
    }
    return exponent;
}

/* Records the norm of the activations, or of the pre-activations, of layer `index`. */
static void record_norm_ahead(const block *b, const int64_t *column, int64_t index, scaled norm)
{
    const vg_plan *plan = b->plan;
    if (plan->activation_rms && column && column[index] >= 0)
        record_log10(b, plan->activation_rms, plan->n_columns, column[index],
                     over_root(norm, plan->widths[index]));
}

/* Clips and records a gradient of the norm c · own: G_l, or δ_l if that is a place of its own. */
static void record_norm_back(plain *p, const int64_t *column, int64_t index, scaled own)
{
    block *b = &p->b;
    const vg_plan *plan = b->plan;
    int is_output = column == plan->column && index == plan->depth;
    scaled norm = scaled_product(p->c, own);
    if (plan->clip == VG_CLIP_NORM && !is_output) {
        scaled limit = scaled_number(plan->clip_at);
        I clips = scaled_less(limit, norm);
        scaled factor = normalised(limit.value / norm.value, limit.exponent - norm.exponent);
        p->c = scaled_choose(clips, scaled_product(p->c, factor), p->c);
        norm = scaled_choose(clips, limit, norm);
        record_clipped(b, column[index], -clips, 1);
    }
    if (is_output) record_output(b, plan->widths[index], norm);
    record_norm(b, column[index], plan->widths[index], norm);
    if (index == 0) record_dead(b, norm);
}

/* From ‖δ_l‖ = delta, l = `index`, to c and a at G_{l−1}; x = ‖x_{l−1}‖, ww = ‖w‖², w_delta = w·δ̂ and
   ν ~ N(0, 1) is η·δ̂. */
static void cross_weights(plain *p, int64_t index, rotation r, scaled x, scaled delta, V ww, V w_delta, V nu)
{
    const vg_plan *plan = p->b.plan;
    int64_t column = plan->weight_column[index];
    p->a = r.kappa * w_delta + r.lambda * nu;
    p->c = scaled_product(scaled_number(plan->weight_scale[index]), delta);
    if (column < 0) return;
    p->weight_gradient = scaled_product(delta, x);
    p->along = p->a;
    V away = vmax(ww - w_delta * w_delta, splat(0));
    if (plan->widths[index] == 1) away = choose(w_delta == 0, ww, splat(0));
    p->across = r.kappa * vsqrt(away);
    p->lambda = r.lambda;
    if (plan->weight_gradient)
        record_log10(&p->b, plan->weight_gradient, plan->n_weight_columns, column, p->weight_gradient);
}

/* Records ‖∂L/∂W‖/‖W‖ of layer `index`, given the square of the product with Wᵀ across x̂. The parts of
   ‖W‖² that the pass does not need are drawn: ‖z‖² = (z·δ̂)² + (κ ‖w − (w·δ̂) δ̂‖ + λ η₂)² + λ² χ²_{n−2} with
   η₂ ~ N(0, 1), and what neither product determines. */
static void record_update_ratio(const plain *p, int64_t index, V across_square)
{
    const block *b = &p->b;
    const vg_plan *plan = b->plan;
    int64_t column = plan->weight_column[index];
    double n = (double)plan->widths[index], m = (double)plan->widths[index - 1];
    if (!plan->update_ratio || column < 0) return;
    FOR_SAMPLES(b, k) {
        uint64_t sample = plan->first + (uint64_t)(b->first_row + k);
        double along = p->along[k], across = p->across[k], lambda = p->lambda[k], rest = 0;
        if (n > 1 && plan->bias_scale[index] > 0) {
            across += lambda * vg_normal(plan->key, VG_BIAS_BLOCK, (uint32_t)index, sample);
            rest = vg_chi_square(plan->key, VG_BIAS_BLOCK + 2, (uint32_t)index, sample, n - 2);
        }
        double unseen = vg_chi_square(plan->key, 0, (uint32_t)index, sample, (n - 1) * (m - 1));
        double square = along * along + across * across + lambda * lambda * rest + across_square[k] + unseen;
        plan->update_ratio[(b->first_row + k) * plan->n_weight_columns + column] =
            vg_log10(p->weight_gradient.value[k], p->weight_gradient.exponent[k]) -
            0.5 * vg_log10(square, 0) - vg_log10(plan->weight_scale[index], 0);
    }
}

/* The most layers of a segment. */
static int64_t longest_segment(const vg_plan *plan)
{
    int64_t most = 0, begin = 0;
    for (int64_t segment = 0; segment < plan->n_segments; segment++) {
        int64_t layers = plan->segment_ends[segment] - begin;
        if (layers > most) most = layers;
        begin = plan->segment_ends[segment];
    }
    return most;
}

#endif
