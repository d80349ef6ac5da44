/* Linear algebra on lanes: every element is a vector, with one matrix per lane. A matrix is stored
   by columns, column b at v + b · stride. The order of each sum depends on the shapes only, so
   results do not depend on the size of the tiles.

   Rows beyond the last one, up to a whole quad, may have any values: no result depends on them. */
#ifndef VG_MATRIX_H
#define VG_MATRIX_H

#include "vg_block.h"

#if VG_BYTES == 64
#define TILE 4 /* 16 sums; there are 32 registers */
#else
#define TILE 2 /* 8 sums; there are 16 registers */
#endif

/* Whole quads, but no multiple of 8 vectors, so that columns do not fall into the same sets of the
   cache. */
INLINE int64_t stride_of(int64_t rows) { return whole_quads(rows) | 4; }

/* a · b in four partial sums. */
INLINE V dot_product(const V *a, const V *b, int64_t n)
{
    V sum[4] = {{0}};
    int64_t i = 0;
    for (; i + 4 <= n; i += 4)
#pragma GCC unroll 4
        for (int k = 0; k < 4; k++) sum[k] += a[i + k] * b[i + k];
    for (int k = 0; i < n; i++, k++) sum[k] += a[i] * b[i];
    return (sum[0] + sum[2]) + (sum[1] + sum[3]);
}

/* out(j, k) ← a_j · b_k for p × q columns, added to out(j, k) if `more`; p q ≤ 16. */
INLINE void inner_tile(const V *a, int64_t a_stride, int p, const V *b, int64_t b_stride, int q, int64_t n,
                       int more, V *out, int64_t out_stride)
{
    V sum[16] = {{0}};
    if (more)
#pragma GCC unroll 8
        for (int j = 0; j < p; j++)
#pragma GCC unroll 4
            for (int k = 0; k < q; k++) sum[j * q + k] = out[j * out_stride + k];
    for (int64_t i = 0; i < n; i++)
#pragma GCC unroll 8
        for (int j = 0; j < p; j++)
#pragma GCC unroll 4
            for (int k = 0; k < q; k++) sum[j * q + k] += a[j * a_stride + i] * b[k * b_stride + i];
#pragma GCC unroll 8
    for (int j = 0; j < p; j++)
#pragma GCC unroll 4
        for (int k = 0; k < q; k++) out[j * out_stride + k] = sum[j * q + k];
}

INLINE void inner_tiles(const V *a, int64_t a_stride, int64_t p, const V *b, int64_t b_stride, int q,
                        int64_t n, int more, V *out, int64_t out_stride)
{
    int64_t j = 0;
    for (; j + 4 <= p; j += 4)
        inner_tile(a + j * a_stride, a_stride, 4, b, b_stride, q, n, more, out + j * out_stride, out_stride);
    for (; j + 2 <= p; j += 2)
        inner_tile(a + j * a_stride, a_stride, 2, b, b_stride, q, n, more, out + j * out_stride, out_stride);
    for (; j < p; j++)
        inner_tile(a + j * a_stride, a_stride, 1, b, b_stride, q, n, more, out + j * out_stride, out_stride);
}

#define ROWS 64 /* of the columns of a tile, few enough for the L1 cache */

/* out ← AᵀB: A has p columns, B has q; out(j, k) at j · out_stride + k. */
static void inner(const V *a, int64_t a_stride, int64_t p, const V *b, int64_t b_stride, int64_t q, int64_t n,
                  V *out, int64_t out_stride)
{
    if (p == 1 && q == 1) {
        *out = dot_product(a, b, n);
        return;
    }
    for (int64_t i = 0, k; i < n; i += ROWS) {
        int64_t rows = n - i < ROWS ? n - i : ROWS;
        for (k = 0; k + TILE <= q; k += TILE)
            inner_tiles(a + i, a_stride, p, b + i + k * b_stride, b_stride, TILE, rows, i > 0, out + k,
                        out_stride);
        for (; TILE > 2 && k + 2 <= q; k += 2)
            inner_tiles(a + i, a_stride, p, b + i + k * b_stride, b_stride, 2, rows, i > 0, out + k,
                        out_stride);
    }
    if (q % 2 == 0) return;
    const V *last = b + (q - 1) * b_stride;
    int64_t j = 0;
    for (; j + 8 <= p; j += 8)
        inner_tile(a + j * a_stride, a_stride, 8, last, 0, 1, n, 0, out + j * out_stride + q - 1, out_stride);
    for (; j + 4 <= p; j += 4)
        inner_tile(a + j * a_stride, a_stride, 4, last, 0, 1, n, 0, out + j * out_stride + q - 1, out_stride);
    for (; j < p; j++)
        inner_tile(a + j * a_stride, a_stride, 1, last, 0, 1, n, 0, out + j * out_stride + q - 1, out_stride);
}

/* The factors of A's columns: c(j, k) at j · row + k · column. */
typedef struct {
    const V *v;
    int64_t row, column;
} factors;

INLINE void add_tile(const V *a, int64_t a_stride, int64_t p, factors c, V sign, int q, int more, V *out,
                     int64_t out_stride)
{
    V sum[4 * TILE] = {{0}};
    if (more)
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++)
#pragma GCC unroll 4
            for (int k = 0; k < q; k++) sum[i * TILE + k] = out[k * out_stride + i];
    for (int64_t j = 0; j < p; j++) {
#pragma GCC unroll 4
        for (int k = 0; k < q; k++) {
            V factor = (V)((U)c.v[j * c.row + k * c.column] ^ (U)sign);
#pragma GCC unroll 4
            for (int i = 0; i < 4; i++) sum[i * TILE + k] += a[j * a_stride + i] * factor;
        }
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++)
#pragma GCC unroll 4
        for (int k = 0; k < q; k++) out[k * out_stride + i] = sum[i * TILE + k];
}

/* out ← Σ_j a_j c_j over `count` columns of A, plus the old out if `more`. */
INLINE void add_some_columns(const V *a, int64_t a_stride, int count, factors c, V sign, int more, int64_t n,
                             V *out)
{
    V factor[8];
#pragma GCC unroll 8
    for (int k = 0; k < count; k++) factor[k] = (V)((U)c.v[k * c.row] ^ (U)sign);
    for (int64_t i = 0; i < n; i++) {
        V sum = {0};
        if (more) sum = out[i];
#pragma GCC unroll 8
        for (int k = 0; k < count; k++) sum += a[k * a_stride + i] * factor[k];
        out[i] = sum;
    }
}

INLINE void add_columns(const V *a, int64_t a_stride, int64_t p, factors c, V sign, int more, int64_t n,
                        V *out)
{
    int64_t j = 0;
#define NEXT(count)                                                                                 \
    add_some_columns(a + j * a_stride, a_stride, count, (factors){c.v + j * c.row, c.row, 0}, sign, \
                     more || j, n, out)
    for (; j + 8 <= p; j += 8) NEXT(8);
    for (; j + 4 <= p; j += 4) NEXT(4);
    for (; j < p; j++) NEXT(1);
#undef NEXT
}

#define BAND 16 /* rows of A that stay in the L1 cache for all columns of C */

INLINE void any_product(const V *a, int64_t a_stride, int64_t p, factors c, U sign, int more, int64_t q,
                        int64_t n, V *out, int64_t out_stride)
{
    int64_t whole = q / TILE * TILE;
    V s = (V)sign;
    for (int64_t band = 0; band < n; band += BAND)
        for (int64_t k = 0; k < whole; k += TILE)
            for (int64_t i = band; i < band + BAND && i < n; i += 4)
                add_tile(a + i, a_stride, p, (factors){c.v + k * c.column, c.row, c.column}, s, TILE, more,
                         out + k * out_stride + i, out_stride);
    for (int64_t k = whole; k < q; k++)
        add_columns(a, a_stride, p, (factors){c.v + k * c.column, c.row, c.column}, s, more, n,
                    out + k * out_stride);
}

/* out ← A C, exactly n rows; add_product reads and writes whole quads of rows. */
static void product_of_rows(const V *a, int64_t a_stride, int64_t p, factors c, int more, int64_t q,
                            int64_t n, V *out, int64_t out_stride)
{
    for (int64_t k = 0; k < q; k++)
        add_columns(a, a_stride, p, (factors){c.v + k * c.column, c.row, c.column}, splat(0), more, n,
                    out + k * out_stride);
}

/* out ← A C: A has p > 0 columns of n rows, C and out have q columns. Reads and writes whole quads of
   rows. */
static void product(const V *a, int64_t a_stride, int64_t p, factors c, int64_t q, int64_t n, V *out,
                    int64_t out_stride)
{
    any_product(a, a_stride, p, c, (U){0}, 0, q, n, out, out_stride);
}

/* out ← out + A C */
static void add_product(const V *a, int64_t a_stride, int64_t p, factors c, int64_t q, int64_t n, V *out,
                        int64_t out_stride)
{
    any_product(a, a_stride, p, c, (U){0}, 1, q, n, out, out_stride);
}

/* out ← out − A C */
static void subtract_product(const V *a, int64_t a_stride, int64_t p, factors c, int64_t q, int64_t n, V *out,
                             int64_t out_stride)
{
    any_product(a, a_stride, p, c, SIGN_BIT, 1, q, n, out, out_stride);
}

/* A matrix that is used many times is stored in bands of 8 rows, with w(i, j) at
   (i − i % 8) m + 8 j + i % 8, so that it is read sequentially. The last band is
   filled up with rows of zeros. */
#define BAND_ROWS 8

INLINE int64_t band_size(int64_t n, int64_t m) { return (n + BAND_ROWS - 1) / BAND_ROWS * BAND_ROWS * m; }

/* out ← the products of a band's rows with x. */
static void band_products(const V *w, int64_t m, const V *x, V out[BAND_ROWS])
{
    V sum[BAND_ROWS] = {{0}};
    for (int64_t j = 0; j < m; j++, w += BAND_ROWS)
#pragma GCC unroll 8
        for (int k = 0; k < BAND_ROWS; k++) sum[k] += w[k] * x[j];
#pragma GCC unroll 8
    for (int k = 0; k < BAND_ROWS; k++) out[k] = sum[k];
}

/* out ← out + the band's rows times c_0 … c_7. */
static void add_band(const V *w, int64_t m, const V *c, V *restrict out)
{
    V f[BAND_ROWS];
#pragma GCC unroll 8
    for (int k = 0; k < BAND_ROWS; k++) f[k] = c[k];
    for (int64_t j = 0; j < m; j++, w += BAND_ROWS)
        out[j] += ((w[0] * f[0] + w[1] * f[1]) + (w[2] * f[2] + w[3] * f[3])) +
                  ((w[4] * f[4] + w[5] * f[5]) + (w[6] * f[6] + w[7] * f[7]));
}

#define PANEL 4

/* Tolerances: a column whose residual is below ROUNDING times its norm is only rounding error.
   Random columns are independent, so none of them is dropped. */
#if VG_BITS == 32
#define ROUNDING 0x1p-20f /* 8 ε */
#else
#define ROUNDING 0x1p-49
#endif
#define RANDOM 0

/* v ← v − A Aᵀv and c ← c + Aᵀv in the samples `chosen`; A has p columns. */
static void sweep(const V *a, int64_t stride, int64_t p, int64_t n, I chosen, V *v, V *c, V *more)
{
    if (!p) return;
    inner(a, stride, p, v, stride, 1, n, more, 1);
    for (int64_t j = 0; j < p; j++) {
        more[j] = choose(chosen, more[j], splat(0));
        c[j * PANEL] += more[j];
    }
    add_columns(a, stride, p, (factors){more, 1, 0}, (V)SIGN_BIT, 1, n, v);
}

#define ENOUGH ((real)0.125) /* one sweep does if the residual is a larger part of the norm */

/* Orthonormalises the columns `from` … `to` − 1 of q against each other and against the earlier
   columns, which are orthonormal or zero: X = Q R, with r(j, b − from) at
   j · (to − from) + b − from unless r is NULL. A column whose residual is less than
   ENOUGH times its norm is swept twice. If the residual then is at most `tolerance` ‖x‖, or if the
   rank has reached `dimension`, the column is dropped: q and its row of R are 0 (docs/law.md). So
   is the last of every `period` columns, if that is not 0 and the others of them have been kept:
   they are known to be dependent.
   `work` has room for 2 PANEL (to + 1) vectors. */
static void orthonormalise_in(int64_t dimension, int64_t period, V *q, int64_t stride, int64_t n,
                              int64_t from, int64_t to, real tolerance, V *r, V *work)
{
    V *c = work, *more = work + PANEL * to, rank = splat(0), one = splat(1), none = splat(0);
    V kept = none; /* of the present `period` columns */
    for (int64_t k = 0; k < from && to > dimension; k++)
        rank += choose(dot_product(q + k * stride, q + k * stride, n) > 0, one, none);
    for (int64_t begin = from; begin < to; begin += PANEL) {
        int64_t w = to - begin < PANEL ? to - begin : PANEL;
        V *panel = q + begin * stride, size[PANEL];
        for (int64_t b = 0; b < w; b++)
            size[b] = vsqrt(dot_product(panel + b * stride, panel + b * stride, n));
        for (int64_t j = 0; j < PANEL * to; j++) c[j] = splat(0);
        if (begin) {
            inner(q, stride, begin, panel, stride, w, n, c, PANEL);
            subtract_product(q, stride, begin, (factors){c, PANEL, 1}, w, n, panel, stride);
        }
        for (int64_t b = 0; b < w; b++) {
            V *v = panel + b * stride;
            sweep(panel, stride, b, n, splat_int(-1), v, c + begin * PANEL + b, more);
            V norm = begin + b ? vsqrt(dot_product(v, v, n)) : size[0];
            I again = norm < size[b] * ENOUGH;
            if (any(again)) {
                sweep(q, stride, begin + b, n, again, v, c + b, more);
                norm = vsqrt(dot_product(v, v, n));
            }
            I keeps = (norm > size[b] * tolerance) & (rank < splat((double)dimension));
            int64_t place = period ? (begin + b - from + 1) % period : 1;
            if (!place) keeps &= kept < splat((double)(period - 1));
            norm = choose(keeps, norm, none);
            rank += choose(norm > 0, one, none);
            kept = place ? kept + choose(norm > 0, one, none) : none;
            V inverse = choose(norm > 0, 1 / norm, none);
            for (int64_t i = 0; i < n; i++) v[i] *= inverse;
            c[(begin + b) * PANEL + b] = norm;
            for (int64_t j = 0; j < to && r; j++) r[j * (to - from) + begin + b - from] = c[j * PANEL + b];
        }
    }
}

static void orthonormalise(V *q, int64_t stride, int64_t n, int64_t from, int64_t to, real tolerance, V *r,
                           V *work)
{
    orthonormalise_in(n, 0, q, stride, n, from, to, tolerance, r, work);
}

#endif
