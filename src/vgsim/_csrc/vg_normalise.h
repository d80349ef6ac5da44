/* Normalisation: Ĥ = (H − mean)/√(var + ε), with mean and biased variance of each unit over the batch, or of
   each example over the units; RMS normalisation leaves the mean out. With D the cotangent of Ĥ,

     Δ = (D − mean D − Ĥ mean(Ĥ D))/√(var + ε),   or where Ĥ has one degree of freedom only
     Δ = (D − mean D) ε/(var + ε)^{3/2}.

   H = v 2^E: var̂ is the variance of v and ε̂ = ε 2^-2c, with c = E cut to ±NORM_CUT. Below it ε is all that
   counts, Ĥ = H/√ε; above it nothing of ε is left but what keeps 0/0 away. */
#ifndef VG_NORMALISE_H
#define VG_NORMALISE_H

#include "vg_columns.h"

#if VG_BITS == 32
#define NORM_CUT 40
#else
#define NORM_CUT 400
#endif

/* What the backward pass needs: 1/√(var̂ + ε̂) of each unit and one E, or both of each example. */
typedef struct {
    V *inverse;
    I *exponent;
} deviations;

INLINE I cut_exponent(I e) { return imin(imax(e, splat_int(-NORM_CUT)), splat_int(NORM_CUT)); }

INLINE V scaled_epsilon(double epsilon, I e)
{
    I half = -cut_exponent(e);
    return (real)epsilon * power_of_two(half) * power_of_two(half);
}

/* The exponent of Ĥ. */
INLINE I normal_exponent(I e) { return imin(saturate(e) + NORM_CUT, splat_int(0)); }

/* The exponent of 1/√(var + ε). */
INLINE I inverse_exponent(I e) { return -imax(e, splat_int(-NORM_CUT)); }

/* The exponent that ε/(var + ε) has beside ε̂/(var̂ + ε̂). */
INLINE I share_exponent(I e)
{
    return 2 * (cut_exponent(e) - imin(imax(e, splat_int(-NORM_CUT)), splat_int(1 << 28)));
}

INLINE V total(const V *v, int64_t n)
{
    V sum[4] = {{0}};
    int64_t i = 0;
    for (; i + 4 <= n; i += 4)
#pragma GCC unroll 4
        for (int k = 0; k < 4; k++) sum[k] += v[i + k];
    for (int k = 0; i < n; i++, k++) sum[k] += v[i];
    return (sum[0] + sum[2]) + (sum[1] + sum[3]);
}

/* 2^e_b of Ĥ as a plain factor. */
INLINE V plain_size(I e) { return power_of_two(imin(imax(e, splat_int(-100)), splat_int(100))); }

static void normalise_over_batch(columns *h, double epsilon, deviations s, V *mean)
{
    int64_t n = h->rows, count = h->count;
    I e = common_exponent(h);
    V share = splat(1 / (double)count);
    for (int64_t i = 0; i < n; i++) mean[i] = s.inverse[i] = splat(0);
    for (int64_t b = 0; b < count; b++) {
        V *v = column(h, b), size = relative_size(h, b, e);
        for (int64_t i = 0; i < n; i++) {
            v[i] *= size;
            mean[i] += v[i] * share;
        }
    }
    for (int64_t b = 0; b < count; b++) {
        V *v = column(h, b);
        for (int64_t i = 0; i < n; i++) {
            v[i] -= mean[i];
            s.inverse[i] += v[i] * v[i];
        }
    }
    V epsilon_hat = scaled_epsilon(epsilon, e);
    for (int64_t i = 0; i < n; i++) s.inverse[i] = 1 / vsqrt(s.inverse[i] * share + epsilon_hat);
    for (int64_t b = 0; b < count; b++) {
        V *v = column(h, b), square = {0};
        for (int64_t i = 0; i < n; i++) {
            v[i] *= s.inverse[i];
            square += v[i] * v[i];
        }
        h->exponent[b] = normal_exponent(e);
        normalise_column(h, b, square);
    }
    s.exponent[0] = e;
}

/* d ← Δ, from Ĥ and its cotangent d. `mean` has room for 2 n. */
static void back_over_batch(const columns *h, columns *d, double epsilon, deviations s, V *mean)
{
    int64_t n = d->rows, count = d->count, one_degree = count == 2;
    I e = s.exponent[0], f = common_exponent(d);
    V share = splat(1 / (double)count), *along = mean + whole_quads(n);
    for (int64_t i = 0; i < n; i++) mean[i] = along[i] = splat(0);
    for (int64_t b = 0; b < count; b++) {
        V *v = column(d, b), size = relative_size(d, b, f), plain = plain_size(h->exponent[b]);
        const V *u = column(h, b);
        for (int64_t i = 0; i < n; i++) {
            v[i] *= size;
            mean[i] += v[i] * share;
            along[i] += v[i] * (u[i] * plain) * share;
        }
    }
    V epsilon_hat = scaled_epsilon(epsilon, e);
    for (int64_t b = 0; b < count; b++) {
        V *v = column(d, b), plain = plain_size(h->exponent[b]), square = {0};
        const V *u = column(h, b);
        for (int64_t i = 0; i < n; i++) {
            V w = s.inverse[i], centred = v[i] - mean[i];
            v[i] = one_degree ? centred * w * (epsilon_hat * (w * w)) : (centred - u[i] * plain * along[i]) * w;
            square += v[i] * v[i];
        }
        I shift = saturate(f + inverse_exponent(e));
        d->exponent[b] = one_degree ? saturate(shift + share_exponent(e)) : shift;
        normalise_column(d, b, square);
    }
}

static void normalise_over_units(columns *h, int centred, double epsilon, deviations s)
{
    int64_t n = h->rows;
    V share = splat(1 / (double)n);
    for (int64_t b = 0; b < h->count; b++) {
        V *v = column(h, b);
        I e = h->exponent[b];
        if (centred) {
            V mean = total(v, n) * share;
            for (int64_t i = 0; i < n; i++) v[i] -= mean;
        }
        V square = dot_product(v, v, n);
        V inverse = 1 / vsqrt(square * share + scaled_epsilon(epsilon, e));
        for (int64_t i = 0; i < n; i++) v[i] *= inverse;
        s.inverse[b] = inverse;
        s.exponent[b] = e;
        h->exponent[b] = normal_exponent(e);
        normalise_column(h, b, dot_product(v, v, n));
    }
}

static void back_over_units(const columns *h, columns *d, int centred, double epsilon, deviations s)
{
    int64_t n = d->rows, one_degree = n == (centred ? 2 : 1);
    V share = splat(1 / (double)n);
    for (int64_t b = 0; b < d->count; b++) {
        V *v = column(d, b), w = s.inverse[b], plain = plain_size(h->exponent[b]);
        const V *u = column(h, b);
        I e = s.exponent[b], shift = saturate(d->exponent[b] + inverse_exponent(e));
        V mean = centred ? total(v, n) * share : splat(0);
        V along = dot_product(u, v, n) * share * plain * plain;
        if (one_degree) {
            V factor = w * (scaled_epsilon(epsilon, e) * (w * w));
            for (int64_t i = 0; i < n; i++) v[i] = (v[i] - mean) * factor;
        } else
            for (int64_t i = 0; i < n; i++) v[i] = ((v[i] - mean) - u[i] * along) * w;
        d->exponent[b] = one_degree ? saturate(shift + share_exponent(e)) : shift;
        normalise_column(d, b, dot_product(v, v, n));
    }
}

/* h ← Ĥ. */
static void normalise(const vg_plan *plan, columns *h, deviations s, V *mean)
{
    if (plan->norm == VG_BATCH_NORM)
        normalise_over_batch(h, plan->norm_epsilon, s, mean);
    else
        normalise_over_units(h, plan->norm == VG_LAYER_NORM, plan->norm_epsilon, s);
}

/* d ← Δ. */
static void back_through_norm(const vg_plan *plan, const columns *h, columns *d, deviations s, V *mean)
{
    if (plan->norm == VG_BATCH_NORM)
        back_over_batch(h, d, plan->norm_epsilon, s, mean);
    else
        back_over_units(h, d, plan->norm == VG_LAYER_NORM, plan->norm_epsilon, s);
}

#endif
