/* The scalar engine: piecewise linear networks of Gaussian weights and one input, as a chain of
   O(1) random numbers per layer (docs/law.md).

     forward    τ² = s² ‖x‖² + σ²,  κ = s ‖x‖/τ,  λ = σ/τ;  h = τ w,  w ~ N(0, I)
                K ~ Bin(n, ½) units with w > 0,  P ~ χ²_K and N ~ χ²_{n−K} the squares of both parts of w
                ‖x_l‖ = τ r,  r² = α₊² P + α₋² N,  α₊ and α₋ the slopes of φ

     backward   G = c g, with the component a ~ z·δ̂ along x̂_l, and v, R₊, R₋ orthogonal to it:
                g₊ = a cos θ − v sin θ,  g₋ = a sin θ + v cos θ;  cos θ = α₊ √P/r,  sin θ = α₋ √N/r
                ‖G_l‖² = c² (g₊² + g₋² + R₊ + R₋)
                ‖δ_l‖² = c² q,  q = α₊² (g₊² + R₊) + α₋² (g₋² + R₋)
                a ← κ w·δ̂ + λ ν,  w·δ̂ = (α₊ √P g₊ + α₋ √N g₋)/√q;  c ← s ‖δ_l‖ */
#ifndef VG_CHAIN_H
#define VG_CHAIN_H

#include "vg_backward.h"
#include "vg_gamma.h"

/* The forward pass of a layer. */
typedef struct {
    I active;     /* K */
    V squares[2]; /* P, N */
    scaled norm;  /* ‖x_l‖ */
} chain_layer;

/* τ, κ, λ */
typedef struct {
    scaled tau;
    V kappa, lambda;
} mixture;

typedef struct {
    block b;
    V slope[2];          /* α₊, α₋ */
    chain_layer *layers; /* of the current segment */
    scaled *starts;      /* ‖x‖ at the start of each segment */
    scaled c;
    V a;
    V along, across, lambda; /* of the layer above: z·δ̂, κ ‖w − (w·δ̂) δ̂‖, λ */
} chain;

#if VG_BITS == 32
#define LEAST 0x1p-40f
#else
#define LEAST 0x1p-300
#endif

/* A component that rounding makes 0 is not 0. */
INLINE V nonzero(V g) { return with_sign(vmax(vabs(g), splat(LEAST)), g); }

INLINE V square_of_slopes(const chain *t, V plus, V minus)
{
    return t->slope[0] * t->slope[0] * plus + t->slope[1] * t->slope[1] * minus;
}

static mixture mix(const vg_plan *plan, int64_t index, scaled input)
{
    scaled u = scaled_product(scaled_number(plan->weight_scale[index]), input);
    if (plan->bias_scale[index] == 0) return (mixture){u, splat(1), splat(0)};
    scaled v = scaled_number(plan->bias_scale[index]);
    I e = imax(choose_int(u.value > 0, u.exponent, splat_int(-EXPONENT_LIMIT)), v.exponent);
    V weights = against(u, e), bias = against(v, e), tau = vsqrt(weights * weights + bias * bias);
    return (mixture){normalised(tau, e), weights / tau, bias / tau};
}

/* ‖x_0‖ */
static scaled chain_input(chain *t)
{
    const vg_plan *plan = t->b.plan;
    int64_t n = plan->widths[0];
    if (plan->inputs) {
        draw_input(&t->b);
        return norm_of(&t->b, 0);
    }
    stream s = open_stream(&t->b.keys, VG_STREAM_INPUT, 0);
    V square[2], degrees[2] = {splat(n), splat(0)};
    chi_squares(&s, 0, degrees, square);
    return root(square[0], splat_int(0));
}

/* Records the norm of n activations. */
static void chain_record_activation(const block *b, const int64_t *column, int64_t index, scaled norm)
{
    const vg_plan *plan = b->plan;
    if (plan->activation_rms && column && column[index] >= 0)
        record_log10(b, plan->activation_rms, plan->n_columns, column[index],
                     over_root(norm, plan->widths[index]));
}

/* Layer `index` from ‖x_{l−1}‖. */
static chain_layer chain_forward(chain *t, int64_t index, scaled input, int recording)
{
    const vg_plan *plan = t->b.plan;
    int64_t n = plan->widths[index];
    mixture m = mix(plan, index, input);
    stream s = open_stream(&t->b.keys, VG_STREAM_FORWARD, (uint32_t)index);
    I active = binomial_half(&s, n) & (m.tau.value > 0);
    V w[2], degrees[2] = {to_reals(active), to_reals(splat_int(n) - active)};
    chi_squares(&s, quads_of_bits(n), degrees, w);
    scaled norm = scaled_product(m.tau, root(square_of_slopes(t, w[0], w[1]), splat_int(0)));
    if (recording) {
        chain_record_activation(&t->b, plan->column, index, norm);
        if (plan->inner_column)
            chain_record_activation(&t->b, plan->inner_column, index,
                                    scaled_product(m.tau, root(w[0] + w[1], splat_int(0))));
    }
    return (chain_layer){active, {w[0], w[1]}, norm};
}

/* Clips and records a gradient of the norm c √square at a column. */
static void chain_record_gradient(chain *t, int64_t index, int64_t column, int is_output, V square)
{
    block *b = &t->b;
    const vg_plan *plan = b->plan;
    int64_t n = plan->widths[index];
    scaled norm = scaled_product(t->c, root(square, splat_int(0)));
    if (plan->clip == VG_CLIP_NORM && !is_output) {
        scaled limit = scaled_number(plan->clip_at);
        I clips = scaled_less(limit, norm);
        scaled factor = normalised(limit.value / norm.value, limit.exponent - norm.exponent);
        t->c = scaled_choose(clips, scaled_product(t->c, factor), t->c);
        norm = scaled_choose(clips, limit, norm);
        if (plan->clipped && column >= 0)
            FOR_SAMPLES(b, k) plan->clipped[(b->first_row + k) * plan->n_columns + column] = clips[k] != 0;
    }
    if (is_output) {
        b->rms_min = b->rms_max = over_root(norm, n);
        record_log10(b, plan->output_gradient, 1, 0, norm);
    }
    record_norm(b, column, n, norm);
    if (index == 0)
        FOR_SAMPLES(b, k) plan->dead[b->first_row + k] = norm.value[k] == 0;
}

/* Records ‖∂L/∂W‖/‖W‖ of layer `index`, given ‖z'⊥‖² of the layer below. Both parts of ‖W‖² that the
   pass does not need are drawn here: ‖z‖² = (z·δ̂)² + (κ ‖w⊥‖ + λ η)² + λ² χ²_{n−2}, and the rest. */
static void chain_record_update_ratio(const chain *t, int64_t index, V across_square)
{
    const block *b = &t->b;
    const vg_plan *plan = b->plan;
    int64_t column = plan->weight_column[index], n = plan->widths[index], m = plan->widths[index - 1];
    if (!plan->update_ratio || column < 0) return;
    FOR_SAMPLES(b, k) {
        uint64_t sample = plan->first + (uint64_t)(b->first_row + k);
        double along = t->along[k], across = t->across[k], lambda = t->lambda[k], rest = 0;
        if (n > 1 && plan->bias_scale[index] > 0) {
            across += lambda * vg_normal(plan->key, VG_BIAS_BLOCK, (uint32_t)index, sample);
            rest = vg_chi_square_from(plan->key, VG_BIAS_BLOCK + 2, (uint32_t)index, sample, (double)(n - 2));
        }
        double unseen = vg_chi_square(plan->key, (uint32_t)index, sample, (double)(n - 1) * (double)(m - 1));
        double square = along * along + across * across + lambda * lambda * rest + across_square[k] + unseen;
        plan->update_ratio[(b->first_row + k) * plan->n_weight_columns + column] =
            vg_log10(b->weight_gradient.value[k], b->weight_gradient.exponent[k]) -
            0.5 * vg_log10(square, 0) - vg_log10(plan->weight_scale[index], 0);
    }
}

/* g₊, g₋ of G_D = X_D − T of the loss "mse" with T ~ N(0, I); returns 1/c, the factor of T. */
static V chain_mse(chain *t, scaled norm, const V direction[2], const V target[2], V g[2])
{
    I e = imax(norm.exponent, splat_int(0));
    V x = against(norm, e), by = power_of_two(-imin(e, splat_int(100)));
    for (int k = 0; k < 2; k++) g[k] = x * direction[k] - by * target[k];
    t->c = normalised(splat(1), e);
    return by;
}

/* G_l/c in the units with w > 0 and in the others: the components g₊, g₋ along both parts of w, and
   with the rest g₊² + R₊, g₋² + R₋; and ν of the layer. */
typedef struct {
    V along[2], square[2];
    V across; /* v² + R₊ + R₋, orthogonal to x̂ */
    V nu;
} cotangent;

/* G_l, l = `index`, from c and a; at l = D also c and a. w: α₊ √P, α₋ √N. */
static cotangent chain_cotangent(chain *t, int64_t index, const chain_layer *l, const V w[2])
{
    const vg_plan *plan = t->b.plan;
    int is_output = index == plan->depth;
    stream s = open_stream(&t->b.keys, VG_STREAM_BACKWARD, (uint32_t)index);
    I active = l->active, inactive = splat_int(plan->widths[index]) - active;
    I some[2] = {active > 0, inactive > 0};
    V z[4], rest[2], g[2], degrees[2] = {to_reals(active - 1), to_reals(inactive - 1)};
    first_normals(&s, is_output ? 4 : 2, z);
    chi_squares(&s, 1, degrees, rest);

    V r = vsqrt(w[0] * w[0] + w[1] * w[1]), v = choose(some[0] & some[1], z[0], splat(0));
    V direction[2] = {choose(r > 0, w[0] / r, splat(0)), choose(r > 0, w[1] / r, splat(1))};
    if (is_output && plan->loss == VG_MSE) {
        V by = chain_mse(t, l->norm, direction, z + 2, g);
        for (int k = 0; k < 2; k++) rest[k] *= by * by;
    } else {
        if (is_output) t->a = z[2];
        g[0] = t->a * direction[0] - v * direction[1];
        g[1] = t->a * direction[1] + v * direction[0];
    }
    for (int k = 0; k < 2; k++) g[k] = choose(some[k], nonzero(g[k]), splat(0));
    return (cotangent){.along = {g[0], g[1]},
                       .square = {g[0] * g[0] + rest[0], g[1] * g[1] + rest[1]},
                       .across = v * v + rest[0] + rest[1],
                       .nu = z[1]};
}

static void chain_record_saturation(const chain *t, int64_t index, I active)
{
    const vg_plan *plan = t->b.plan;
    int64_t n = plan->widths[index];
    real below = (real)plan->saturated_below;
    I low[2] = {vabs(t->slope[0]) < below, vabs(t->slope[1]) < below};
    if (plan->saturation && plan->saturation_column[index] >= 0)
        record_saturation(&t->b, index, (low[0] & active) + (low[1] & (splat_int(n) - active)), n);
}

/* From c and a at G_l to c and a at G_{l−1}, l = `index`. */
static void chain_backward(chain *t, int64_t index, const chain_layer *l, scaled input)
{
    block *b = &t->b;
    const vg_plan *plan = b->plan;
    int is_output = index == plan->depth;
    V w[2] = {t->slope[0] * vsqrt(l->squares[0]), t->slope[1] * vsqrt(l->squares[1])};
    cotangent g = chain_cotangent(t, index, l, w);
    if (!is_output) chain_record_update_ratio(t, index + 1, g.across);
    chain_record_gradient(t, index, plan->column[index], is_output, g.square[0] + g.square[1]);
    chain_record_saturation(t, index, l->active);

    mixture m = mix(plan, index, input);
    V q = square_of_slopes(t, g.square[0], g.square[1]);
    if (plan->inner_column) chain_record_gradient(t, index, plan->inner_column[index], 0, q);
    scaled delta = scaled_product(t->c, root(q, splat_int(0)));
    V w_delta = choose(q > 0, (w[0] * g.along[0] + w[1] * g.along[1]) / vsqrt(q), splat(0));
    t->a = m.kappa * w_delta + m.lambda * g.nu;
    t->c = scaled_product(scaled_number(plan->weight_scale[index]), delta);

    int64_t column = plan->weight_column[index];
    if (column < 0) return;
    V across = vmax(l->squares[0] + l->squares[1] - w_delta * w_delta, splat(0));
    b->weight_gradient = scaled_product(delta, input);
    t->along = t->a;
    t->across = m.kappa * vsqrt(across);
    t->lambda = m.lambda;
    if (plan->weight_gradient)
        record_log10(b, plan->weight_gradient, plan->n_weight_columns, column, b->weight_gradient);
}

/* G_0 = c (a x̂_0 + a rest of n_0 − 1 dimensions). */
static void chain_reach_input(chain *t)
{
    stream s = open_stream(&t->b.keys, VG_STREAM_BACKWARD, 0);
    V a = nonzero(t->a), rest[2], degrees[2] = {splat(t->b.plan->widths[0] - 1), splat(0)};
    chi_squares(&s, 1, degrees, rest);
    chain_record_update_ratio(t, 1, rest[0]);
    chain_record_gradient(t, 0, t->b.plan->column[0], 0, a * a + rest[0]);
}

/* Places the arrays in the scratch memory, or only computes their size. */
static void place_chain(chain *t, arena *a)
{
    const vg_plan *plan = t->b.plan;
    int64_t most = 0, begin = 0;
    for (int64_t segment = 0; segment < plan->n_segments; segment++) {
        int64_t count = plan->segment_ends[segment] - begin;
        if (count > most) most = count;
        begin = plan->segment_ends[segment];
    }
    t->layers = take(a, (size_t)most * sizeof(chain_layer));
    t->starts = take(a, (size_t)(plan->n_segments + 1) * sizeof(scaled));
    t->b.outcomes = take(a, sizeof(outcome));
    t->b.input = take(a, plan->inputs ? (size_t)whole_quads(plan->widths[0]) * sizeof(V) : 0);
}

static size_t chain_bytes(const vg_plan *plan)
{
    chain t = {.b = {.plan = plan}};
    arena a = {0, NULL};
    place_chain(&t, &a);
    return a.bytes;
}

static int chain_segment(chain *t, int64_t segment, int first_time)
{
    const vg_plan *plan = t->b.plan;
    int64_t begin = segment ? plan->segment_ends[segment - 1] : 0, end = plan->segment_ends[segment];
    scaled input = t->starts[segment];
    for (int64_t index = begin + 1; index <= end; index++) {
        if (cancelled(&t->b)) return VG_CANCELLED;
        t->layers[index - begin - 1] = chain_forward(t, index, input, first_time);
        input = t->layers[index - begin - 1].norm;
    }
    t->starts[segment + 1] = input;
    return VG_OK;
}

static int chain_segment_back(chain *t, int64_t segment)
{
    const vg_plan *plan = t->b.plan;
    int64_t begin = segment ? plan->segment_ends[segment - 1] : 0;
    for (int64_t index = plan->segment_ends[segment]; index > begin; index--) {
        if (cancelled(&t->b)) return VG_CANCELLED;
        const chain_layer *l = &t->layers[index - begin - 1];
        chain_backward(t, index, l, index - 1 > begin ? l[-1].norm : t->starts[segment]);
    }
    return VG_OK;
}

static int run_chain(const vg_plan *plan, uint64_t group, void *scratch)
{
    chain t = {.b = {.plan = plan, .first_row = (int64_t)(group * (uint64_t)LANES - plan->first)},
               .slope = {splat(plan->parameters[0]), splat(plan->parameters[1])}};
    arena a = {0, scratch};
    int64_t last = plan->n_segments - 1;
    int status = VG_OK;
    place_chain(&t, &a);
    open_samples(&t.b.keys, plan->key, group * (uint64_t)LANES);
    t.starts[0] = chain_input(&t);
    chain_record_activation(&t.b, plan->column, 0, t.starts[0]);
    for (int64_t segment = 0; segment <= last && status == VG_OK; segment++)
        status = chain_segment(&t, segment, 1);
    t.c = scaled_number(1);
    for (int64_t segment = last; segment >= 0 && status == VG_OK; segment--) {
        if (segment < last) status = chain_segment(&t, segment, 0);
        if (status == VG_OK) status = chain_segment_back(&t, segment);
    }
    if (status == VG_OK) chain_reach_input(&t);
    return status;
}

#endif
