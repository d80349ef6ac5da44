/* A batch of vectors, one column per example, each with its own exponent: x_b = v_b 2^e_b.
   Normalised means 1 ≤ ‖v_b‖ < 2 up to rounding, or v_b = 0 and e_b = LOWEST. */
#ifndef VG_COLUMNS_H
#define VG_COLUMNS_H

#include "vg_matrix.h"

typedef struct {
    V *v;
    I *exponent;
    int64_t rows, stride, count;
} columns;

#if VG_BITS == 32
#define EPSILON 0x1p-23f
#else
#define EPSILON 0x1p-52
#endif

#define LOWEST splat_int(-EXPONENT_LIMIT)

/* The exponent e of a nonzero column, saturated and above LOWEST. */
INLINE I above_lowest(I e) { return imax(saturate(e), LOWEST + 1); }

/* The exponent of a product: LOWEST if a factor is 0. */
INLINE I product_exponent(I a, I b)
{
    return choose_int((a == LOWEST) | (b == LOWEST), LOWEST, saturate(a + b));
}

/* 2^e for e ≤ 0, and 0 for e < FAR_BELOW: added to a number of size 1, it would change nothing. */
#define FAR_BELOW (-(int)(EXP2_LIMIT * 0.8))

INLINE V beside(I e) { return choose(e < FAR_BELOW, splat(0), power_of_two(imax(e, splat_int(FAR_BELOW)))); }

/* 2^e as a plain factor, with e clipped to ±100. */
INLINE V plain_size(I e) { return power_of_two(imin(imax(e, splat_int(-100)), splat_int(100))); }

INLINE I exponent_or_lowest(scaled a) { return choose_int(a.value != 0, a.exponent, LOWEST); }

INLINE V *column(const columns *x, int64_t b) { return x->v + b * x->stride; }

/* x as a scaled number whose value may be negative. */
INLINE scaled signed_number(double x)
{
    scaled a = scaled_number(x < 0 ? -x : x);
    if (x < 0) a.value = -a.value;
    return a;
}

/* x 2^e for x of either sign. */
INLINE scaled signed_normalised(V x, I e)
{
    scaled a = normalised(vabs(x), e);
    return (scaled){with_sign(a.value, x), a.exponent};
}

/* v_b ← factor v_b 2^-k, e_b ← e_b + k so that v_b is normalised, where Σ v_b² = square. */
INLINE void normalise_times(columns *x, int64_t b, V square, V factor)
{
    scaled size = normalised(vsqrt(square) * vabs(factor), splat_int(0));
    V *v = column(x, b), by = choose(size.value > 0, factor * power_of_two(-size.exponent), splat(0));
    if (any(by != 1))
        for (int64_t i = 0; i < x->rows; i++) v[i] *= by;
    x->exponent[b] = choose_int(size.value > 0, above_lowest(x->exponent[b] + size.exponent), LOWEST);
}

INLINE void normalise_column(columns *x, int64_t b, V square) { normalise_times(x, b, square, splat(1)); }

/* Normalises a column in the samples `some`; in the others it is normalised already. */
INLINE void normalise_some(columns *x, int64_t b, I some, V square)
{
    normalise_column(x, b, choose(some | (x->exponent[b] == LOWEST), square, splat(1)));
}

INLINE V square_of(const columns *x, int64_t b) { return dot_product(column(x, b), column(x, b), x->rows); }

INLINE void normalise_columns(columns *x)
{
    for (int64_t b = 0; b < x->count; b++) normalise_column(x, b, square_of(x, b));
}

/* x ← a x, normalised. */
static void normalise_multiple(columns *x, scaled a)
{
    for (int64_t b = 0; b < x->count; b++) {
        x->exponent[b] = saturate(x->exponent[b] + a.exponent);
        normalise_times(x, b, square_of(x, b), a.value);
    }
}

INLINE void copy(V *to, const V *from, int64_t n) { __builtin_memcpy(to, from, (size_t)n * sizeof(V)); }

static void copy_columns(columns *to, const columns *from)
{
    to->rows = from->rows;
    for (int64_t b = 0; b < from->count; b++) {
        copy(column(to, b), column(from, b), from->rows);
        to->exponent[b] = from->exponent[b];
    }
}

/* The largest exponent of all columns. */
INLINE I common_exponent(const columns *x)
{
    I e = LOWEST;
    for (int64_t b = 0; b < x->count; b++) e = imax(e, x->exponent[b]);
    return e;
}

/* 2^(e_b − E), the factor of column b under the common exponent E. */
INLINE V relative_size(const columns *x, int64_t b, I exponent) { return beside(x->exponent[b] - exponent); }

/* The Frobenius norm. */
static scaled norm_of_columns(const columns *x)
{
    I e = common_exponent(x);
    V total = {0};
    for (int64_t b = 0; b < x->count; b++) {
        V size = relative_size(x, b, e);
        total += square_of(x, b) * (size * size);
    }
    return root(total, e);
}

/* √(a² + b²) */
static scaled hypotenuse(scaled a, scaled b)
{
    I e = imax(exponent_or_lowest(a), exponent_or_lowest(b));
    V u = a.value * beside(exponent_or_lowest(a) - e), v = b.value * beside(exponent_or_lowest(b) - e);
    return root(u * u + v * v, e);
}

/* out ← a x + c y, normalised; out may be x or y. */
static void add_scaled(columns *out, scaled a, const columns *x, scaled c, const columns *y)
{
    out->rows = x->rows;
    for (int64_t b = 0; b < x->count; b++) {
        I e_x = product_exponent(exponent_or_lowest(a), x->exponent[b]);
        I e_y = product_exponent(exponent_or_lowest(c), y->exponent[b]), e = imax(e_x, e_y);
        V f = a.value * beside(e_x - e);
        V g = c.value * beside(e_y - e);
        const V *u = column(x, b), *w = column(y, b);
        V *v = column(out, b), square = {0};
        for (int64_t i = 0; i < x->rows; i++) {
            V sum = f * u[i] + g * w[i];
            v[i] = sum;
            square += sum * sum;
        }
        out->exponent[b] = e;
        normalise_column(out, b, square);
    }
}

/* x ← a x, not normalised: ‖v_b‖ < 4. */
static void scale_columns(columns *x, scaled a)
{
    for (int64_t b = 0; b < x->count; b++) {
        V *v = column(x, b);
        if (any(a.value != 1))
            for (int64_t i = 0; i < x->rows; i++) v[i] *= a.value;
        x->exponent[b] = choose_int((a.value != 0) & (x->exponent[b] != LOWEST),
                                    above_lowest(x->exponent[b] + a.exponent), LOWEST);
    }
}

/* The mean cosine over the pairs of nonzero columns; 0 if there are none. With unit columns u_b,
   Σ_{b≠c} u_b · u_c = ‖Σ u_b‖² − Σ ‖u_b‖². `sum` has room for a column. */
static V mean_cosine(const columns *x, V *sum)
{
    V count = splat(0);
    for (int64_t i = 0; i < x->rows; i++) sum[i] = splat(0);
    for (int64_t b = 0; b < x->count; b++) {
        const V *v = column(x, b);
        V square = square_of(x, b), inverse = choose(square > 0, 1 / vsqrt(square), splat(0));
        count += choose(square > 0, splat(1), splat(0));
        for (int64_t i = 0; i < x->rows; i++) sum[i] += v[i] * inverse;
    }
    V pairs = count * (count - 1), total = dot_product(sum, sum, x->rows) - count;
    V mean = total / choose(pairs > 0, pairs, splat(1));
    return choose(pairs > 0, vmin(vmax(mean, splat(-1)), splat(1)), splat(0));
}

#endif
