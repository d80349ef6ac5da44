/* The two products with W_l, for all examples at once, for each engine and law of W_l.

   Gaussian, matrix-free: X = Q R, Δ = Q_g R_g, Z and N with entries N(0, 1):
     forward    W X  = s Z R
     backward   WᵀΔ  = s [ Q (ZᵀΔ) + (I − Q Qᵀ) N R_g ]
   Orthogonal, matrix-free: Z and F orthonormal, F also to Q; Δ = Z P + Q_g R_g:
     forward    W X  = s Z R
     backward   WᵀΔ  = s [ Q P + F R_g ]
   Dense: W is stored, or a few of its rows at a time are drawn again for every product.
   The formulas are derived in docs/law.md. */
#ifndef VG_WEIGHTS_H
#define VG_WEIGHTS_H

#include "vg_dense.h"
#include "vg_pass.h"

/* The matrix that acts on the operand of a layer: W, or W_T of the gate. */
typedef struct {
    uint32_t forward, backward;
    V *z;
} matrix;

INLINE matrix weights_of(const step *t) { return (matrix){VG_STREAM_FORWARD, VG_STREAM_BACKWARD, t->z}; }

INLINE matrix gate_of(const step *t)
{
    return (matrix){VG_STREAM_GATE_FORWARD, VG_STREAM_GATE_BACKWARD, t->gate_z};
}

/* Columns of `rows` normals, consecutive in the stream. */
static void draw_columns(const block *b, uint32_t stream_id, int64_t index, int64_t rows, int64_t count, V *v,
                         int64_t stride)
{
    stream s = open_stream(&b->keys, stream_id, (uint32_t)index);
    for (int64_t k = 0; k < count; k++)
        fill_from(VG_NORMAL, &s, k * (whole_quads(rows) / 4), rows, v + k * stride);
}

/* Columns whose diagonal element of r is 0 become 0. */
static void drop_columns(V *v, int64_t stride, int64_t rows, int64_t count, const V *r)
{
    for (int64_t k = 0; k < count; k++) {
        I kept = r[k * count + k] > 0;
        if (!any(~kept)) continue;
        for (int64_t i = 0; i < rows; i++) v[k * stride + i] = choose(kept, v[k * stride + i], splat(0));
    }
}

static void zero_rows(columns *x, int64_t from, int64_t to)
{
    for (int64_t b = 0; b < x->count; b++)
        for (int64_t i = from; i < to; i++) column(x, b)[i] = splat(0);
}

static void zero_columns(columns *x) { zero_rows(x, 0, whole_quads(x->rows)); }

/* out ← A R with R upper triangular, count × count. */
static void triangular_product(const V *a, int64_t stride, const V *r, int64_t count, int64_t rows,
                               columns *out)
{
    for (int64_t k = 0; k < count; k += PANEL) {
        int64_t w = count - k < PANEL ? count - k : PANEL;
        product(a, stride, k + w, (factors){r + k, count, 1}, w, rows, column(out, k), out->stride);
    }
}

/* x ← the operand itself: Q R, or the stored X. */
static void restore_operand(const pass *p, const step *t, columns *x)
{
    copy_columns(x, &t->operand);
    if (!is_matrix_free(p->b.plan)) return;
    triangular_product(t->operand.v, t->operand.stride, t->r, p->batch, x->rows, x);
}

/* p->rows ← rows of W from row i on, stride_of(columns) apart. */
static void draw_rows(const pass *p, const stream *s, int64_t i, int64_t rows, int64_t columns)
{
    int64_t quads = whole_quads(columns) / 4, stride = stride_of(columns);
    for (int64_t k = 0; k < rows; k++) {
#define ROW(law) fill_from(law, s, (i + k) * quads, columns, p->rows + k * stride)
        FOR_EACH_LAW(p->b.plan->weight_law, ROW);
#undef ROW
    }
}

/* All of W, in bands: orthogonal (Gram-Schmidt on the rows of a Gaussian matrix), the identity, or
   i.i.d. */
static void make_matrix(pass *p, uint32_t stream_id, int64_t index)
{
    const vg_plan *plan = p->b.plan;
    int64_t n = rows_out(plan, index), m = rows_in(plan, index), size = n > m ? n : m,
            stride = stride_of(size);
    stream s = open_stream(&p->b.keys, stream_id, (uint32_t)index);
    if (is_orthogonal(plan)) {
        draw_columns(&p->b, stream_id, index, size, size, p->vectors, stride);
        orthonormalise(p->vectors, stride, size, 0, size, RANDOM, NULL, p->work);
    }
    for (int64_t i = 0; i < (n + BAND_ROWS - 1) / BAND_ROWS * BAND_ROWS; i++) {
        const V *row = is_orthogonal(plan) ? p->vectors + i * stride : p->rows;
        if (i < n && !is_orthogonal(plan) && plan->weight_law != VG_IDENTITY) draw_rows(p, &s, i, 1, m);
        V *band = p->matrix + i / BAND_ROWS * BAND_ROWS * m + i % BAND_ROWS;
        for (int64_t j = 0; j < m; j++) {
            V entry = splat(i == j);
            if (plan->weight_law != VG_IDENTITY) entry = row[j];
            band[j * BAND_ROWS] = i < n ? entry : splat(0);
        }
    }
}

/* out ← W x, with W from p->matrix, or with its rows drawn as they are used. */
static void dense_product(pass *p, const stream *s, const columns *x, columns *out)
{
    int64_t m = x->rows, n = out->rows, stride = stride_of(m);
    for (int64_t i = 0; i < n && !cancelled(&p->b); i += ROWS_AT_ONCE) {
        int64_t rows = n - i < ROWS_AT_ONCE ? n - i : ROWS_AT_ONCE;
        if (!p->matrix) {
            draw_rows(p, s, i, rows, m);
            inner(p->rows, stride, rows, x->v, x->stride, p->batch, m, p->small, p->batch);
        }
        for (int64_t b = 0; b < p->batch; b++) {
            V product[BAND_ROWS];
            if (p->matrix) band_products(p->matrix + i * m, m, column(x, b), product);
            for (int64_t k = 0; k < rows; k++)
                column(out, b)[i + k] = p->matrix ? product[k] : p->small[k * p->batch + b];
        }
    }
}

/* Matrix-free: the operand X = Q R of layer `index` is replaced by Q, and t->r ← R. */
static void open_operand(pass *p, int64_t index, step *t)
{
    const vg_plan *plan = p->b.plan;
    columns *x = &t->operand;
    if (!is_matrix_free(plan)) return;
    int64_t rows = embedded_rows(plan, index, x->rows);
    zero_rows(x, x->rows, rows);
    orthonormalise(x->v, x->stride, rows, 0, p->batch, ROUNDING, t->r, p->work);
}

/* out ← W X / weight scale, with the exponents of X. */
static void weights_forward(pass *p, int64_t index, step *t, matrix w, columns *out)
{
    const vg_plan *plan = p->b.plan;
    out->rows = rows_out(plan, index);
    for (int64_t b = 0; b < p->batch; b++) out->exponent[b] = t->operand.exponent[b];
    if (is_matrix_free(plan)) {
        int64_t rows = embedded_rows(plan, index, out->rows), stride = stride_of(rows);
        draw_columns(&p->b, w.forward, index, rows, p->batch, w.z, stride);
        if (is_orthogonal(plan)) {
            drop_columns(w.z, stride, rows, p->batch, t->r);
            orthonormalise(w.z, stride, rows, 0, p->batch, RANDOM, NULL, p->work);
        }
        triangular_product(w.z, stride, t->r, p->batch, out->rows, out);
    } else {
        stream s = open_stream(&p->b.keys, w.forward, (uint32_t)index);
        if (has_matrix(plan) && !plan->recurrent) make_matrix(p, w.forward, index);
        dense_product(p, &s, &t->operand, out);
    }
}

static void gaussian_backward(pass *p, int64_t index, step *t, matrix w, const columns *delta, columns *out)
{
    int64_t count = p->batch, n = delta->rows, m = t->operand.rows, stride = stride_of(n);
    V *r = p->coordinates + count * count;
    copy_columns(&p->basis, delta);
    orthonormalise(p->basis.v, p->basis.stride, n, 0, count, ROUNDING, p->coordinates, p->work);
    draw_columns(&p->b, w.backward, index, m, count, p->frame.v, p->frame.stride);
    triangular_product(p->frame.v, p->frame.stride, p->coordinates, count, m, out);
    inner(w.z, stride, count, delta->v, delta->stride, count, n, p->small, count);
    inner(t->operand.v, t->operand.stride, count, out->v, out->stride, count, m, r, count);
    for (int64_t k = 0; k < count * count; k++) p->small[k] -= r[k];
    add_product(t->operand.v, t->operand.stride, count, (factors){p->small, count, 1}, count, m, out->v,
                out->stride);
}

static void orthogonal_backward(pass *p, int64_t index, step *t, matrix w, const columns *delta, columns *out)
{
    int64_t count = p->batch, n = delta->rows, m = t->operand.rows;
    int64_t rows = embedded_rows(p->b.plan, index, n), stride = stride_of(rows);
    columns basis = p->basis, frame = p->frame;
    basis.stride = frame.stride = stride;
    for (int64_t b = 0; b < count; b++) {
        copy(column(&basis, b), w.z + b * stride, rows);
        copy(column(&basis, count + b), column(delta, b), n);
        for (int64_t i = n; i < rows; i++) column(&basis, count + b)[i] = splat(0);
        copy(column(&frame, b), column(&t->operand, b), rows);
    }
    orthonormalise(basis.v, stride, rows, count, 2 * count, ROUNDING, p->coordinates, p->work);
    draw_columns(&p->b, w.backward, index, rows, count, column(&frame, count), stride);
    drop_columns(column(&frame, count), stride, rows, count, p->coordinates + count * count);
    orthonormalise(frame.v, stride, rows, count, 2 * count, RANDOM, NULL, p->work);
    product(frame.v, stride, 2 * count, (factors){p->coordinates, count, 1}, count, m, out->v, out->stride);
}

static void dense_transposed(pass *p, int64_t index, matrix w, const columns *delta, columns *out)
{
    const vg_plan *plan = p->b.plan;
    stream s = open_stream(&p->b.keys, w.forward, (uint32_t)index);
    if (has_matrix(plan) && !plan->recurrent) make_matrix(p, w.forward, index);
    zero_columns(out);
    int64_t n = delta->rows, m = out->rows;
    for (int64_t i = 0; i < n && !cancelled(&p->b); i += ROWS_AT_ONCE) {
        int64_t rows = n - i < ROWS_AT_ONCE ? n - i : ROWS_AT_ONCE;
        if (!p->matrix) {
            draw_rows(p, &s, i, rows, m);
            add_product(p->rows, stride_of(m), rows, (factors){delta->v + i, 1, delta->stride}, p->batch, m,
                        out->v, out->stride);
        }
        for (int64_t b = 0; b < p->batch && p->matrix; b++) {
            V c[BAND_ROWS] = {{0}};
            for (int64_t k = 0; k < rows; k++) c[k] = column(delta, b)[i + k];
            add_band(p->matrix + i * m, m, c, column(out, b));
        }
    }
}

/* out ← WᵀΔ, normalised. The matrix-free engine also leaves the coordinates of Δ in p->coordinates,
   and N in p->frame. */
static void weights_backward(pass *p, int64_t index, step *t, matrix w, const columns *delta, columns *out)
{
    const vg_plan *plan = p->b.plan;
    out->rows = rows_in(plan, index);
    for (int64_t b = 0; b < p->batch; b++) out->exponent[b] = delta->exponent[b];
    if (!is_matrix_free(plan))
        dense_transposed(p, index, w, delta, out);
    else if (is_orthogonal(plan))
        orthogonal_backward(p, index, t, w, delta, out);
    else
        gaussian_backward(p, index, t, w, delta, out);
    normalise_multiple(out, scaled_number(plan->weight_scale[index]));
}

#endif
