/* The general pass, backward: from G_l to G_{l-1}. */
#ifndef VG_BACK_H
#define VG_BACK_H

#include "vg_backward.h"
#include "vg_along.h"
#include "vg_tangent.h"

INLINE int counts_saturation(const vg_plan *plan, int64_t index)
{
    return plan->saturation && plan->saturation_column[index] >= 0;
}

static void through_units(pass *p, int64_t index, const columns *g, const step *t, columns *out)
{
    I saturated = {0};
    int pair = is_pair(p, index),
        lone = !pair && p->is_narrow && is_of_degree_one(p) && is_scale_free(p->b.plan, index);
    for (int64_t b = 0; b < p->batch; b++) {
        through_unit(p, &t->units[b], b, g, out);
        if (lone) lone_unit(p, t, b, out);
        if (pair) pair_of_units(p, t, b, out);
        if (counts_saturation(p->b.plan, index)) saturated += saturated_units(&p->b, g->rows);
    }
    if (counts_saturation(p->b.plan, index)) record_saturation(&p->b, index, saturated);
}

/* A highway layer: delta ← φ'(h) ∘ T ∘ G, skip ← (1 − T) ∘ G,
   gate_delta ← G ∘ (Y − X) ∘ T ∘ (1 − T). */
static void through_gates(pass *p, int64_t index, const step *t)
{
    columns *g = &p->g, *x = &p->frame, *on = &p->other, *round = &p->skip, *gate = &p->gate_delta;
    I saturated = {0};
    restore_operand(p, t, x);
    round->rows = on->rows = gate->rows = g->rows;
    for (int64_t b = 0; b < p->batch; b++) {
        gates t_b = open_gate(&t->gate, b, p->mean, p->mean + whole_quads(g->rows));
        const V *u = column(g, b), *w = column(x, b), *y = p->b.y;
        V *to_units = column(on, b), *past = column(round, b), *to_gate = column(gate, b), squares[3] = {{0}};
        for (int64_t i = 0; i < g->rows; i++) {
            to_units[i] = t_b.open[i] * u[i];
            past[i] = t_b.closed[i] * u[i];
            squares[0] += to_units[i] * to_units[i];
            squares[1] += past[i] * past[i];
        }
        on->exponent[b] = saturate(g->exponent[b] + t_b.of_open);
        round->exponent[b] = saturate(g->exponent[b] + t_b.of_closed);
        normalise_column(on, b, squares[0]);
        normalise_column(round, b, squares[1]);
        through_unit(p, &t->units[b], b, on, &p->delta);
        if (counts_saturation(p->b.plan, index)) saturated += saturated_units(&p->b, g->rows);

        outcome found = t->units[b].found;
        I of_y = choose_int(found.square > 0, found.value_exponent, LOWEST), e = imax(x->exponent[b], of_y);
        V f = relative_size(x, b, e), h = beside(of_y - e);
        for (int64_t i = 0; i < g->rows; i++) {
            to_gate[i] = to_units[i] * t_b.closed[i] * (h * y[i] - f * w[i]);
            squares[2] += to_gate[i] * to_gate[i];
        }
        gate->exponent[b] = saturate(on->exponent[b] + saturate(t_b.of_closed + e));
        normalise_column(gate, b, squares[2]);
    }
    if (counts_saturation(p->b.plan, index)) record_saturation(&p->b, index, saturated);
}

/* √(square 4^e), where 4^e is the size of the largest term. If the terms cancelled to exactly 0,
   the size of their rounding error instead. */
static scaled root_of_sum(V square, I some, I e)
{
    return root(choose((square == 0) & some, splat(EPSILON * EPSILON), square), e);
}

/* ‖Δ Xᵀ‖ from Δ = U C 2^f and X = Q R 2^e with U and Q orthonormal: ‖C 2^(e+f) Rᵀ‖. */
static scaled norm_of_outer_product(pass *p, const V *c, int64_t rows, const columns *delta, const V *r,
                                    const columns *x)
{
    int64_t count = p->batch;
    I top = LOWEST, some = {0};
    V total = {0};
    for (int64_t b = 0; b < count; b++) {
        top = imax(top, product_exponent(delta->exponent[b], x->exponent[b]));
        some |= (delta->exponent[b] != LOWEST) & (x->exponent[b] != LOWEST);
    }
    for (int64_t j = 0; j < rows; j++)
        for (int64_t k = 0; k < count; k++) {
            V sum = {0};
            for (int64_t b = k; b < count; b++) {
                I e = product_exponent(delta->exponent[b], x->exponent[b]) - top;
                sum += c[j * count + b] * beside(e) * r[k * count + b];
            }
            total += sum * sum;
        }
    return root_of_sum(total, some, top);
}

static V rank_of(const V *r, int64_t count)
{
    V rank = {0};
    for (int64_t k = 0; k < count; k++) rank += choose(r[k * count + k] > 0, splat(1), splat(0));
    return rank;
}

/* The part of ‖W‖² that Z and N determine: the squares of their columns, without the dropped ones,
   and without the component of N in the span of X. */
static V seen_square(pass *p, const step *t, int64_t n)
{
    int64_t count = p->batch, m = t->operand.rows;
    const V *r = p->coordinates;
    V seen = {0};
    drop_columns(p->frame.v, p->frame.stride, m, count, r);
    inner(t->operand.v, t->operand.stride, count, p->frame.v, p->frame.stride, count, m, p->small, count);
    for (int64_t k = 0; k < count; k++) {
        const V *z = t->z + k * stride_of(n), *fresh = column(&p->frame, k);
        V square = dot_product(fresh, fresh, m);
        for (int64_t j = 0; j < count; j++) square -= p->small[j * count + k] * p->small[j * count + k];
        seen += vmax(square, splat(0)) + choose(t->r[k * count + k] > 0, dot_product(z, z, n), splat(0));
    }
    return seen;
}

/* Records ‖∂L/∂W_l‖ and ‖∂L/∂W_l‖/‖W_l‖. Called after weights_backward, whose coordinates of Δ it
   uses. */
static void record_weights(pass *p, int64_t index, step *t, const columns *delta)
{
    const vg_plan *plan = p->b.plan;
    int64_t at = plan->weight_column[index], count = p->batch, n = delta->rows, m = t->operand.rows;
    if (at < 0 || plan->recurrent || !(plan->weight_gradient || plan->update_ratio)) return;
    scaled gradient;
    columns x = t->operand;
    if (t->is_grouped) { /* a group contributes its sum of Δ times the x of its leader */
        x.exponent = p->other.exponent;
        for (int64_t b = 0; b < count; b++)
            x.exponent[b] = choose_int(t->group[b] == splat_int(b), t->operand.exponent[b], LOWEST);
    }
    if (is_matrix_free(plan)) {
        int64_t rows = is_orthogonal(plan) ? 2 * count : count;
        gradient = norm_of_outer_product(p, p->coordinates, rows, delta, t->r, &x);
    } else {
        V *r = p->coordinates + count * count;
        copy_columns(&p->basis, delta);
        orthonormalise(p->basis.v, p->basis.stride, n, 0, count, ROUNDING, p->coordinates, p->work);
        copy_columns(&p->frame, &t->operand);
        orthonormalise(p->frame.v, p->frame.stride, m, 0, count, ROUNDING, r, p->work);
        gradient = norm_of_outer_product(p, p->coordinates, count, delta, r, &x);
    }
    if (plan->weight_gradient)
        record_log10(&p->b, plan->weight_gradient, plan->n_weight_columns, at, gradient);
    if (!plan->update_ratio) return;
    double s = plan->weight_scale[index];
    V seen = {0}, output_rank = {0}, input_rank = {0};
    int hidden = is_matrix_free(plan) && !is_orthogonal(plan);
    if (is_orthogonal(plan))
        seen = splat(n < m ? n : m);
    else if (hidden) {
        seen = seen_square(p, t, n);
        output_rank = rank_of(p->coordinates, count);
        input_rank = rank_of(t->r, count);
    } else
        seen = dense_weight_square(&p->b, index);
    FOR_SAMPLES(&p->b, k) {
        uint64_t sample = plan->first + (uint64_t)(p->b.first_row + k);
        double square = seen[k];
        if (hidden)
            square +=
                vg_chi_square(plan->key, (uint32_t)index, sample,
                              (double)(n - (int64_t)output_rank[k]) * (double)(m - (int64_t)input_rank[k]));
        plan->update_ratio[(p->b.first_row + k) * plan->n_weight_columns + at] =
            vg_log10(gradient.value[k], gradient.exponent[k]) - 0.5 * vg_log10(square, 0) - vg_log10(s, 0);
    }
}

/* ∂L/∂W ← ∂L/∂W + Δ_t X_{t-1}ᵀ, with one exponent for the whole matrix. */
static void add_weight_gradient(pass *p, const step *t, columns *delta)
{
    columns *total = &p->weight_gradient;
    I e = p->gradient_exponent;
    for (int64_t b = 0; b < p->batch; b++)
        e = imax(e, product_exponent(delta->exponent[b], t->operand.exponent[b]));
    I shift = p->gradient_exponent - e;
    if (any(shift != 0)) {
        V factor = beside(shift);
        for (int64_t i = 0; i < total->count; i++)
            for (int64_t j = 0; j < total->rows; j++) column(total, i)[j] *= factor;
    }
    p->gradient_exponent = e;
    copy_columns(&p->other, delta);
    for (int64_t b = 0; b < p->batch; b++) {
        I own = product_exponent(delta->exponent[b], t->operand.exponent[b]) - e;
        V factor = beside(own);
        for (int64_t i = 0; i < delta->rows; i++) column(&p->other, b)[i] *= factor;
    }
    add_product(t->operand.v, t->operand.stride, p->batch, (factors){p->other.v, p->other.stride, 1},
                delta->rows, t->operand.rows, total->v, total->stride);
}

static void record_recurrent_weights(pass *p)
{
    const vg_plan *plan = p->b.plan;
    columns *total = &p->weight_gradient;
    V square = {0}, norm = {0};
    for (int64_t i = 0; i < total->count; i++) square += square_of(total, i);
    norm = dot_product(p->matrix, p->matrix, band_size(total->count, total->rows));
    scaled gradient = root_of_sum(square, p->gradient_exponent != LOWEST, p->gradient_exponent);
    if (plan->weight_gradient)
        record_log10(&p->b, plan->weight_gradient, plan->n_weight_columns, 0, gradient);
    if (!plan->update_ratio) return;
    FOR_SAMPLES(&p->b, k)
        plan->update_ratio[(p->b.first_row + k) * plan->n_weight_columns] =
            vg_log10(gradient.value[k], gradient.exponent[k]) - 0.5 * vg_log10(norm[k], 0) -
            vg_log10(plan->weight_scale[1], 0);
}

/* Prefetches the arrays of the layer below, which are no longer in the caches. */
static void fetch_ahead(const pass *p, const step *t)
{
    for (int64_t b = 0; b < p->batch && p->batch < 4; b++)
        for (int64_t i = 0; i < t->operand.rows; i++) {
            __builtin_prefetch(column(&t->operand, b) + i);
            if (t->z) __builtin_prefetch(t->z + b * t->operand.stride + i);
            if (t->h.v) __builtin_prefetch(column(&t->h, b) + i);
        }
}

/* Layer `index`: p->g from G_l to G_{l-1}, not yet clipped. */
static void layer_back(pass *p, int64_t index, step *t)
{
    const vg_plan *plan = p->b.plan;
    scaled one = scaled_number(1), s = signed_number(plan->identity), c = signed_number(plan->branch);
    int ends = block_ends(plan, index), begins = block_begins(plan, index);
    columns *g = &p->g, *delta = &p->delta;

    if (ends && plan->skip != VG_POST) {
        copy_columns(&p->skip, g);
        scale_columns(&p->skip, s);
    }
    if (plan->skip == VG_PRE || is_bare(plan, index)) {
        copy_columns(delta, g);
        if (ends) scale_columns(delta, c);
        normalise_columns(delta);
        if (is_bare(plan, index)) record_saturation(&p->b, index, splat_int(0));
    } else if (plan->skip == VG_HIGHWAY) {
        through_gates(p, index, t);
    } else {
        through_units(p, index, g, t, delta);
        if (ends && plan->skip == VG_POST) {
            copy_columns(&p->skip, delta);
            scale_columns(&p->skip, s);
        }
        if (ends) scale_columns(delta, c);
    }
    if (plan->norm && plan->skip != VG_PRE && !is_bare(plan, index)) {
        find_along(p, index, t, delta);
        p->grouped = t->is_grouped ? t->group : NULL;
        if (index == plan->depth && p->grouped) gather(delta, t->group);
        back_through_norm(plan, &t->h, delta, t->deviation, p->mean, p->grouped);
    }

    weights_backward(p, index, t, weights_of(t), delta, g);
    record_weights(p, index, t, delta);
    if (p->weight_gradient.v) add_weight_gradient(p, t, delta);
    if (g->rows == 1 && plan->skip != VG_PRE && is_scale_free(plan, index - 1)) lone_layer(p, t, g);
    if (plan->skip == VG_HIGHWAY) {
        weights_backward(p, index, t, gate_of(t), &p->gate_delta, &p->other);
        add_scaled(g, one, g, one, &p->other);
        add_scaled(g, one, g, one, &p->skip);
    }
    if (plan->skip == VG_PRE) {
        through_units(p, index, g, t, delta);
        if (plan->norm) {
            find_along(p, index, t, delta);
            back_through_norm(plan, &t->h, delta, t->deviation, p->mean, NULL);
        }
        copy_columns(g, delta);
    }
    if (begins && p->is_narrow && is_scale_free(plan, index - 1)) add_skip_along(p, t);
    if (begins) add_scaled(g, one, g, one, &p->skip);
}

/* Clips and records G_l. With groups, p->g keeps the sums and deviations (vg_groups.h). */
static void arrive_at(pass *p, int64_t index)
{
    columns *g = &p->g, *sums = &p->other;
    if (p->grouped) {
        copy_columns(sums, g);
        spread(g, p->grouped);
    }
    clip(p, index);
    p->b.scale = norm_of_columns(g);
    record_cotangent(&p->b, index, splat(1));
    if (p->grouped) copy_columns(g, sums);
}

static int segment_back(pass *p, int64_t segment)
{
    int64_t begin = segment ? p->b.plan->segment_ends[segment - 1] : 0;
    for (int64_t index = p->b.plan->segment_ends[segment]; index > begin; index--) {
        if (cancelled(&p->b)) return VG_CANCELLED;
        if (index > begin + 1) fetch_ahead(p, &p->steps[index - begin - 2]);
        layer_back(p, index, &p->steps[index - begin - 1]);
        arrive_at(p, index - 1);
    }
    return VG_OK;
}

static int run_pass(const vg_plan *plan, uint64_t group, void *scratch)
{
    pass p = {.b = {.plan = plan,
                    .phi = &activations[plan->activation],
                    .parameters = {(real)plan->parameters[0], (real)plan->parameters[1]},
                    .first_row = (int64_t)(group * (uint64_t)LANES - plan->first)}};
    arena a = {0, scratch};
    place_pass(&p, &a);
    p.is_narrow = has_narrow_layers(plan);
    open_samples(&p.b.keys, plan->key, group * (uint64_t)LANES);
    if (plan->recurrent) make_matrix(&p, VG_STREAM_FORWARD, 1);
    draw_inputs(&p, &p.starts[0]);
    copy_columns(&p.x, &p.starts[0]);
    no_groups(plan, p.group);
    no_groups(plan, p.start_groups);
    record_activations(&p, 0);
    if (plan->tangents) return run_tangents(&p);

    int status = VG_OK;
    for (int64_t segment = 0; segment < plan->n_segments && status == VG_OK; segment++)
        status = segment_ahead(&p, segment, 1);
    if (status != VG_OK) return status;
    draw_cotangent(&p);
    arrive_at(&p, plan->depth);
    if (p.weight_gradient.v) {
        p.gradient_exponent = LOWEST;
        zero_columns(&p.weight_gradient);
    }
    for (int64_t segment = plan->n_segments - 1; segment >= 0 && status == VG_OK; segment--) {
        if (segment < plan->n_segments - 1) status = segment_ahead(&p, segment, 0);
        if (status == VG_OK) status = segment_back(&p, segment);
    }
    if (p.weight_gradient.v && status == VG_OK) record_recurrent_weights(&p);
    return status;
}

static size_t pass_bytes(const vg_plan *plan)
{
    pass p = {.b = {.plan = plan}};
    arena a = {0, NULL};
    place_pass(&p, &a);
    return a.bytes;
}

#endif
