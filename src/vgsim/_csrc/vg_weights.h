/* The operations BASIS and WEIGHTS: the two products with W, for all columns at once, for each engine
   and law of W.

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

#include "vg_groups.h"

/* BASIS: the operand X of one or more matrices. */
typedef struct {
    columns q; /* its orthonormal Q (matrix-free), or X itself (dense) */
    V *r;      /* matrix-free: R, the operand is Q R 2^e */
    I *group;  /* leaders of the columns, and whether some are equal (vg_groups.h) */
    int is_grouped;
} operand;

/* WEIGHTS: the raw product with Q, and the array of the output. */
typedef struct {
    V *z;
    columns out;
} weights;

INLINE int is_orthogonal(const vg_operation *o) { return o->law == VG_ORTHOGONAL; }

/* The operand of a matrix. */
INLINE const operand *operand_of(const vg_operation *o, const void *slot)
{
    return (const void *)((const char *)slot - o->distance * SLOT_BYTES);
}

/* The length of vectors of `rows` entries when an orthogonal W is embedded in a square matrix. */
INLINE int64_t embedded_rows(const vg_operation *o, int64_t rows)
{
    if (is_orthogonal(o)) return o->rows > o->columns ? o->rows : o->columns;
    return rows;
}

/* Whether W is stored as a whole. */
INLINE int has_matrix(const vg_plan *plan, const vg_operation *o)
{
    return !is_matrix_free(plan) && (o->flags & VG_SHARED || is_orthogonal(o));
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
static void restore_operand(const pass *p, const operand *t, columns *x)
{
    copy_columns(x, &t->q);
    if (!is_matrix_free(p->b.plan)) return;
    triangular_product(t->q.v, t->q.stride, t->r, p->batch, x->rows, x);
}

/* p->rows ← rows of W from row i on, stride_of(columns) apart. */
static void draw_rows(const pass *p, const vg_operation *o, const stream *s, int64_t i, int64_t rows)
{
    int64_t columns = o->columns, quads = whole_quads(columns) / 4, stride = stride_of(columns);
    for (int64_t k = 0; k < rows; k++) {
#define ROW(law) fill_from(law, s, (i + k) * quads, columns, p->rows + k * stride)
        FOR_EACH_LAW(o->law, ROW);
#undef ROW
    }
}

/* The stored W, in bands. */
INLINE V *matrix_of(const pass *p, const vg_operation *o)
{
    int64_t before = o->flags & VG_SHARED ? o->number - 1 : 0;
    return p->matrix + before * band_size(o->rows, o->columns);
}

/* Row i of W: its entries are BAND_ROWS apart. */
INLINE V *in_bands(const pass *p, const vg_operation *o, int64_t i)
{
    return matrix_of(p, o) + i / BAND_ROWS * BAND_ROWS * o->columns + i % BAND_ROWS;
}

/* All of W, in bands: orthogonal (Gram-Schmidt on the rows of a Gaussian matrix), the identity, or
   i.i.d. */
static void make_matrix(pass *p, const vg_operation *o, uint32_t number)
{
    int64_t n = o->rows, m = o->columns, size = n > m ? n : m, stride = stride_of(size);
    stream s = open_stream(&p->b.keys, VG_STREAM_FORWARD, number);
    if (is_orthogonal(o)) {
        draw_columns(&p->b, VG_STREAM_FORWARD, number, size, size, p->vectors, stride);
        orthonormalise(p->vectors, stride, size, 0, size, RANDOM, NULL, p->work);
    }
    for (int64_t i = 0; i < n; i++) {
        const V *row = is_orthogonal(o) ? p->vectors + i * stride : p->rows;
        if (!is_orthogonal(o) && o->law != VG_IDENTITY) draw_rows(p, o, &s, i, 1);
        V *entries = in_bands(p, o, i);
        for (int64_t j = 0; j < m; j++)
            entries[j * BAND_ROWS] = o->law == VG_IDENTITY ? splat(i == j) : row[j];
    }
    for (int64_t i = n; i % BAND_ROWS; i++)
        for (int64_t j = 0; j < m; j++) in_bands(p, o, i)[j * BAND_ROWS] = splat(0);
}

/* out ← W x, with W from p->matrix, or with its rows drawn as they are used. */
static void dense_product(pass *p, const vg_operation *o, const columns *x, columns *out)
{
    int64_t m = o->columns, n = o->rows, stride = stride_of(m);
    int stored = has_matrix(p->b.plan, o);
    const V *w = matrix_of(p, o);
    stream s = open_stream(&p->b.keys, VG_STREAM_FORWARD, matrix_number(p, o));
    if (stored && !(o->flags & VG_SHARED)) make_matrix(p, o, matrix_number(p, o));
    for (int64_t i = 0; i < n && !cancelled(&p->b); i += ROWS_AT_ONCE) {
        int64_t rows = n - i < ROWS_AT_ONCE ? n - i : ROWS_AT_ONCE;
        if (!stored) {
            draw_rows(p, o, &s, i, rows);
            inner(p->rows, stride, rows, x->v, x->stride, p->batch, m, p->small, p->batch);
        }
        for (int64_t b = 0; b < p->batch; b++) {
            V product[BAND_ROWS];
            if (stored) band_products(w + i * m, m, column(x, b), product);
            for (int64_t k = 0; k < rows; k++)
                column(out, b)[i + k] = stored ? product[k] : p->small[k * p->batch + b];
        }
    }
}

static void store_basis(const pass *p, const vg_operation *o, void *slot, arena *a)
{
    operand *t = slot;
    *t = (operand){.q = p->x[o->source]};
    if (o->flags & VG_COPIES) t->q = take_columns(a, o->room, p->batch, p->batch);
    if (is_matrix_free(p->b.plan)) t->r = take_vectors(a, p->batch * p->batch);
    if (p->b.plan->grouped) t->group = take(a, (size_t)p->batch * sizeof(I));
}

/* p->same ← the first column that each column of x equals in every bit; returns whether some do. */
static int find_equal(pass *p, const columns *x)
{
    I found = {0};
    for (int64_t c = 0; c < x->count; c++) {
        p->same[c] = splat_int(c);
        for (int64_t b = 0; b < c; b++) {
            I equal = (x->exponent[b] == x->exponent[c]) & (p->same[c] == splat_int(c));
            for (int64_t i = 0; i < x->rows && any(equal); i++) equal &= column(x, b)[i] == column(x, c)[i];
            p->same[c] = choose_int(equal, splat_int(b), p->same[c]);
            found |= equal;
        }
    }
    return any(found);
}

/* The coordinates r of equal columns ← those of the first of them, so that their products are equal in
   every bit too: attention at very large scores decides by the last bit. */
static void share_coordinates(const pass *p, V *r)
{
    int64_t count = p->batch;
    for (int64_t c = 0; c < count; c++)
        for (int64_t b = 0; b < c; b++) {
            I equal = p->same[c] == splat_int(b);
            if (!any(equal)) continue;
            for (int64_t j = 0; j < count; j++)
                r[j * count + c] = choose(equal, r[j * count + b], r[j * count + c]);
        }
}

/* X = Q R. Without VG_COPIES, Q takes the place of X, which is not used again. `room` is the number
   of rows with those that embed an orthogonal W. */
static void basis_ahead(pass *p, const vg_operation *o, void *slot)
{
    operand *t = slot;
    if (p->b.plan->grouped) t->is_grouped = find_groups(p, &p->x[o->source], t->group);
    if (o->flags & VG_COPIES) copy_columns(&t->q, &p->x[o->source]);
    if (!is_matrix_free(p->b.plan)) return;
    zero_rows(&t->q, t->q.rows, o->columns);
    int equal = find_equal(p, &t->q);
    orthonormalise_in(t->q.rows, 0, t->q.v, t->q.stride, o->columns, 0, p->batch, ROUNDING, t->r, p->work);
    if (equal) share_coordinates(p, t->r);
}

static void store_weights(const pass *p, const vg_operation *o, void *slot, arena *a)
{
    weights *t = slot;
    *t = (weights){.out = take_output(p, o, a)};
    if (is_matrix_free(p->b.plan)) t->z = take_vectors(a, p->batch * stride_of(embedded_rows(o, o->rows)));
}

/* target ← W X. */
static void weights_ahead(pass *p, const vg_operation *o, void *slot)
{
    const weights *t = slot;
    const operand *of = operand_of(o, slot);
    columns *out = &p->x[o->target];
    *out = t->out;
    for (int64_t b = 0; b < p->batch; b++) out->exponent[b] = of->q.exponent[b];
    if (is_matrix_free(p->b.plan)) {
        int64_t rows = embedded_rows(o, o->rows), stride = stride_of(rows);
        draw_columns(&p->b, VG_STREAM_FORWARD, matrix_number(p, o), rows, p->batch, t->z, stride);
        if (is_orthogonal(o)) {
            drop_columns(t->z, stride, rows, p->batch, of->r);
            orthonormalise(t->z, stride, rows, 0, p->batch, RANDOM, NULL, p->work);
        }
        triangular_product(t->z, stride, of->r, p->batch, o->rows, out);
    } else
        dense_product(p, o, &of->q, out);
    if (o->flags & VG_ADDED)
        scale_columns(out, scaled_number(o->scale));
    else
        normalise_multiple(out, scaled_number(o->scale));
    columns of_examples = examples(p->b.plan, out);
    if (of->is_grouped) equalise(of->group, &of_examples);
}

/* The number of successive columns of Δ that are dependent, or 0. */
INLINE int64_t period_of(const pass *p, const vg_operation *o)
{
    return o->flags & VG_BALANCED ? p->b.plan->tokens : 0;
}

static void gaussian_backward(pass *p, const vg_operation *o, const operand *of, const V *z,
                              const columns *delta, columns *out)
{
    int64_t count = p->batch, n = o->rows, m = o->columns, stride = stride_of(n);
    V *r = p->coordinates + count * count;
    copy_columns(&p->basis, delta);
    orthonormalise_in(n, period_of(p, o), p->basis.v, p->basis.stride, n, 0, count, ROUNDING, p->coordinates,
                      p->work);
    draw_columns(&p->b, VG_STREAM_BACKWARD, matrix_number(p, o), m, count, p->frame.v, p->frame.stride);
    triangular_product(p->frame.v, p->frame.stride, p->coordinates, count, m, out);
    inner(z, stride, count, delta->v, delta->stride, count, n, p->small, count);
    inner(of->q.v, of->q.stride, count, out->v, out->stride, count, m, r, count);
    for (int64_t k = 0; k < count * count; k++) p->small[k] -= r[k];
    add_product(of->q.v, of->q.stride, count, (factors){p->small, count, 1}, count, m, out->v, out->stride);
}

static void orthogonal_backward(pass *p, const vg_operation *o, const operand *of, const V *z,
                                const columns *delta, columns *out)
{
    int64_t count = p->batch, n = o->rows, m = o->columns;
    int64_t rows = embedded_rows(o, n), stride = stride_of(rows);
    columns basis = p->basis, frame = p->frame;
    basis.stride = frame.stride = stride;
    for (int64_t b = 0; b < count; b++) {
        copy(column(&basis, b), z + b * stride, rows);
        copy(column(&basis, count + b), column(delta, b), n);
        for (int64_t i = n; i < rows; i++) column(&basis, count + b)[i] = splat(0);
        copy(column(&frame, b), column(&of->q, b), rows);
    }
    orthonormalise_in(rows, period_of(p, o), basis.v, stride, rows, count, 2 * count, ROUNDING,
                      p->coordinates, p->work);
    draw_columns(&p->b, VG_STREAM_BACKWARD, matrix_number(p, o), rows, count, column(&frame, count), stride);
    drop_columns(column(&frame, count), stride, rows, count, p->coordinates + count * count);
    orthonormalise(frame.v, stride, rows, count, 2 * count, RANDOM, NULL, p->work);
    product(frame.v, stride, 2 * count, (factors){p->coordinates, count, 1}, count, m, out->v, out->stride);
}

static void dense_transposed(pass *p, const vg_operation *o, const columns *delta, columns *out)
{
    int64_t n = o->rows, m = o->columns;
    int stored = has_matrix(p->b.plan, o);
    const V *w = matrix_of(p, o);
    stream s = open_stream(&p->b.keys, VG_STREAM_FORWARD, matrix_number(p, o));
    if (stored && !(o->flags & VG_SHARED)) make_matrix(p, o, matrix_number(p, o));
    zero_columns(out);
    for (int64_t i = 0; i < n && !cancelled(&p->b); i += ROWS_AT_ONCE) {
        int64_t rows = n - i < ROWS_AT_ONCE ? n - i : ROWS_AT_ONCE;
        if (!stored) {
            draw_rows(p, o, &s, i, rows);
            add_product(p->rows, stride_of(m), rows, (factors){delta->v + i, 1, delta->stride}, p->batch, m,
                        out->v, out->stride);
        }
        for (int64_t b = 0; b < p->batch && stored; b++) {
            V c[BAND_ROWS] = {{0}};
            for (int64_t k = 0; k < rows; k++) c[k] = column(delta, b)[i + k];
            add_band(w + i * m, m, c, column(out, b));
        }
    }
}

/* p->spare ← WᵀΔ, normalised. The matrix-free engine also leaves the coordinates of Δ in
   p->coordinates, and N in p->frame. */
static void weights_transposed(pass *p, const vg_operation *o, const operand *of, const V *z,
                               const columns *delta)
{
    columns *out = &p->spare;
    out->rows = o->columns;
    for (int64_t b = 0; b < p->batch; b++) out->exponent[b] = delta->exponent[b];
    if (!is_matrix_free(p->b.plan))
        dense_transposed(p, o, delta, out);
    else if (is_orthogonal(o))
        orthogonal_backward(p, o, of, z, delta, out);
    else
        gaussian_backward(p, o, of, z, delta, out);
    normalise_multiple(out, scaled_number(o->scale));
}

#endif
