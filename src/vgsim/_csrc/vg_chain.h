/* The scalar engine: piecewise linear networks of Gaussian weights and one input, as a chain of
   O(1) random numbers per layer (docs/law.md, section 15).

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

#include "vg_gamma.h"
#include "vg_plain.h"

/* The forward pass of a layer. */
typedef struct {
    I active;     /* K */
    V squares[2]; /* P, N */
    scaled norm;  /* ‖x_l‖ */
} chain_layer;

typedef struct {
    plain p;
    V *input;
    V slope[2];          /* α₊, α₋ */
    chain_layer *layers; /* of the current segment */
    scaled *starts;      /* ‖x‖ at the start of each segment */
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

/* ‖x_0‖ */
static scaled chain_input(chain *t)
{
    const vg_plan *plan = t->p.b.plan;
    int64_t n = plan->widths[0];
    if (plan->inputs) {
        I exponent = draw_row(&t->p.b, t->input);
        return root(sum_of_squares(t->input, n), exponent);
    }
    stream s = open_stream(&t->p.b.keys, VG_STREAM_INPUT, 0);
    V square[2], degrees[2] = {splat(n), splat(0)};
    chi_squares(&s, 0, degrees, square);
    return root(square[0], splat_int(0));
}

/* Layer `index` from ‖x_{l−1}‖. */
static chain_layer chain_forward(chain *t, int64_t index, scaled input, int recording)
{
    const vg_plan *plan = t->p.b.plan;
    int64_t n = plan->widths[index];
    rotation m = rotate(plan, index, input);
    stream s = open_stream(&t->p.b.keys, VG_STREAM_FORWARD, (uint32_t)index);
    I active = binomial_half(&s, n) & (m.tau.value > 0);
    V w[2], degrees[2] = {to_reals(active), to_reals(splat_int(n) - active)};
    chi_squares(&s, quads_of_bits(n), degrees, w);
    scaled norm = scaled_product(m.tau, root(square_of_slopes(t, w[0], w[1]), splat_int(0)));
    if (recording) {
        record_norm_ahead(&t->p.b, plan->column, index, norm);
        record_norm_ahead(&t->p.b, plan->inner_column, index,
                          scaled_product(m.tau, root(w[0] + w[1], splat_int(0))));
    }
    return (chain_layer){active, {w[0], w[1]}, norm};
}

/* g₊, g₋ of G_D = X_D − T of the loss "mse" with T ~ N(0, I); returns 1/c, the factor of T. */
static V chain_mse(chain *t, scaled norm, const V direction[2], const V target[2], V g[2])
{
    I e = imax(norm.exponent, splat_int(0));
    V x = against(norm, e), by = power_of_two(-imin(e, splat_int(100)));
    for (int k = 0; k < 2; k++) g[k] = x * direction[k] - by * target[k];
    t->p.c = normalised(splat(1), e);
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
    const vg_plan *plan = t->p.b.plan;
    int is_output = index == plan->depth;
    stream s = open_stream(&t->p.b.keys, VG_STREAM_BACKWARD, (uint32_t)index);
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
        if (is_output) t->p.a = z[2];
        g[0] = t->p.a * direction[0] - v * direction[1];
        g[1] = t->p.a * direction[1] + v * direction[0];
    }
    for (int k = 0; k < 2; k++) g[k] = choose(some[k], nonzero(g[k]), splat(0));
    return (cotangent){.along = {g[0], g[1]},
                       .square = {g[0] * g[0] + rest[0], g[1] * g[1] + rest[1]},
                       .across = v * v + rest[0] + rest[1],
                       .nu = z[1]};
}

static void chain_record_saturation(const chain *t, int64_t index, I active)
{
    const vg_plan *plan = t->p.b.plan;
    int64_t n = plan->widths[index];
    real below = (real)plan->saturated_below;
    I low[2] = {vabs(t->slope[0]) < below, vabs(t->slope[1]) < below};
    if (plan->saturation && plan->saturation_column[index] >= 0)
        record_saturation(&t->p.b, index, (low[0] & active) + (low[1] & (splat_int(n) - active)), n);
}

/* From c and a at G_l to those at G_{l−1}, l = `index`; x = ‖x_{l−1}‖. */
static void chain_backward(chain *t, int64_t index, const chain_layer *l, scaled x)
{
    plain *p = &t->p;
    const vg_plan *plan = p->b.plan;
    V w[2] = {t->slope[0] * vsqrt(l->squares[0]), t->slope[1] * vsqrt(l->squares[1])};
    cotangent g = chain_cotangent(t, index, l, w);
    if (index < plan->depth) record_update_ratio(p, index + 1, g.across);
    record_norm_back(p, plan->column, index, root(g.square[0] + g.square[1], splat_int(0)));
    chain_record_saturation(t, index, l->active);

    V q = square_of_slopes(t, g.square[0], g.square[1]);
    scaled own = root(q, splat_int(0));
    if (plan->inner_column) record_norm_back(p, plan->inner_column, index, own);
    V w_delta = choose(q > 0, (w[0] * g.along[0] + w[1] * g.along[1]) / vsqrt(q), splat(0));
    cross_weights(p, index, rotate(plan, index, x), x, scaled_product(p->c, own),
                  l->squares[0] + l->squares[1], w_delta, g.nu);
}

/* G_0 = c (a x̂_0 + a rest of n_0 − 1 dimensions). */
static void chain_reach_input(chain *t)
{
    const vg_plan *plan = t->p.b.plan;
    stream s = open_stream(&t->p.b.keys, VG_STREAM_BACKWARD, 0);
    V a = nonzero(t->p.a), rest[2], degrees[2] = {splat(plan->widths[0] - 1), splat(0)};
    chi_squares(&s, 1, degrees, rest);
    record_update_ratio(&t->p, 1, rest[0]);
    record_norm_back(&t->p, plan->column, 0, root(a * a + rest[0], splat_int(0)));
}

/* Places the arrays in the scratch memory, or only computes their size. */
static void place_chain(chain *t, arena *a)
{
    const vg_plan *plan = t->p.b.plan;
    t->layers = take(a, (size_t)longest_segment(plan) * sizeof(chain_layer));
    t->starts = take(a, (size_t)(plan->n_segments + 1) * sizeof(scaled));
    t->input = take(a, plan->inputs ? (size_t)whole_quads(plan->widths[0]) * sizeof(V) : 0);
}

static size_t chain_bytes(const vg_plan *plan)
{
    chain t = {.p.b.plan = plan};
    arena a = {0, NULL};
    place_chain(&t, &a);
    return a.bytes;
}

static int chain_segment(chain *t, int64_t segment, int first_time)
{
    const vg_plan *plan = t->p.b.plan;
    int64_t begin = segment ? plan->segment_ends[segment - 1] : 0, end = plan->segment_ends[segment];
    scaled input = t->starts[segment];
    for (int64_t index = begin + 1; index <= end; index++) {
        if (cancelled(&t->p.b)) return VG_CANCELLED;
        t->layers[index - begin - 1] = chain_forward(t, index, input, first_time);
        input = t->layers[index - begin - 1].norm;
    }
    t->starts[segment + 1] = input;
    return VG_OK;
}

static int chain_segment_back(chain *t, int64_t segment)
{
    const vg_plan *plan = t->p.b.plan;
    int64_t begin = segment ? plan->segment_ends[segment - 1] : 0;
    for (int64_t index = plan->segment_ends[segment]; index > begin; index--) {
        if (cancelled(&t->p.b)) return VG_CANCELLED;
        const chain_layer *l = &t->layers[index - begin - 1];
        chain_backward(t, index, l, index - 1 > begin ? l[-1].norm : t->starts[segment]);
    }
    return VG_OK;
}

static int run_chain(const vg_plan *plan, uint64_t group, void *scratch)
{
    chain t = {.p.b = {.plan = plan, .first_row = (int64_t)(group * (uint64_t)LANES - plan->first)},
               .p.c = scaled_number(1),
               .slope = {splat(plan->parameters[0]), splat(plan->parameters[1])}};
    arena a = {0, scratch};
    int64_t last = plan->n_segments - 1;
    int status = VG_OK;
    place_chain(&t, &a);
    open_samples(&t.p.b.keys, plan->key, group * (uint64_t)LANES);
    t.starts[0] = chain_input(&t);
    record_norm_ahead(&t.p.b, plan->column, 0, t.starts[0]);
    for (int64_t segment = 0; segment <= last && status == VG_OK; segment++)
        status = chain_segment(&t, segment, 1);
    for (int64_t segment = last; segment >= 0 && status == VG_OK; segment--) {
        if (segment < last) status = chain_segment(&t, segment, 0);
        if (status == VG_OK) status = chain_segment_back(&t, segment);
    }
    if (status == VG_OK) chain_reach_input(&t);
    return status;
}

#endif
