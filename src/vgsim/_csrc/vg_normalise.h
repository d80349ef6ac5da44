/* Normalisation: Ĥ = (H − mean)/√(var + ε), with the mean and the biased variance of each unit over
   the batch, or of each example over the units; in RMS normalisation mean = 0. Let D be the
   cotangent of Ĥ minus its mean, and D = A + k Ĥ with A orthogonal to Ĥ. Then

     Δ = (A + k Ĥ ε/(var + ε))/√(var + ε).

   The mean and the component along Ĥ are subtracted twice, so that the rounding error is small
   relative to the remainder. With one degree of freedom, that is with two examples (two units; in
   RMS normalisation one unit), A = 0 and Δ = D ε/(var + ε)^{3/2}.

   H = v 2^E: var̂ is the variance of v and ε̂ = ε 2^-2c, with c = E clipped to ±NORM_CUT. Below
   −NORM_CUT var is negligible and Ĥ = H/√ε; above NORM_CUT ε is negligible, and ε̂ only prevents
   0/0. */
#ifndef VG_NORMALISE_H
#define VG_NORMALISE_H

#include "vg_columns.h"

#if VG_BITS == 32
#define NORM_CUT 40
#define ONE_LESS 0x1p-24f
#else
#define NORM_CUT 400
#define ONE_LESS 0x1p-53
#endif

/* For the backward pass: 1/√(var̂ + ε̂) of each unit and one E (batch), or both per example. */
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

/* ε/(var + ε) = share_of_one · 2^share_exponent. */
INLINE V share_of_one(double epsilon, V inverse, I e)
{
    I half = -imin(cut_exponent(e), splat_int(0));
    return (real)epsilon * power_of_two(half) * power_of_two(half) * (inverse * inverse);
}

INLINE I share_exponent(I e) { return -2 * imin(imax(e, splat_int(0)), splat_int(1 << 28)); }

/* ε/(var + ε) of example b. */
INLINE scaled share_of_epsilon(double epsilon, deviations s, int64_t b)
{
    return normalised(share_of_one(epsilon, s.inverse[b], s.exponent[b]), share_exponent(s.exponent[b]));
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

/* With one degree of freedom |ĥ| < 1. This must hold after rounding too: hard_tanh'(±1) = 0. */
INLINE V below_one(V v) { return with_sign(vmin(vabs(v), splat(1 - ONE_LESS)), v); }

static void normalise_over_batch(columns *h, double epsilon, deviations s, V *mean)
{
    int64_t n = h->rows, count = h->count;
    I e = common_exponent(h);
    V share = splat(1 / (double)count), *square = s.inverse, epsilon_hat = scaled_epsilon(epsilon, e);
    V *rest = mean + whole_quads(n), *first = rest; /* first: deviations of equal examples are exactly 0 */
    for (int64_t b = 0; b < count; b++) {
        V *v = column(h, b), size = relative_size(h, b, e);
        for (int64_t i = 0; i < n; i++) {
            if (b == 0) first[i] = v[i] * size;
            v[i] = v[i] * size - first[i];
            mean[i] = b ? mean[i] + v[i] * share : splat(0);
        }
    }
    for (int64_t b = 0; b < count; b++) {
        V *v = column(h, b);
        for (int64_t i = 0; i < n; i++) {
            v[i] -= mean[i];
            rest[i] = b ? rest[i] + v[i] * share : v[i] * share;
        }
    }
    for (int64_t b = 0; b < count; b++) {
        V *v = column(h, b);
        for (int64_t i = 0; i < n; i++) {
            v[i] -= rest[i];
            square[i] = b ? square[i] + v[i] * v[i] : v[i] * v[i];
        }
    }
    for (int64_t i = 0; i < n; i++) s.inverse[i] = 1 / vsqrt(square[i] * share + epsilon_hat);
    for (int64_t b = 0; b < count; b++) {
        V *v = column(h, b), sum = {0};
        for (int64_t i = 0; i < n; i++) {
            v[i] *= s.inverse[i];
            if (count == 2) v[i] = below_one(v[i]);
            sum += v[i] * v[i];
        }
        h->exponent[b] = normal_exponent(e);
        normalise_column(h, b, sum);
    }
    s.exponent[0] = e;
}

INLINE V over_or_none(V a, V b) { return choose(b > 0, a / b, splat(0)); }

/* The number of examples in the group of `leader`, or 0 if it is not a leader. group[b] is the
   leader of example b; its column has the sum of the cotangents of the group (vg_groups.h). */
INLINE V led_by(const I *group, int64_t count, int64_t leader)
{
    V size = {0};
    for (int64_t b = 0; b < count; b++) size += choose(group[b] == splat_int(leader), splat(1), splat(0));
    return size;
}

/* d ← Δ, from Ĥ and its cotangent d. group is NULL if all examples differ. `work` has room
   for 4 n vectors. */
INLINE void back_over_groups(const columns *h, columns *d, double epsilon, deviations s, V *work,
                             const I *group)
{
    int64_t n = d->rows, count = d->count, one_degree = count == 2, room = whole_quads(n);
    V *mean = work, *along = work + room, *square = work + 2 * room, *k = work + 3 * room;
    I e = s.exponent[0], f = common_exponent(d), of_h = common_exponent(h), of_sums = LOWEST, two = {0};
    V share = splat(1 / (double)count), epsilon_hat = scaled_epsilon(epsilon, e), leaders = {0},
      one = splat(1);
    for (int64_t b = 0; b < count && group; b++) {
        I leads = group[b] == splat_int(b);
        leaders += choose(leads, one, splat(0));
        of_sums = imax(of_sums, choose_int(leads, d->exponent[b], LOWEST));
        two = leaders == 2; /* with two different examples there is one degree of freedom */
    }
    for (int64_t i = 0; i < n; i++) square[i] = k[i] = splat(0);
    for (int64_t b = 0; b < count; b++) {
        I own = group ? choose_int(group[b] == splat_int(b), of_sums, f) : f;
        V *v = column(d, b), size = relative_size(d, b, own), plain = relative_size(h, b, of_h);
        const V *u = column(h, b);
        for (int64_t i = 0; i < n; i++) {
            v[i] *= size;
            square[i] += (u[i] * plain) * (u[i] * plain);
        }
    }
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t i = 0; i < n; i++) mean[i] = along[i] = splat(0);
        for (int64_t b = 0; b < count; b++) {
            const V *v = column(d, b), *u = column(h, b);
            V plain = relative_size(h, b, of_h), part = share;
            if (group) {
                I leads = group[b] == splat_int(b);
                plain = choose(leads, plain, splat(0));
                part = choose(leads, part, splat(0));
            }
            for (int64_t i = 0; i < n; i++) {
                mean[i] += v[i] * part;
                along[i] += v[i] * (u[i] * plain);
            }
        }
        for (int64_t i = 0; i < n; i++) {
            along[i] = one_degree ? splat(0) : over_or_none(along[i], square[i]);
            k[i] += along[i];
        }
        for (int64_t b = 0; b < count; b++) {
            V *v = column(d, b), plain = relative_size(h, b, of_h),
              size = group ? led_by(group, count, b) : one;
            const V *u = column(h, b);
            if (group) plain *= choose(two, splat(0), size);
            for (int64_t i = 0; i < n; i++)
                v[i] = (v[i] - (group ? mean[i] * size : mean[i])) - u[i] * plain * along[i];
        }
    }
    for (int64_t b = 0; b < count; b++) {
        V *v = column(d, b), plain = relative_size(h, b, of_h), sum = {0};
        const V *u = column(h, b);
        I leads = group ? group[b] == splat_int(b) : splat_int(-1);
        I alone = one_degree ? splat_int(-1) : two & leads, own = group ? choose_int(leads, of_sums, f) : f;
        if (group) plain *= led_by(group, count, b);
        for (int64_t i = 0; i < n; i++) {
            V w = s.inverse[i], of_one = v[i];
            if (one_degree || group) of_one *= share_of_one(epsilon, w, e) * w;
            if (!one_degree) v[i] = (v[i] + u[i] * plain * (k[i] * (epsilon_hat * (w * w)))) * w;
            if (one_degree || group) v[i] = choose(alone, of_one, v[i]);
            sum += v[i] * v[i];
        }
        I shift = saturate(own + inverse_exponent(e));
        d->exponent[b] = choose_int(alone, saturate(shift + share_exponent(e)), shift);
        normalise_column(d, b, sum);
    }
}

static void back_over_batch(const columns *h, columns *d, double epsilon, deviations s, V *work,
                            const I *group)
{
    if (group)
        back_over_groups(h, d, epsilon, s, work, group);
    else
        back_over_groups(h, d, epsilon, s, work, NULL);
}

INLINE void subtract(V *v, V mean, int64_t n)
{
    for (int64_t i = 0; i < n; i++) v[i] -= mean;
}

static void normalise_over_units(columns *h, int centred, double epsilon, deviations s)
{
    int64_t n = h->rows;
    V share = splat(1 / (double)n);
    for (int64_t b = 0; b < h->count; b++) {
        V *v = column(h, b);
        I e = h->exponent[b];
        for (int pass = 0; pass < 2 && centred; pass++) subtract(v, total(v, n) * share, n);
        V square = dot_product(v, v, n);
        V inverse = 1 / vsqrt(square * share + scaled_epsilon(epsilon, e));
        for (int64_t i = 0; i < n; i++) v[i] *= inverse;
        for (int64_t i = 0; i < n && n == (centred ? 2 : 1); i++) v[i] = below_one(v[i]);
        s.inverse[b] = inverse;
        s.exponent[b] = e;
        h->exponent[b] = normal_exponent(e);
        normalise_column(h, b, square * inverse * inverse);
    }
}

static void back_over_units(const columns *h, columns *d, int centred, double epsilon, deviations s)
{
    int64_t n = d->rows, one_degree = n == (centred ? 2 : 1);
    V share = splat(1 / (double)n);
    for (int64_t b = 0; b < d->count; b++) {
        V *v = column(d, b), w = s.inverse[b], k = {0};
        const V *u = column(h, b);
        I e = s.exponent[b], shift = saturate(d->exponent[b] + inverse_exponent(e));
        V part = scaled_epsilon(epsilon, e) * (w * w), square = dot_product(u, u, n);
        for (int pass = 0; pass < 2; pass++) {
            if (centred) subtract(v, total(v, n) * share, n);
            if (one_degree) continue;
            V along = over_or_none(dot_product(u, v, n), square);
            for (int64_t i = 0; i < n; i++) v[i] -= u[i] * along;
            k += along;
        }
        V alone = share_of_one(epsilon, w, e);
        for (int64_t i = 0; i < n; i++) v[i] = (one_degree ? v[i] * alone : v[i] + u[i] * (k * part)) * w;
        d->exponent[b] = one_degree ? saturate(shift + share_exponent(e)) : shift;
        normalise_column(d, b, dot_product(v, v, n));
    }
}

/* h ← Ĥ. */
static void normalise(int kind, double epsilon, columns *h, deviations s, V *mean)
{
    if (kind == VG_BATCH_NORM)
        normalise_over_batch(h, epsilon, s, mean);
    else
        normalise_over_units(h, kind == VG_LAYER_NORM, epsilon, s);
}

/* d ← Δ. */
static void back_through_norm(int kind, double epsilon, const columns *h, columns *d, deviations s, V *mean,
                              const I *group)
{
    if (kind == VG_BATCH_NORM)
        back_over_batch(h, d, epsilon, s, mean, group);
    else
        back_over_units(h, d, kind == VG_LAYER_NORM, epsilon, s);
}

#endif
