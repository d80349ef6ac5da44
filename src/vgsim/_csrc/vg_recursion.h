/* Plain networks, backward: a recursion on c = s ‖δ‖ and a = z·δ̂ from layer to layer, by the sums of
   vg_sweep.h (docs/law.md, section 14).

     α = a/√yy − yg/yy                        G_l = c ĝ, ĝ = g + α ŷ
     ‖G_l‖² = c² [(gg − yg²/yy) + a²]
     ‖δ_l‖² = c² [A + 2αB + α²C]              δ_l = d ∘ G_l
     z_l·δ̂_l = (E + αF)/√(A + 2αB + α²C)

   Where A + 2αB + α²C < 2^-6 (A + α²C) or Σ ĝ² < 2^-6 gg, or sums underflow, the layer is drawn again
   and computed unit by unit. */
#ifndef VG_RECURSION_H
#define VG_RECURSION_H

#include "vg_sweep.h"

/* What a step finds: Σ ĝ² and its component across ŷ, ĝ = g + α ŷ; Σ δ̂² = delta_square 4^exponent
   and Σ z δ̂, δ̂ = d ∘ ĝ. With a norm delta_square is without the mean and the component along z. */
typedef struct {
    V square, across, delta_square, z_delta;
    I exponent;
} step;

INLINE step choose_step(I mask, step a, step b)
{
    return (step){choose(mask, a.square, b.square), choose(mask, a.across, b.across),
                  choose(mask, a.delta_square, b.delta_square), choose(mask, a.z_delta, b.z_delta),
                  choose_int(mask, a.exponent, b.exponent)};
}

/* Sets `cancels` to the samples in which the sums do not give the step. */
static step step_by_sums(const sweeping *w, int64_t index, const layer *l, const sums *s, I *cancels)
{
    const vg_plan *plan = w->p.b.plan;
    I some = -(index < plan->depth) & (s->yy > 0);
    V none = splat(0), yy = choose(some, s->yy, splat(1)), yg = choose(some, s->yg, none);
    V a = choose(some, w->p.a, none), alpha = a / vsqrt(yy) - yg / yy, n = splat(plan->widths[index]);
    V across = vmax(s->gg - yg * yg / yy, splat(0));
    V whole = s->A + alpha * alpha * s->C, of_mean = s->S + alpha * s->T;
    step t = {across + a * a, across, whole + 2 * alpha * s->B, s->E + alpha * s->F, splat_int(0)};
    if (plan->norm == VG_LAYER_NORM) t.delta_square -= of_mean * of_mean / n;
    if (plan->norm) t.delta_square -= t.z_delta * t.z_delta / s->zz;
    real least = (real)plan->cancellation;
    *cancels = (t.delta_square < least * whole) | (t.square < least * s->gg) | s->in_tail |
               (has_lost(s->C, l->exponent) & (s->yy > 0)) |
               (-w->phi->has_tail & has_lost(t.delta_square, l->exponent));
    *cancels &= w->p.c.value > 0;
    return t;
}

/* g ← the normals of the product with W_{l+1}ᵀ; at l = D the cotangent of the loss. */
static void arrive(sweeping *w, int64_t index, const layer *l, const sums *s)
{
    block *b = &w->p.b;
    int64_t n = l->width;
    stream back = normals_back(b, index);
    fill(VG_NORMAL, &back, n, w->g);
    if (index < b->plan->depth || b->plan->loss == VG_LINEAR_LOSS) return;
    outcome o = {s->yy, s->exponent, s->in_tail};
    I x_exponent = s->exponent, g_exponent;
    columns x = {w->x, &x_exponent, n, n, 1}, g = {w->g, &g_exponent, n, n, 1};
    recall(w->phi, w->parameters, l, o, b->y, b->d, w->g);
    copy(w->x, b->y, n);
    normalise_column(&x, 0, s->yy);
    draw_cotangent(b, &x, &g);
    I some = g_exponent != LOWEST;
    w->p.c = (scaled){choose(some, splat(1), splat(0)), some & g_exponent};
}

/* δ̂ ← δ̂ without its mean in layer normalisation, and without its component along z; returns that. */
static V project(const vg_plan *plan, const V *z, V *delta, int64_t n, V zz)
{
    V along = {0};
    for (int twice = 0; twice < 2; twice++) {
        if (plan->norm == VG_LAYER_NORM) subtract(delta, total(delta, n) * splat(1 / (double)n), n);
        V k = over_or_none(dot_product(z, delta, n), zz);
        for (int64_t i = 0; i < n; i++) delta[i] -= k * z[i];
        along += k;
    }
    return along * zz;
}

static step step_by_units(sweeping *w, int64_t index, layer l, const sums *s)
{
    block *b = &w->p.b;
    const vg_plan *plan = b->plan;
    int64_t n = l.width = plan->widths[index];
    I some = -(index < plan->depth) & (s->yy > 0);
    draw_units(b, index, w->z);
    l.raw = w->z;
    arrive(w, index, &l, s);
    outcome o = {s->yy, s->exponent, s->in_tail};
    V dot = recall(w->phi, w->parameters, &l, o, b->y, b->d, w->g);
    if (n == 1) { /* I − ŷ ŷᵀ = 0 */
        w->g[0] = choose(some, splat(0), w->g[0]);
        dot = choose(some, splat(0), dot);
    }
    V projection = choose(some, dot / s->yy, splat(0));
    V alpha = choose(some, w->p.a / vsqrt(s->yy), splat(0)) - projection;
    step t = {.across = vmax(sum_of_squares(w->g, n) - projection * dot, splat(0))};
    for (int64_t i = 0; i < n; i++) {
        V cotangent = w->g[i] + alpha * b->y[i];
        w->g[i] = cotangent;
        b->d[i] *= cotangent;
        t.square += cotangent * cotangent;
        t.delta_square += b->d[i] * b->d[i];
    }
    I lost = -w->phi->has_tail & has_lost(t.delta_square, l.exponent) & (w->p.c.value > 0);
    if (any(lost)) t.exponent = w->phi->tail_cotangents(&l, w->parameters, lost, w->g, b->d);
    t.z_delta = plan->norm ? project(plan, w->z, b->d, n, s->zz) : dot_product(w->z, b->d, n);
    t.delta_square = sum_of_squares(b->d, n);
    return t;
}

/* ν ~ N(0, 1) of layer `index`, which only layers with a bias need. */
static V draw_nu(const block *b, int64_t index)
{
    V nu[4] = {{0}};
    stream s = open_stream(&b->keys, VG_STREAM_BIAS, (uint32_t)index);
    if (b->plan->bias_scale[index] > 0) draw(VG_NORMAL, &s, 0, 1, nu);
    return nu[0];
}

/* From c and a at G_l to those at G_{l−1}, l = `index`: s[0] are the sums of layer l, s[-1] those of its
   input. */
static void step_back(sweeping *w, int64_t index, const sums *s)
{
    plain *p = &w->p;
    const vg_plan *plan = p->b.plan;
    int64_t n = plan->widths[index];
    scaled x = norm_of(s - 1);
    rotation r = rotate(plan, index, x);
    normalisation norm = {.rho = r.tau};
    if (plan->norm) norm = normalise_units(plan->norm_epsilon, r.tau, s->zz, n);
    layer l = units_of(norm.rho);

    I cancels;
    step t = step_by_sums(w, index, &l, s, &cancels);
    if (index == plan->depth && plan->loss != VG_LINEAR_LOSS) cancels = splat_int(-1);
    if (any(cancels)) t = choose_step(cancels, step_by_units(w, index, l, s), t);
    if (index < plan->depth) record_update_ratio(p, index + 1, t.across);
    record_norm_back(p, plan->column, index, root(t.square, splat_int(0)));
    if (plan->norm) {
        t.z_delta *= norm.share;
        t.delta_square += over_or_none(t.z_delta * t.z_delta, s->zz);
        p->c = scaled_product(p->c, norm.inverse);
    }
    scaled own = root(t.delta_square, t.exponent);
    if (plan->inner_column) record_norm_back(p, plan->inner_column, index, own);
    scaled delta = scaled_product(p->c, own);
    V w_delta = choose(t.delta_square > 0, t.z_delta / vsqrt(t.delta_square), splat(0));
    V ww = s->zz + s->mean * s->mean * splat(n);
    cross_weights(p, index, r, x, delta, ww, w_delta, draw_nu(&p->b, index));
}

/* G_0, unit by unit. */
static void reach_input(sweeping *w)
{
    plain *p = &w->p;
    const sums *s = &w->starts[0];
    int64_t n = p->b.plan->widths[0];
    stream back = normals_back(&p->b, 0);
    I some = s->yy > 0;
    V alone = splat(n > 1), square = {0};
    fill(VG_NORMAL, &back, n, w->g);
    for (int64_t i = 0; i < n; i++) w->g[i] *= choose(some, alone, splat(1));
    V projection = choose(some, dot_product(w->input, w->g, n) / s->yy, splat(0));
    V alpha = choose(some, p->a / vsqrt(s->yy), splat(0));
    for (int64_t i = 0; i < n; i++) w->g[i] -= projection * w->input[i];
    record_update_ratio(p, 1, sum_of_squares(w->g, n));
    for (int64_t i = 0; i < n; i++) {
        V cotangent = w->g[i] + alpha * w->input[i];
        square += cotangent * cotangent;
    }
    record_norm_back(p, p->b.plan->column, 0, root(square, splat_int(0)));
}

static int step_back_segment(sweeping *w, int64_t segment)
{
    const vg_plan *plan = w->p.b.plan;
    int64_t begin = segment ? plan->segment_ends[segment - 1] : 0;
    for (int64_t index = plan->segment_ends[segment]; index > begin; index--) {
        if (cancelled(&w->p.b)) return VG_CANCELLED;
        step_back(w, index, w->sums + (index - begin));
    }
    return VG_OK;
}

/* Places the arrays of a sweep in the scratch memory, or only computes their size. */
static void place_sweep(sweeping *w, arena *a)
{
    const vg_plan *plan = w->p.b.plan;
    int64_t widest = 0;
    for (int64_t l = 0; l <= plan->depth; l++)
        if (plan->widths[l] > widest) widest = plan->widths[l];
    size_t row = (size_t)whole_quads(widest) * sizeof(V);
    w->sums = take(a, (size_t)(longest_segment(plan) + 1) * sizeof(sums));
    w->starts = take(a, (size_t)plan->n_segments * sizeof(sums));
    V **rows[] = {&w->input, &w->z, &w->g, &w->x, &w->p.b.y, &w->p.b.d};
    for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) *rows[k] = take(a, row);
}

static size_t sweep_bytes(const vg_plan *plan)
{
    sweeping w = {.p.b.plan = plan};
    arena a = {0, NULL};
    place_sweep(&w, &a);
    return a.bytes;
}

static int run_sweep(const vg_plan *plan, uint64_t group, void *scratch)
{
    sweeping w = {.p.b = {.plan = plan, .first_row = (int64_t)(group * (uint64_t)LANES - plan->first)},
                  .p.c = scaled_number(1),
                  .phi = &activations[plan->activation]};
    w.parameters = parameters_of(w.phi, plan->tables, plan->parameters, w.own);
    arena a = {0, scratch};
    int status = VG_OK;
    int64_t last = plan->n_segments - 1;
    place_sweep(&w, &a);
    open_samples(&w.p.b.keys, plan->key, group * (uint64_t)LANES);
    draw_input(&w);
    record_norm_ahead(&w.p.b, plan->column, 0, norm_of(w.starts));
    for (int64_t segment = 0; segment <= last && status == VG_OK; segment++)
        status = sweep_segment(&w, segment, 1);
    for (int64_t segment = last; segment >= 0 && status == VG_OK; segment--) {
        if (segment < last) status = sweep_segment(&w, segment, 0);
        if (status == VG_OK) status = step_back_segment(&w, segment);
    }
    if (status == VG_OK) reach_input(&w);
    return status;
}

#endif
