/* Equal examples under batch normalisation (docs/law.md). Examples with no open unit in a layer are
   equal in all later layers, and only the sum of their cotangents affects the layers below. If all
   but one example are equal, normalisation makes this sum very small although its terms are not.
   Therefore each group of equal examples has a leader, its last example. The leader's column holds
   the sum of the group's cotangents, and the other columns hold their deviations from the mean of
   the group. */
#ifndef VG_GROUPS_H
#define VG_GROUPS_H

#include "vg_normalise.h"
#include "vg_pass.h"

static void no_groups(const vg_plan *plan, I *group)
{
    for (int64_t b = 0; b < plan->batch; b++) group[b] = splat_int(b);
}

static void copy_groups(const vg_plan *plan, I *to, const I *from)
{
    for (int64_t b = 0; b < plan->batch; b++) to[b] = from[b];
}

/* group ← the current groups; returns whether some columns are equal. */
static int note_groups(const pass *p, I *group)
{
    I some = {0};
    for (int64_t b = 0; b < p->b.plan->batch; b++) {
        group[b] = p->group[b];
        some |= group[b] != splat_int(b);
    }
    return any(some);
}

/* The groups of the columns of x: the previous groups, and the group of columns that are 0. */
static int find_groups(pass *p, const columns *x, I *group)
{
    const vg_plan *plan = p->b.plan;
    I last = {0};
    for (int64_t b = 0; b < plan->batch; b++) last = choose_int(x->exponent[b] == LOWEST, splat_int(b), last);
    for (int64_t b = 0; b < plan->batch; b++)
        p->group[b] = choose_int(x->exponent[b] == LOWEST, last, p->group[b]);
    return note_groups(p, group);
}

/* h of each example ← h of its leader, so that equal examples agree in every bit. Their tangents may
   differ. */
static void equalise(const I *group, columns *h)
{
    for (int64_t b = 0; b < h->count; b++)
        for (int64_t c = b + 1; c < h->count; c++) {
            I led = group[b] == splat_int(c);
            if (!any(led)) continue;
            V *v = column(h, b);
            const V *u = column(h, c);
            for (int64_t i = 0; i < h->rows; i++) v[i] = choose(led, u[i], v[i]);
            h->exponent[b] = choose_int(led, h->exponent[c], h->exponent[b]);
        }
}

/* x_b ← x_b + factor x_c in the samples of the mask `led`. */
static void add_multiple(columns *x, int64_t b, int64_t c, I led, V factor)
{
    if (!any(led)) return;
    I e = imax(x->exponent[b], choose_int(led, x->exponent[c], LOWEST));
    V *v = column(x, b), f = relative_size(x, b, e), g = factor * relative_size(x, c, e), square = {0};
    const V *u = column(x, c);
    for (int64_t i = 0; i < x->rows; i++) {
        v[i] = choose(led, f * v[i] + g * u[i], v[i]);
        square += v[i] * v[i];
    }
    x->exponent[b] = e;
    normalise_column(x, b, choose(led | (e == LOWEST), square, splat(1)));
}

static void add_to_leaders(columns *x, const I *group, V sign)
{
    for (int64_t c = 1; c < x->count; c++)
        for (int64_t b = 0; b < c; b++) add_multiple(x, c, b, group[b] == splat_int(c), sign);
}

static void add_means(columns *x, const I *group, V sign)
{
    for (int64_t c = 1; c < x->count; c++)
        for (int64_t b = 0; b < c; b++)
            add_multiple(x, b, c, group[b] == splat_int(c),
                         sign / vmax(led_by(group, x->count, c), splat(1)));
}

/* Cotangents ← sums and deviations. */
static void gather(columns *x, const I *group)
{
    add_to_leaders(x, group, splat(1));
    add_means(x, group, splat(-1));
}

/* Sums and deviations ← cotangents: the inverse of gather. */
static void spread(columns *x, const I *group)
{
    add_means(x, group, splat(1));
    add_to_leaders(x, group, splat(-1));
}

#endif
