/* The component of the cotangent along X, under layer and RMS normalisation (docs/law.md). If layer
   l + 1 normalises W x without a bias, its output hardly depends on the norm of x:

     G_l · X_l = Δ_{l+1} · H_{l+1} = (D_{l+1} · Ĥ_{l+1}) ε/(var + ε)

   for each example, with D the cotangent of Ĥ. This is much smaller than ‖G_l‖ ‖X_l‖, so a sum of
   its terms would be rounding error. If φ is of degree one, D_l · Ĥ_l = G_l · X_l, and G_l · X_l is
   computed from the output down as a product. It is needed where D_l has no other component: if
   only unit i is open, D_l = (G_l · X_l)/ĥ_i e_i; if a layer has one unit, G_l = (G_l · X_l)/x. */
#ifndef VG_ALONG_H
#define VG_ALONG_H

#include "vg_loss.h"

#define MOST_UNITS 48 /* in wider layers the probability n 2^-n of one open unit is negligible */

INLINE int has_narrow_layers(const vg_plan *plan)
{
    for (int64_t l = 0; l <= plan->depth; l++)
        if (plan->widths[l] <= MOST_UNITS) return 1;
    return 0;
}

/* Whether G_l · X_l, l = `index`, can be computed from layer l + 1: its operand must have no other
   use, except as the input of a residual block of style "post". With "pre", X_l stands for the
   operand of W_l. */
static int is_scale_free(const vg_plan *plan, int64_t index)
{
    int pre = plan->skip == VG_PRE, post = plan->skip == VG_POST && index > 0;
    if (plan->norm != VG_LAYER_NORM && plan->norm != VG_RMS_NORM) return 0;
    if (plan->skip == VG_HIGHWAY || plan->clip == VG_CLIP_VALUE) return 0;
    if (index < pre || index == plan->depth) return 0;
    return (post || !block_begins(plan, index + 1)) && !is_bare(plan, index + 1) &&
           plan->bias_scale[pre ? index : index + 1] == 0;
}

INLINE int is_of_degree_one(const pass *p) { return p->b.phi->kind == HOMOGENEOUS && !p->b.phi->has_tail; }

/* Whether φ acts on Ĥ itself. */
INLINE int takes_normal(const vg_plan *plan, int64_t index)
{
    return plan->skip != VG_POST || !block_ends(plan, index);
}

/* Whether a layer has two units, Ĥ = (ĥ, −ĥ), below a layer of another width, and φ is odd or of
   degree one: then G · X determines D as well. */
static int is_pair(const pass *p, int64_t index)
{
    const vg_plan *plan = p->b.plan;
    if (plan->norm != VG_LAYER_NORM || plan->widths[index] != 2 || !takes_normal(plan, index)) return 0;
    if (index == plan->depth || plan->widths[index + 1] == 2) return 0;
    return is_scale_free(plan, index) && (is_of_degree_one(p) || p->b.phi->kind == SATURATING);
}

/* p->along ← G_{index−1} · X_{index−1}, where d is the cotangent of Ĥ of layer `index`. */
static void find_along(pass *p, int64_t index, const step *t, const columns *d)
{
    const vg_plan *plan = p->b.plan;
    int known = is_of_degree_one(p) && is_scale_free(plan, index) && takes_normal(plan, index);
    if (!p->is_narrow || !is_scale_free(plan, index - 1)) return;
    if (!is_of_degree_one(p) && plan->widths[index - 1] > 2) return;
    for (int64_t b = 0; b < p->batch; b++) {
        scaled product = p->along[b], share = share_of_epsilon(plan->norm_epsilon, t->deviation, b);
        if (!known)
            product = signed_normalised(dot_product(column(&t->h, b), column(d, b), d->rows),
                                        saturate(t->h.exponent[b] + d->exponent[b]));
        p->along[b] = signed_normalised(product.value * share.value, product.exponent + share.exponent);
    }
}

#define ALL_BUT_SHUT ((real)0x1p-12) /* relative to the steepest slope */

/* Column b of d ← (G·X)/ĥ_i e_i in the samples in which only unit i is open, with φ' in p->b.d.
   With a leaky slope close to 0 the other units keep their small components, and
   d_i = (G·X − Σ_{j≠i} d_j ĥ_j)/ĥ_i. */
static void lone_unit(pass *p, const step *t, int64_t b, columns *d)
{
    int64_t n = d->rows;
    real leak = p->b.parameters[0], least = ALL_BUT_SHUT * (leak > 1 ? leak : 1);
    if ((n > 1 && leak >= least && leak * ALL_BUT_SHUT <= 1)) return;
    const V *slope = p->b.d, *h = column(&t->taken, b);
    V *v = column(d, b);
    I open = {0};
    for (int64_t i = 0; i < n; i++) open -= slope[i] >= least;
    I lone = open == 1;
    if (!any(lone)) return;

    V at = {0}, rest = {0}, most = {0};
    for (int64_t i = 0; i < n; i++) {
        I is_open = slope[i] >= least;
        V other = choose(is_open, splat(0), v[i]);
        at = choose(is_open, h[i], at);
        rest += other * h[i];
        most = vmax(most, vabs(other));
    }
    I of_rest = choose_int(most > 0, d->exponent[b], LOWEST),
      e = saturate(p->along[b].exponent - t->taken.exponent[b]);
    I some = (at != 0) & (p->along[b].value != 0), of_own = choose_int(some, e, LOWEST),
      top = imax(of_rest, of_own);
    V inverse = choose(some, 1 / at, splat(0));
    V value = p->along[b].value * inverse * beside(of_own - top) - rest * inverse * beside(of_rest - top);
    V factor = beside(of_rest - top), square = {0};
    for (int64_t i = 0; i < n; i++) {
        I is_open = slope[i] >= least;
        v[i] = choose(lone, choose(is_open, value, v[i] * factor), v[i]);
        square += v[i] * v[i];
    }
    d->exponent[b] = choose_int(lone, top, d->exponent[b]);
    normalise_column(d, b, choose(lone | (d->exponent[b] == LOWEST), square, splat(1)));
}

/* Column b of d ← (D·Ĥ) Ĥ/‖Ĥ‖² in a layer of two units, with φ in p->b.y and φ' in p->b.d. */
static void pair_of_units(pass *p, const step *t, int64_t b, columns *d)
{
    const V *h = column(&t->h, b);
    V *v = column(d, b), square = h[0] * h[0] + h[1] * h[1], turn = splat(1);
    I some = (square > 0) & (p->along[b].value != 0), e = p->along[b].exponent;
    if (!is_of_degree_one(p)) { /* φ'(ĥ) ĥ/φ(ĥ) */
        turn = p->b.d[0] * h[0] / choose(some, p->b.y[0], splat(1));
        e = saturate(e + t->h.exponent[b] - t->units[b].found.value_exponent);
    }
    for (int i = 0; i < 2; i++) v[i] = choose(some, p->along[b].value * turn * (h[i] / square), v[i]);
    d->exponent[b] = choose_int(some, saturate(e - t->h.exponent[b]), d->exponent[b]);
    normalise_column(d, b, choose(some | (d->exponent[b] == LOWEST), v[0] * v[0] + v[1] * v[1], splat(1)));
}

/* Adds p->skip · X to p->along: p->skip is the part of G that the skip connection of the block
   carries. */
static void add_skip_along(pass *p, const step *t)
{
    restore_operand(p, t, &p->other);
    for (int64_t b = 0; b < p->batch; b++) {
        V sum = dot_product(column(&p->skip, b), column(&p->other, b), p->skip.rows);
        scaled own = p->along[b],
               round = signed_normalised(sum, saturate(p->skip.exponent[b] + p->other.exponent[b]));
        I e = imax(exponent_or_lowest(own), exponent_or_lowest(round));
        V f = beside(exponent_or_lowest(own) - e), g = beside(exponent_or_lowest(round) - e);
        p->along[b] = signed_normalised(own.value * f + round.value * g, e);
    }
}

/* g ← (G·X)/x, where x, the operand of the step t, has one unit. */
static void lone_layer(pass *p, const step *t, columns *g)
{
    restore_operand(p, t, &p->other);
    for (int64_t b = 0; b < p->batch; b++) {
        V x = column(&p->other, b)[0], *v = column(g, b);
        I some = (x != 0) & (p->along[b].value != 0);
        v[0] = choose(some, p->along[b].value / x, v[0]);
        g->exponent[b] =
            choose_int(some, saturate(p->along[b].exponent - p->other.exponent[b]), g->exponent[b]);
        normalise_column(g, b, choose(some | (g->exponent[b] == LOWEST), v[0] * v[0], splat(1)));
    }
}

#endif
