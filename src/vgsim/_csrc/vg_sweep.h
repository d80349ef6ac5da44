/* Plain networks, forward: one sweep draws the normals of both products of every weight matrix, and
   keeps sums over the units (docs/law.md, section 14).

     forward    h_l = s ‖x_{l-1}‖ z, x_l = ŷ 2^e = φ(h_l), d = φ'(h_l)         z ~ N(0, I)
     backward   W_{l+1}ᵀ δ_{l+1} = s ‖δ_{l+1}‖ [x̂ (z·δ̂) + (I − x̂ x̂ᵀ) g], x̂ = ŷ/‖ŷ‖   g ~ N(0, I)

   With biases z becomes κ w + λ η (vg_plain.h), and h_l = τ w. */
#ifndef VG_SWEEP_H
#define VG_SWEEP_H

#include "vg_loss.h"
#include "vg_normalise.h"
#include "vg_plain.h"

#define UNITS 128 /* drawn at a time */

typedef struct {
    plain p;
    const activation *phi;
    real own[2];
    parameters parameters; /* of φ */
    sums *sums;   /* of the layers of the current segment, after that of its input */
    sums *starts; /* of the inputs of all segments */
    V *input;     /* x_0 = input 2^e */
    V *z, *g, *x; /* of one layer */
} sweeping;

INLINE scaled norm_of(const sums *s) { return root(s->yy, s->exponent); }

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
static void sum_tails(sweeping *w, int64_t index, layer l, sums *s)
{
    const block *b = &w->p.b;
    stream back = normals_back(b, index);
    int64_t n = l.width = b->plan->widths[index];
    draw_units(b, index, w->z);
    fill(VG_NORMAL, &back, n, w->g);
    l.raw = w->z;
    w->phi->tail_values(&l, w->parameters, s->in_tail, &s->exponent, 0, b->y);
    s->yy = choose(s->in_tail, sum_of_squares(b->y, n), s->yy);
    s->yg = choose(s->in_tail, dot_product(b->y, w->g, n), s->yg);
}

/* Computes the sums of layer `index` from those of its input; the first time, records saturation. */
static void sweep_layer(sweeping *w, int64_t index, const sums *input, sums *s, int first_time)
{
    const block *b = &w->p.b;
    const vg_plan *plan = b->plan;
    int64_t n = plan->widths[index], column = -1;
    if (first_time && plan->saturation) column = plan->saturation_column[index];
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

static void draw_input(sweeping *w)
{
    const block *b = &w->p.b;
    int64_t n = b->plan->widths[0];
    I exponent = splat_int(0);
    stream s = open_stream(&b->keys, VG_STREAM_INPUT, 0);
    if (b->plan->inputs)
        exponent = draw_row(b, w->input);
    else
        fill(VG_NORMAL, &s, n, w->input);
    w->starts[0] = (sums){.yy = sum_of_squares(w->input, n), .exponent = exponent};
}

/* Sweeps the layers of a segment. The first time, results are recorded and the input of the next
   segment is kept. */
static int sweep_segment(sweeping *w, int64_t segment, int first_time)
{
    const vg_plan *plan = w->p.b.plan;
    int64_t begin = segment ? plan->segment_ends[segment - 1] : 0, end = plan->segment_ends[segment];
    sums *s = w->sums;
    *s = w->starts[segment];
    for (int64_t index = begin + 1; index <= end; index++, s++) {
        if (cancelled(&w->p.b)) return VG_CANCELLED;
        sweep_layer(w, index, s, s + 1, first_time);
        if (!first_time) continue;
        record_norm_ahead(&w->p.b, plan->column, index, norm_of(s + 1));
        if (plan->inner_column) {
            scaled tau = rotate(plan, index, norm_of(s)).tau;
            record_norm_ahead(&w->p.b, plan->inner_column, index,
                              scaled_product(tau, root(s[1].zz, splat_int(0))));
        }
    }
    if (first_time && segment + 1 < plan->n_segments) w->starts[segment + 1] = *s;
    return VG_OK;
}

#endif
