/* Plain networks, backward: a recursion on c = s ‖δ‖ and a = z·δ̂ from layer to layer, by the sums of
   vg_sweep.h (docs/law.md, section 3).

     α = a/√yy − yg/yy                        G_l = c (g + α ŷ)
     ‖G_l‖² = c² [(gg − yg²/yy) + a²]
     ‖δ_l‖² = c² [A + 2αB + α²C]              δ_l = d ∘ G_l
     z_l·δ̂_l = (E + αF)/√(A + 2αB + α²C)

   Where such a sum cancels, or underflows, the layer is drawn again and computed unit by unit. */
#ifndef VG_RECURSION_H
#define VG_RECURSION_H

#include "vg_sweep.h"

/* Records ‖∂L/∂W‖/‖W‖ of layer `index`. The part of ‖W‖² that the two products do not determine is
   drawn. `across` is ‖(I − x̂ x̂ᵀ) g‖². With z = κ w + λ η, the component of η along δ̂ is known from
   a; that along the rest of w, and the χ² of all others, are drawn. */
static void record_update_ratio(const plain_pass *w, int64_t index, int64_t column, V across, rotation r)
{
    const vg_plan *plan = w->b.plan;
    uint32_t number = (uint32_t)index;
    double n = (double)plan->widths[index], m = (double)plan->widths[index - 1];
    FOR_SAMPLES(&w->b, k) {
        uint64_t sample = plan->first + (uint64_t)(w->b.first_row + k);
        double square = w->ww[k], kappa = r.kappa[k], lambda = r.lambda[k];
        if (lambda > 0) {
            double away = square - (double)w->w_delta[k] * w->w_delta[k], a = w->a[k];
            double fresh = n > 1 ? kappa * __builtin_sqrt(away > 0 ? away : 0) +
                                       lambda * vg_normal(plan->key, number, sample, VG_OF_BIAS)
                                 : 0;
            square = a * a + fresh * fresh +
                     lambda * lambda * vg_chi_square(plan->key, number, sample, VG_OF_BIAS + 2, n - 2);
        }
        square += across[k] + vg_chi_square(plan->key, number, sample, 0, (n - 1) * (m - 1));
        plan->update_ratio[(w->b.first_row + k) * plan->n_weight_columns + column] =
            vg_log10(w->weight_gradient.value[k], w->weight_gradient.exponent[k]) -
            0.5 * vg_log10(square, 0) - vg_log10(plan->weight_scale[index], 0);
    }
}

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
static step step_by_sums(const plain_pass *w, int64_t index, const layer *l, const sums *s, I *cancels)
{
    const vg_plan *plan = w->b.plan;
    I some = -(index < plan->depth) & (s->yy > 0);
    V one = splat(1), yy = choose(some, s->yy, one), yg = choose(some, s->yg, one - one), size = vsqrt(yy);
    V a = choose(some, w->a, one - one), alpha = a / size - yg / yy, n = splat(plan->widths[index]);
    V across = vmax(s->gg - yg * yg / yy, splat(0));
    V whole = s->A + alpha * alpha * s->C, of_mean = s->S + alpha * s->T;
    step t = {across + a * a, across, whole + 2 * alpha * s->B, s->E + alpha * s->F, splat_int(0)};
    if (plan->norm == VG_LAYER_NORM) t.delta_square -= of_mean * of_mean / n;
    if (plan->norm) t.delta_square -= t.z_delta * t.z_delta / s->zz;
    real least = (real)plan->cancellation;
    *cancels = (t.delta_square < least * whole) | (t.square < least * s->gg) | s->in_tail |
               (has_lost(s->C, l->exponent) & (s->yy > 0)) |
               (-w->phi->has_tail & has_lost(t.delta_square, l->exponent));
    *cancels &= w->scale.value > 0;
    return t;
}

/* g ← the normals of the product with W_{l+1}ᵀ; at l = D the cotangent of the loss. */
static void arrive(plain_pass *w, int64_t index, const layer *l, const sums *s)
{
    block *b = &w->b;
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
    w->scale = (scaled){choose(some, splat(1), splat(0)), some & g_exponent};
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

static step step_by_units(plain_pass *w, int64_t index, layer l, const sums *s)
{
    block *b = &w->b;
    const vg_plan *plan = b->plan;
    int64_t n = l.width = plan->widths[index];
    I some = -(index < plan->depth) & (s->yy > 0);
    draw_units(b, index, w->z);
    l.raw = w->z;
    arrive(w, index, &l, s);
    outcome o = {s->yy, s->exponent, s->in_tail};
    V dot = recall(w->phi, w->parameters, &l, o, b->y, b->d, w->g), alpha = {0};
    if (n == 1) { /* I − ŷ ŷᵀ = 0 */
        w->g[0] = choose(some, splat(0), w->g[0]);
        dot = choose(some, splat(0), dot);
    }
    V projection = choose(some, dot / s->yy, splat(0));
    alpha = choose(some, w->a / vsqrt(s->yy), splat(0)) - projection;
    step t = {.across = vmax(sum_of_squares(w->g, n) - projection * dot, splat(0))};
    for (int64_t i = 0; i < n; i++) {
        V cotangent = w->g[i] + alpha * b->y[i];
        w->g[i] = cotangent;
        b->d[i] *= cotangent;
        t.square += cotangent * cotangent;
        t.delta_square += b->d[i] * b->d[i];
    }
    I lost = -w->phi->has_tail & has_lost(t.delta_square, l.exponent) & (w->scale.value > 0);
    if (any(lost)) t.exponent = w->phi->tail_cotangents(&l, w->parameters, lost, w->g, b->d);
    t.z_delta = plan->norm ? project(plan, w->z, b->d, n, s->zz) : dot_product(w->z, b->d, n);
    t.delta_square = sum_of_squares(b->d, n);
    return t;
}

/* Clips G_l, or δ_l if that is a place of its own, of this norm; returns the mask of the samples. */
static I clip_scale(const vg_plan *plan, scaled *norm, scaled *scale)
{
    if (plan->clip != VG_CLIP_NORM) return splat_int(0);
    scaled limit = scaled_number(plan->clip_at);
    I clips = scaled_less(limit, *norm);
    scaled less = normalised(scale->value * (limit.value / norm->value),
                             scale->exponent + limit.exponent - norm->exponent);
    *scale = scaled_choose(clips, less, *scale);
    *norm = scaled_choose(clips, limit, *norm);
    return clips;
}

/* From G_{l+1} to δ_l, l = `index`: s[0] are the sums of layer l, s[-1] those of its input. */
static void step_back(plain_pass *w, int64_t index, const sums *s)
{
    const vg_plan *plan = w->b.plan;
    int64_t n = plan->widths[index], above = -1, column = plan->weight_column[index];
    scaled input = norm_of(s - 1);
    rotation r = rotate(plan, index, input);
    normalisation norm = {.rho = r.tau};
    if (plan->norm) norm = normalise_units(plan->norm_epsilon, r.tau, s->zz, n);
    layer l = units_of(norm.rho);
    int last = index == plan->depth;

    I cancels;
    step t = step_by_sums(w, index, &l, s, &cancels);
    if (last && plan->loss != VG_LINEAR_LOSS) cancels = splat_int(-1);
    if (any(cancels)) t = choose_step(cancels, step_by_units(w, index, l, s), t);
    if (!last && plan->update_ratio) above = plan->weight_column[index + 1];
    if (above >= 0) record_update_ratio(w, index + 1, above, t.across, rotate(plan, index + 1, norm_of(s)));

    scaled g_norm = scaled_product(w->scale, root(t.square, splat_int(0)));
    if (!last) record_clipped(&w->b, index, -clip_scale(plan, &g_norm, &w->scale), 1);
    record_cotangent(&w->b, index, g_norm);
    if (plan->norm) {
        V along = t.z_delta * norm.share;
        t.delta_square += over_or_none(along * along, s->zz);
        t.z_delta = along;
        w->scale = scaled_product(w->scale, norm.inverse);
    }
    scaled own = root(t.delta_square, t.exponent), delta = scaled_product(w->scale, own);
    if (plan->inner_column) {
        clip_scale(plan, &delta, &w->scale);
        record_norm(&w->b, plan->inner_column[index], n, delta);
    }
    w->w_delta = choose(t.delta_square > 0, t.z_delta / vsqrt(t.delta_square), splat(0));
    w->a = w->w_delta;
    if (plan->bias_scale[index] > 0) {
        stream of_bias = open_stream(&w->b.keys, VG_STREAM_BIAS, (uint32_t)index);
        V nu[4];
        draw(VG_NORMAL, &of_bias, 0, 1, nu);
        w->a = r.kappa * w->w_delta + r.lambda * nu[0];
    }
    w->scale = scaled_product(delta, scaled_number(plan->weight_scale[index]));
    if (column < 0) return;
    w->weight_gradient = scaled_product(delta, input);
    w->ww = s->zz + s->mean * s->mean * splat(n);
    if (plan->weight_gradient)
        record_log10(&w->b, plan->weight_gradient, plan->n_weight_columns, column, w->weight_gradient);
}

/* G_0, unit by unit. */
static void reach_input(plain_pass *w)
{
    const vg_plan *plan = w->b.plan;
    const sums *s = &w->starts[0];
    int64_t n = plan->widths[0], column = plan->update_ratio ? plan->weight_column[1] : -1;
    stream back = normals_back(&w->b, 0);
    I some = s->yy > 0;
    V alone = splat(n > 1), square = {0};
    fill(VG_NORMAL, &back, n, w->g);
    for (int64_t i = 0; i < n; i++) w->g[i] *= choose(some, alone, splat(1));
    V projection = choose(some, dot_product(w->input, w->g, n) / s->yy, splat(0));
    V alpha = choose(some, w->a / vsqrt(s->yy), splat(0));
    for (int64_t i = 0; i < n; i++) w->g[i] -= projection * w->input[i];
    if (column >= 0) record_update_ratio(w, 1, column, sum_of_squares(w->g, n), rotate(plan, 1, norm_of(s)));
    for (int64_t i = 0; i < n; i++) {
        V cotangent = w->g[i] + alpha * w->input[i];
        square += cotangent * cotangent;
    }
    scaled norm = scaled_product(w->scale, root(square, splat_int(0)));
    record_clipped(&w->b, 0, -clip_scale(plan, &norm, &w->scale), 1);
    record_cotangent(&w->b, 0, norm);
}

static int step_back_segment(plain_pass *w, int64_t segment)
{
    const vg_plan *plan = w->b.plan;
    int64_t begin = segment ? plan->segment_ends[segment - 1] : 0;
    for (int64_t index = plan->segment_ends[segment]; index > begin; index--) {
        if (cancelled(&w->b)) return VG_CANCELLED;
        step_back(w, index, w->sums + (index - begin));
    }
    return VG_OK;
}

/* Places the arrays of a sweep in the scratch memory, or only computes their size. */
static void place_sweep(plain_pass *w, arena *a)
{
    const vg_plan *plan = w->b.plan;
    int64_t widest = 0, most_layers = 0, begin = 0;
    for (int64_t l = 0; l <= plan->depth; l++)
        if (plan->widths[l] > widest) widest = plan->widths[l];
    for (int64_t segment = 0; segment < plan->n_segments; segment++) {
        int64_t layers = plan->segment_ends[segment] - begin;
        if (layers > most_layers) most_layers = layers;
        begin = plan->segment_ends[segment];
    }
    size_t row = (size_t)whole_quads(widest) * sizeof(V);
    w->sums = take(a, (size_t)(most_layers + 1) * sizeof(sums));
    w->starts = take(a, (size_t)plan->n_segments * sizeof(sums));
    V **rows[] = {&w->input, &w->z, &w->g, &w->x, &w->b.y, &w->b.d};
    for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++) *rows[k] = take(a, row);
}

static size_t sweep_bytes(const vg_plan *plan)
{
    plain_pass w = {.b = {.plan = plan}};
    arena a = {0, NULL};
    place_sweep(&w, &a);
    return a.bytes;
}

static int run_sweep(const vg_plan *plan, uint64_t group, void *scratch)
{
    plain_pass w = {.b = {.plan = plan, .first_row = (int64_t)(group * (uint64_t)LANES - plan->first)},
                    .phi = &activations[plan->activation],
                    .parameters = {(real)plan->parameters[0], (real)plan->parameters[1]},
                    .scale = scaled_number(1)};
    arena a = {0, scratch};
    int status = VG_OK;
    int64_t last = plan->n_segments - 1;
    place_sweep(&w, &a);
    open_samples(&w.b.keys, plan->key, group * (uint64_t)LANES);
    draw_input(&w);
    record_activation(&w, 0, &w.starts[0]);
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
