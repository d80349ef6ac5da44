/* "weight_gradient" and "update_ratio": ‖∂L/∂W‖ and ‖W‖ over all recorded matrices of a place. */
#ifndef VG_RECORD_WEIGHTS_H
#define VG_RECORD_WEIGHTS_H

#include "vg_along.h"
#include "vg_record.h"

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
static V seen_square(pass *p, const operand *of, const V *raw, int64_t n, int64_t m)
{
    int64_t count = p->batch;
    const V *r = p->coordinates;
    V seen = {0};
    drop_columns(p->frame.v, p->frame.stride, m, count, r);
    inner(of->q.v, of->q.stride, count, p->frame.v, p->frame.stride, count, m, p->small, count);
    for (int64_t k = 0; k < count; k++) {
        const V *z = raw + k * stride_of(n), *fresh = column(&p->frame, k);
        V square = dot_product(fresh, fresh, m);
        for (int64_t j = 0; j < count; j++) square -= p->small[j * count + k] * p->small[j * count + k];
        seen += vmax(square, splat(0)) + choose(of->r[k * count + k] > 0, dot_product(z, z, n), splat(0));
    }
    return seen;
}

/* x = significand · 2^exponent for x > 0. */
INLINE double significand_of(double x, int64_t *exponent)
{
    union {
        double real;
        int64_t bits;
    } u = {x};
    *exponent = (u.bits >> 52) - 1023;
    u.bits = (u.bits & 0xfffffffffffff) | 0x3ff0000000000000;
    return u.real;
}

/* Shared weights: ∂L/∂W ← ∂L/∂W + Δ Xᵀ, with one exponent for all matrices together. */
static void add_to_shared_gradient(pass *p, const vg_operation *o, const operand *of, const columns *delta)
{
    columns *total = &p->shared_gradient;
    I e = p->gradient_exponent;
    for (int64_t b = 0; b < p->batch; b++)
        e = imax(e, product_exponent(delta->exponent[b], of->q.exponent[b]));
    I shift = p->gradient_exponent - e;
    if (any(shift != 0)) {
        V factor = beside(shift);
        for (int64_t i = 0; i < total->count; i++)
            for (int64_t j = 0; j < total->rows; j++) column(total, i)[j] *= factor;
    }
    p->gradient_exponent = e;
    copy_columns(&p->other, delta);
    for (int64_t b = 0; b < p->batch; b++) {
        V factor = beside(product_exponent(delta->exponent[b], of->q.exponent[b]) - e);
        for (int64_t i = 0; i < delta->rows; i++) column(&p->other, b)[i] *= factor;
    }
    add_product(of->q.v, of->q.stride, p->batch, (factors){p->other.v, p->other.stride, 1}, delta->rows,
                of->q.rows, column(total, (o->number - 1) * o->rows), total->stride);
}

/* ‖∂L/∂W‖. Called after weights_transposed, whose coordinates of Δ it uses. */
static scaled weight_gradient(pass *p, const vg_operation *o, const operand *of, const columns *delta)
{
    int64_t count = p->batch;
    columns x = of->q;
    if (of->is_grouped && p->gathered) { /* a group contributes its sum of Δ times the x of its leader */
        x.exponent = p->other.exponent;
        for (int64_t b = 0; b < count; b++)
            x.exponent[b] = choose_int(of->group[b] == splat_int(b), of->q.exponent[b], LOWEST);
    }
    if (is_matrix_free(p->b.plan))
        return norm_of_outer_product(p, p->coordinates, is_orthogonal(o) ? 2 * count : count, delta, of->r,
                                     &x);
    V *r = p->coordinates + count * count;
    copy_columns(&p->basis, delta);
    orthonormalise(p->basis.v, p->basis.stride, o->rows, 0, count, ROUNDING, p->coordinates, p->work);
    copy_columns(&p->frame, &of->q);
    orthonormalise(p->frame.v, p->frame.stride, o->columns, 0, count, ROUNDING, r, p->work);
    return norm_of_outer_product(p, p->coordinates, count, delta, r, &x);
}

/* Element (i, j) of a matrix is draw j of row i; every row starts a new quad. */
INLINE V square_norm(int law, const stream *s, int64_t rows, int64_t columns)
{
    int64_t quads = whole_quads(columns) / 4;
    V total = {0};
    for (int64_t i = 0; i < rows; i++) {
        V row = {0}, w[4];
        for (int64_t j = 0; j < columns; j++) {
            if (j % 4 == 0) draw(law, s, (uint32_t)(i * quads + j / 4), 1, w);
            row += w[j % 4] * w[j % 4];
        }
        total += row;
    }
    return total;
}

/* ‖W‖² / (weight scale)². */
static V dense_weight_square(const block *b, int law, uint32_t number, int64_t rows, int64_t columns)
{
    stream s = open_stream(&b->keys, VG_STREAM_FORWARD, number);
#define CALL(law) square_norm(law, &s, rows, columns)
    return FOR_EACH_LAW(law, CALL);
#undef CALL
}

/* Adds the square of ‖W‖. The matrix-free engine draws the part that the two products do not
   determine. */
static void add_weight_square(pass *p, const vg_operation *o, const operand *of, const V *z)
{
    const vg_plan *plan = p->b.plan;
    int64_t count = p->batch, n = o->rows, m = o->columns, e = 0;
    int hidden = is_matrix_free(plan) && !is_orthogonal(o);
    V seen = {0}, output_rank = {0}, input_rank = {0};
    if (is_orthogonal(o))
        seen = splat(n < m ? n : m);
    else if (hidden) {
        seen = seen_square(p, of, z, n, m);
        output_rank = rank_of(p->coordinates, count);
        input_rank = rank_of(of->r, count);
    } else
        seen = dense_weight_square(&p->b, o->law, matrix_number(p, o), n, m);
    double scale = significand_of(o->scale, &e);
    FOR_SAMPLES(&p->b, k) {
        uint64_t sample = plan->first + (uint64_t)(p->b.first_row + k);
        double square = seen[k];
        if (hidden) {
            double freedom = (double)(n - (int64_t)output_rank[k]) * (double)(m - (int64_t)input_rank[k]);
            square += vg_chi_square(plan->key, 0, matrix_number(p, o), sample, freedom);
        }
        int64_t top = e > p->weight_exponent[k] ? e : p->weight_exponent[k];
        p->weight_square[k] = p->weight_square[k] * vg_power_of_two(2 * (p->weight_exponent[k] - top)) +
                              square * (scale * scale) * vg_power_of_two(2 * (e - top));
        p->weight_exponent[k] = top;
    }
}

/* Called for each matrix of a place, after weights_transposed. */
static void measure_weights(pass *p, const vg_operation *o, const operand *of, const V *z,
                            const columns *delta)
{
    const vg_plan *plan = p->b.plan;
    if (!(o->flags & VG_RECORDED) || !(plan->weight_gradient || plan->update_ratio)) return;
    if (o->flags & VG_SHARED) {
        add_to_shared_gradient(p, o, of, delta);
        return;
    }
    if (plan->weight_column[p->place] < 0) return;
    p->weight_gradient = hypotenuse(p->weight_gradient, weight_gradient(p, o, of, delta));
    if (plan->update_ratio) add_weight_square(p, o, of, z);
}

static void clear_weights(pass *p)
{
    p->weight_gradient = scaled_number(0);
    for (int k = 0; k < LANES; k++) {
        p->weight_square[k] = 0;
        p->weight_exponent[k] = -EXPONENT_LIMIT;
    }
}

static void record_weights(pass *p, int64_t place)
{
    const vg_plan *plan = p->b.plan;
    int64_t at = plan->weight_column ? plan->weight_column[place] : -1;
    scaled gradient = p->weight_gradient;
    if (at < 0) return;
    if (plan->weight_gradient)
        record_log10(&p->b, plan->weight_gradient, plan->n_weight_columns, at, gradient);
    if (!plan->update_ratio) return;
    FOR_SAMPLES(&p->b, k)
        plan->update_ratio[(p->b.first_row + k) * plan->n_weight_columns + at] =
            vg_log10(gradient.value[k], gradient.exponent[k]) -
            0.5 * vg_log10(p->weight_square[k], 2 * p->weight_exponent[k]);
}

/* After the backward pass: the quantities of the shared matrices, of one law, in their only column. */
static void record_shared_weights(pass *p)
{
    const vg_operation *o = first_operation(p->b.plan, VG_WEIGHTS);
    columns *total = &p->shared_gradient;
    int64_t size = p->b.plan->shared * band_size(o->rows, o->columns);
    V square = {0}, norm = dot_product(p->matrix, p->matrix, size);
    for (int64_t i = 0; i < total->count; i++) square += square_of(total, i);
    p->weight_gradient = root_of_sum(square, p->gradient_exponent != LOWEST, p->gradient_exponent);
    int64_t e = 0;
    double scale = significand_of(o->scale, &e);
    for (int k = 0; k < LANES; k++) {
        p->weight_square[k] = (double)norm[k] * (scale * scale);
        p->weight_exponent[k] = e;
    }
    record_weights(p, 1);
}

/* Δ, the gradient of `target`, becomes WᵀΔ; or WᵀΔ is added to the gradient of `source`. */
static void weights_back(pass *p, const vg_operation *o, void *slot)
{
    const weights *t = slot;
    const operand *of = operand_of(o, slot);
    columns *delta = &p->g[o->target], *g = &p->g[o->source];
    weights_transposed(p, o, of, t->z, delta);
    measure_weights(p, o, of, t->z, delta);
    if (o->flags & VG_LONE) lone_operand(p, of, &p->spare);
    if (o->flags & VG_ADDS)
        add_scaled(g, scaled_number(1), g, scaled_number(1), &p->spare);
    else
        exchange(g, &p->spare);
}

#endif
