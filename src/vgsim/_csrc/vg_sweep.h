/* Plain networks, forward: one sweep draws the normals of both products of every weight matrix, and
   keeps sums over the units (docs/law.md, section 3).

     forward    h_l = s ‖x_{l-1}‖ z, y = φ(h_l), d = φ'(h_l)             z ~ N(0, I)
     backward   W_{l+1}ᵀ δ_{l+1} = s ‖δ_{l+1}‖ [ŷ (z·δ̂) + (I − ŷ ŷᵀ) g]   g ~ N(0, I)

   With biases h_l = τ w, τ² = s² ‖x_{l-1}‖² + σ_b², w ~ N(0, I), and the product W x of the matrix alone
   is s ‖x_{l-1}‖ z with z = κ w + λ η, κ = s ‖x_{l-1}‖/τ, λ = σ_b/τ, η ~ N(0, I) independent of w. */
#ifndef VG_SWEEP_H
#define VG_SWEEP_H

#include "vg_loss.h"
#include "vg_normalise.h"
#include "vg_record.h"

#define UNITS 128 /* drawn at a time */

typedef struct {
    block b;
    const activation *phi;
    real parameters[2];
    sums *sums;   /* of the layers of the current segment, after that of its input */
    sums *starts; /* of the inputs of all segments */
    V *input;     /* x_0 = input 2^e */
    V *z, *g, *x; /* of one layer */
    scaled scale; /* G_l = scale (g + α ŷ): 1 at l = D, then s_{l+1} ‖δ_{l+1}‖ */
    V a;          /* z_{l+1}·δ̂_{l+1} */
    scaled weight_gradient; /* of W_{l+1}, whose ‖W‖ is known after the next step: */
    V ww, w_delta;          /* Σ w² and w·δ̂ */
} plain_pass;

typedef struct {
    scaled tau;
    V kappa, lambda;
} rotation;

INLINE scaled norm_of(const sums *s) { return root(s->yy, s->exponent); }

/* τ, κ and λ of layer `index` with the input norm ‖x‖. */
static rotation rotate(const vg_plan *plan, int64_t index, scaled x)
{
    scaled a = scaled_product(scaled_number(plan->weight_scale[index]), x);
    scaled c = scaled_number(plan->bias_scale[index]);
    if (plan->bias_scale[index] == 0) return (rotation){a, splat(1), splat(0)};
    I e = imax(exponent_or_lowest(a), c.exponent);
    V of_weights = against(a, e), of_bias = against(c, e);
    V square = of_weights * of_weights + of_bias * of_bias, inverse = 1 / vsqrt(square);
    return (rotation){root(square, e), of_weights * inverse, of_bias * inverse};
}

/* Units with h = τ z. */
static layer units_of(scaled tau)
{
    I is_plain = (tau.exponent >= -PLAIN_EXPONENT) & (tau.exponent <= PLAIN_EXPONENT);
    layer l = {.exponent = choose_int(is_plain, splat_int(0), tau.exponent)};
    l.a = against(tau, l.exponent);
    l.gauge = gauge_of(l.exponent);
    return l;
}

/* Normalisation: ĥ = ρ z, ρ = τ/√(var + ε), var = τ² Σ z²/n. */
typedef struct {
    scaled rho, inverse; /* ρ and 1/√(var + ε) */
    V share;             /* ε/(var + ε), at least 2^-100 */
} normalisation;

static normalisation normalise_units(double epsilon, scaled tau, V zz, int64_t n)
{
    I e = exponent_or_lowest(tau);
    V inverse = 1 / vsqrt(tau.value * tau.value * zz * splat(1 / (double)n) + scaled_epsilon(epsilon, e));
    return (normalisation){normalised(tau.value * inverse, normal_exponent(e)),
                           normalised(inverse, inverse_exponent(e)),
                           share_of_one(epsilon, inverse, e) * plain_size(share_exponent(e))};
}

static stream normals_ahead(const block *b, int64_t index)
{
    return open_stream(&b->keys, VG_STREAM_FORWARD, (uint32_t)index);
}

static stream normals_back(const block *b, int64_t index)
{
    const vg_plan *plan = b->plan;
    if (index == plan->depth) return open_stream(&b->keys, VG_STREAM_COTANGENT, (uint32_t)plan->places);
    return open_stream(&b->keys, VG_STREAM_BACKWARD, (uint32_t)index + 1);
}

/* z ← the normals of layer `index`, without their mean in layer normalisation; returns the mean. */
static V draw_units(const block *b, int64_t index, V *z)
{
    int64_t n = b->plan->widths[index];
    stream s = normals_ahead(b, index);
    fill(VG_NORMAL, &s, n, z);
    if (b->plan->norm != VG_LAYER_NORM) return splat(0);
    V share = splat(1 / (double)n), first = total(z, n) * share;
    subtract(z, first, n);
    V rest = total(z, n) * share;
    subtract(z, rest, n);
    return first + rest;
}

/* Samples in which φ of all units underflows: Σ ŷ² and Σ ŷ g by logarithms. */
static void sum_tails(plain_pass *w, int64_t index, layer l, sums *s)
{
    const block *b = &w->b;
    stream back = normals_back(b, index);
    int64_t n = l.width = b->plan->widths[index];
    draw_units(b, index, w->z);
    fill(VG_NORMAL, &back, n, w->g);
    l.raw = w->z;
    w->phi->tail_values(&l, w->parameters, s->in_tail, &s->exponent, 0, b->y);
    s->yy = choose(s->in_tail, sum_of_squares(b->y, n), s->yy);
    s->yg = choose(s->in_tail, dot_product(b->y, w->g, n), s->yg);
}

/* Computes the sums of layer `index` from those of its input. */
static void sweep_layer(plain_pass *w, int64_t index, const sums *input, sums *s)
{
    const block *b = &w->b;
    const vg_plan *plan = b->plan;
    int64_t n = plan->widths[index], column = plan->saturation ? plan->saturation_column[index] : -1;
    stream ahead = normals_ahead(b, index), back = normals_back(b, index);
    scaled tau = rotate(plan, index, norm_of(input)).tau;
    V drawn[UNITS], g[UNITS], square = {0};
    I saturated = {0};
    int whole = plan->norm == VG_LAYER_NORM || plan->update_ratio || plan->inner_column;
    *s = (sums){.yy = {0}};
    if (plan->norm) {
        s->mean = draw_units(b, index, w->z);
        square = dot_product(w->z, w->z, n);
        tau = normalise_units(plan->norm_epsilon, tau, square, n).rho;
    }
    layer l = units_of(tau);
    for (int64_t i = 0; i < n; i += UNITS) {
        l.width = n - i < UNITS ? n - i : UNITS;
        l.raw = plan->norm ? w->z + i : drawn;
        if (plan->norm)
            fill_from(VG_NORMAL, &back, i / 4, l.width, g);
        else
            fill_two(&ahead, &back, i / 4, l.width, drawn, g);
        w->phi->add(&l, w->parameters, g, s, whole);
        if (column < 0) continue;
        w->phi->recall(&l, w->parameters, b->y, b->d, g);
        saturated += saturated_units(b->d, l.width, plan->saturated_below);
    }
    if (plan->norm) s->zz = square;
    if (n == 1 && index < plan->depth) { /* I − ŷ ŷᵀ = 0 */
        V none = choose(s->yy > 0, splat(0), splat(1));
        s->yg *= none, s->gg *= none, s->A *= none, s->B *= none, s->E *= none;
    }
    s->exponent = value_exponent(w->phi->kind, l.exponent);
    s->in_tail = -w->phi->has_tail & has_lost(s->yy, l.exponent);
    if (any(s->in_tail)) sum_tails(w, index, l, s);
    if (column >= 0) record_saturation(b, index, saturated, n);
}

/* Records the norms of x_l, and of h_l if that is a place of its own. */
static void record_activation(const plain_pass *w, int64_t index, const sums *s)
{
    const vg_plan *plan = w->b.plan;
    int64_t n = plan->widths[index], at = plan->column[index];
    if (!plan->activation_rms) return;
    if (at >= 0) record_log10(&w->b, plan->activation_rms, plan->n_columns, at, over_root(norm_of(s), n));
    if (!plan->inner_column || index == 0 || plan->inner_column[index] < 0) return;
    scaled tau = rotate(plan, index, norm_of(s - 1)).tau;
    record_log10(&w->b, plan->activation_rms, plan->n_columns, plan->inner_column[index],
                 over_root(scaled_product(tau, root(s->zz, splat_int(0))), n));
}

/* x_0: N(0, 1) entries, or a random row of the data. */
static void draw_input(plain_pass *w)
{
    const vg_plan *plan = w->b.plan;
    int64_t n = plan->widths[0];
    stream s = open_stream(&w->b.keys, VG_STREAM_INPUT, 0);
    I exponent = splat_int(0);
    if (!plan->inputs)
        fill(VG_NORMAL, &s, n, w->input);
    else
        for (int k = 0; k < LANES; k++) {
            W word[PARTS][4];
            philox(&s, 0, 1, word);
            uint64_t bits = word[k % PARTS][0][k / PARTS] & 0xffffffff;
            int64_t row = (int64_t)((bits * (uint64_t)plan->rows) >> 32);
            exponent[k] = (lane_int)plan->input_exponents[row];
            for (int64_t i = 0; i < n; i++) w->input[i][k] = (real)plan->inputs[row * n + i];
        }
    w->starts[0] = (sums){.yy = sum_of_squares(w->input, n), .exponent = exponent};
}

/* Sweeps the layers of a segment. The first time, results are recorded and the input of the next
   segment is kept. */
static int sweep_segment(plain_pass *w, int64_t segment, int first_time)
{
    const vg_plan *plan = w->b.plan;
    int64_t begin = segment ? plan->segment_ends[segment - 1] : 0, end = plan->segment_ends[segment];
    sums *s = w->sums;
    *s = w->starts[segment];
    for (int64_t index = begin + 1; index <= end; index++, s++) {
        if (cancelled(&w->b)) return VG_CANCELLED;
        sweep_layer(w, index, s, s + 1);
        if (first_time) record_activation(w, index, s + 1);
    }
    if (first_time && segment + 1 < plan->n_segments) w->starts[segment + 1] = *s;
    return VG_OK;
}

#endif
