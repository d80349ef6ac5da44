/* The operation ATTEND: softmax attention. For each head, of d = n/heads units, query u and key t,

     s_t = k_t · q_u/√d      P = softmax over t      y_u = Σ_t P_t v_t

   where t ≤ u with a causal mask. Backward, with c_u the gradient of y_u and a_t = (v_t − v_m) · c_u,
   m the key of the largest weight:

     ∂s_t = P_t (a_t − Σ_t' P_t' a_t')     ∂v_t = Σ_u P_t c_u
     ∂q_u = Σ_t ∂s_t k_t/√d                ∂k_t = Σ_u ∂s_t q_u/√d

   All columns have exponents of their own: only the small matrices s, P and ∂s are rescaled. */
#ifndef VG_ATTENTION_H
#define VG_ATTENTION_H

#include "vg_pass.h"

#define QUERIES 4 /* at once */

typedef struct {
    columns q, k, v, out;
} attention;

static void store_attention(const pass *p, const vg_operation *o, void *slot, arena *a)
{
    *(attention *)slot = (attention){p->x[o->source], p->x[o->gate], p->x[o->target], take_output(p, o, a)};
}

/* One head of one sequence: its rows begin at `row`, its columns at `at`. */
typedef struct {
    const attention *of;
    int64_t tokens, units, row, at;
    int causal;
} head;

/* The entries of a head in column t of x. */
INLINE V *entries(const columns *x, const head *h, int64_t t) { return column(x, h->at + t) + h->row; }

/* The number of keys of queries u … u + w − 1. */
INLINE int64_t keys_of(const head *h, int64_t u, int64_t w) { return h->causal ? u + w : h->tokens; }

/* out ← A C, or out + A C, in the rows of a head. */
static void head_product(const head *h, const V *a, int64_t a_stride, int64_t p, factors c, int more,
                         int64_t q, V *out, int64_t out_stride)
{
    if (h->units % 4)
        product_of_rows(a, a_stride, p, c, more, q, h->units, out, out_stride);
    else if (more)
        add_product(a, a_stride, p, c, q, h->units, out, out_stride);
    else
        product(a, a_stride, p, c, q, h->units, out, out_stride);
}

/* a > b for numbers of either sign. */
INLINE I exceeds(scaled a, scaled b)
{
    scaled size_a = {vabs(a.value), a.exponent}, size_b = {vabs(b.value), b.exponent};
    I beyond = (b.value <= 0) | scaled_less(size_b, size_a), nearer = scaled_less(size_a, size_b);
    return choose_int(a.value > 0, beyond, (b.value < 0) & nearer);
}

/* a 2^-e, where a is not larger than a positive number of the size 2^e, or is negative: a number below
   −2^24 counts as that. */
INLINE V below(scaled a, I e)
{
    I apart = imin(a.exponent - e, splat_int(24));
    return a.value * choose(apart > 0, plain_size(apart), beside(imin(apart, splat_int(0))));
}

/* w ← P of one query u, at w[t QUERIES], from raw products k_t · q_u. Weights below the range of the
   numbers become 0. Returns the largest exponent of a v_t with P_t > 0. */
static I softmax(const head *h, int64_t u, int64_t keys, V *w)
{
    const I *e_k = h->of->k.exponent + h->at, *e_v = h->of->v.exponent + h->at;
    I e_q = h->of->q.exponent[h->at + u], found = LOWEST;
    int64_t count = h->causal && u + 1 < keys ? u + 1 : keys;
    scaled top = signed_normalised(w[0], e_k[0]);
    for (int64_t t = 1; t < count; t++) {
        scaled s = signed_normalised(w[t * QUERIES], e_k[t]);
        top = scaled_choose(exceeds(s, top), s, top);
    }
    I e = imax(exponent_or_lowest(top), -e_q); /* scores that differ by less than 1 need no more digits */
    scaled unit = scaled_number(__builtin_sqrt(1 / (double)h->units) * 1.4426950408889634);
    V size = plain_size(saturate(e + e_q) + unit.exponent), sum = splat(0);
    for (int64_t t = 0; t < count; t++) {
        V s = below(signed_normalised(w[t * QUERIES], e_k[t]), e);
        V x = (s - top.value * beside(exponent_or_lowest(top) - e)) * unit.value * size;
        w[t * QUERIES] = choose(x < -EXP2_LIMIT, splat(0), vexp2(vmax(x, splat(-EXP2_LIMIT))));
        sum += w[t * QUERIES];
    }
    V inverse = 1 / sum;
    for (int64_t t = 0; t < keys; t++) {
        w[t * QUERIES] = t < count ? w[t * QUERIES] * inverse : splat(0);
        found = imax(found, choose_int(w[t * QUERIES] > 0, e_v[t], LOWEST));
    }
    return found;
}

/* w ← P of the queries u … u + count − 1; returns the number of their keys. */
static int64_t attention_weights(const head *h, int64_t u, int64_t count, V *w, I *exponent)
{
    const columns *q = &h->of->q, *k = &h->of->k;
    int64_t keys = keys_of(h, u, count);
    inner(entries(k, h, 0), k->stride, keys, entries(q, h, u), q->stride, count, h->units, w, QUERIES);
    for (int64_t j = 0; j < count; j++) {
        I found = softmax(h, u + j, keys, w + j);
        if (exponent) exponent[j] = found;
    }
    return keys;
}

INLINE head head_of(const attention *t, const vg_operation *o, int64_t tokens, int64_t index, int64_t at)
{
    int64_t units = o->rows / o->heads;
    return (head){t, tokens, units, index * units, at, !!(o->flags & VG_CAUSAL)};
}

static void attention_ahead(pass *p, const vg_operation *o, void *slot)
{
    attention *t = slot;
    const columns *v = &t->v;
    columns *out = &p->x[o->target];
    int64_t tokens = p->b.plan->tokens;
    V *w = p->small;
    I *of_heads = (I *)p->work; /* the exponents of the outputs, by head and query */
    *out = t->out;
    for (int64_t at = 0; at < p->batch; at += tokens)
        for (int64_t u = 0; u < tokens; u += QUERIES) {
            int64_t count = tokens - u < QUERIES ? tokens - u : QUERIES;
            for (int64_t i = 0; i < o->heads; i++) {
                head h = head_of(t, o, tokens, i, at);
                I *exponent = of_heads + i * QUERIES;
                int64_t keys = attention_weights(&h, u, count, w, exponent);
                for (int64_t k = 0; k < keys; k++)
                    for (int64_t j = 0; j < count; j++)
                        w[k * QUERIES + j] *= beside(imin(v->exponent[at + k] - exponent[j], splat_int(0)));
                head_product(&h, entries(v, &h, 0), v->stride, keys, (factors){w, QUERIES, 1}, 0, count,
                             entries(out, &h, u), out->stride);
            }
            for (int64_t j = 0; j < count; j++) {
                I e = LOWEST;
                V square = {0};
                for (int64_t i = 0; i < o->heads; i++) e = imax(e, of_heads[i * QUERIES + j]);
                for (int64_t i = 0; i < o->heads; i++) {
                    head h = head_of(t, o, tokens, i, at);
                    V *y = entries(out, &h, u + j), size = beside(of_heads[i * QUERIES + j] - e);
                    for (int64_t r = 0; r < h.units; r++) {
                        y[r] *= size;
                        square += y[r] * y[r];
                    }
                }
                out->exponent[at + u + j] = e;
                normalise_column(out, at + u + j, square);
            }
        }
}

/* The exponents of one sequence going back: of the sums over the keys of each query (values, keys),
   and of those over the queries of each key (gradients, gradients times queries). */
typedef struct {
    I *of_v, *of_k, *of_c, *of_q;
} sizes;

static sizes sizes_of(const head *h, const columns *c, I *room)
{
    int64_t n = h->tokens, last = n - 1;
    sizes s = {room, room + n, room + 2 * n, room + 3 * n};
    const I *v = h->of->v.exponent + h->at, *k = h->of->k.exponent + h->at, *q = h->of->q.exponent + h->at;
    const I *g = c->exponent + h->at;
    for (int64_t t = 0; t < n; t++) {
        s.of_v[t] = t ? imax(s.of_v[t - 1], v[t]) : v[t];
        s.of_k[t] = t ? imax(s.of_k[t - 1], k[t]) : k[t];
    }
    for (int64_t t = 0; t < n && !h->causal; t++) {
        s.of_v[t] = s.of_v[last];
        s.of_k[t] = s.of_k[last];
    }
    for (int64_t u = last; u >= 0; u--) {
        I e = product_exponent(product_exponent(g[u], s.of_v[u]), q[u]);
        s.of_c[u] = u < last ? imax(s.of_c[u + 1], g[u]) : g[u];
        s.of_q[u] = u < last ? imax(s.of_q[u + 1], e) : e;
    }
    for (int64_t u = 0; u < n && !h->causal; u++) {
        s.of_c[u] = s.of_c[0];
        s.of_q[u] = s.of_q[0];
    }
    return s;
}

/* a ← ∂s of one query from its weights w and a_t = v_t · c_u, in units of the largest v_t. */
static void through_softmax(const head *h, int64_t keys, I of_v, const V *w, V *a)
{
    const I *v = h->of->v.exponent + h->at;
    V best = splat(-1), of_best = splat(0), mean = splat(0);
    for (int64_t t = 0; t < keys; t++) {
        V value = a[t * QUERIES] * beside(imin(v[t] - of_v, splat_int(0)));
        I better = w[t * QUERIES] > best;
        best = choose(better, w[t * QUERIES], best);
        of_best = choose(better, value, of_best);
        a[t * QUERIES] = value;
    }
    for (int64_t t = 0; t < keys; t++) {
        a[t * QUERIES] -= of_best;
        mean += w[t * QUERIES] * a[t * QUERIES];
    }
    for (int64_t t = 0; t < keys; t++) a[t * QUERIES] = w[t * QUERIES] * (a[t * QUERIES] - mean);
}

/* The part of one head in the gradients of queries, keys and values; c is that of the output. */
static void head_back(pass *p, const head *h, sizes s, const columns *c, columns *dq, columns *dk,
                      columns *dv)
{
    const columns *q = &h->of->q, *k = &h->of->k, *v = &h->of->v;
    int64_t tokens = h->tokens;
    V *w = p->small, *a = w + QUERIES * tokens, *f = a + QUERIES * tokens;
    V root = splat(__builtin_sqrt(1 / (double)h->units));
    for (int64_t t = 0; t < tokens; t++)
        for (int64_t r = 0; r < h->units; r++) entries(dk, h, t)[r] = entries(dv, h, t)[r] = splat(0);
    for (int64_t u = 0; u < tokens; u += QUERIES) {
        int64_t count = tokens - u < QUERIES ? tokens - u : QUERIES;
        int64_t keys = attention_weights(h, u, count, w, NULL);
        inner(entries(v, h, 0), v->stride, keys, entries(c, h, u), c->stride, count, h->units, a, QUERIES);
        for (int64_t j = 0; j < count; j++) through_softmax(h, keys, s.of_v[u + j], w + j, a + j);

        for (int64_t t = 0; t < keys; t++)
            for (int64_t j = 0; j < count; j++)
                f[t * QUERIES + j] = a[t * QUERIES + j] * root *
                                     beside(imin(k->exponent[h->at + t] - s.of_k[u + j], splat_int(0)));
        head_product(h, entries(k, h, 0), k->stride, keys, (factors){f, QUERIES, 1}, 0, count,
                     entries(dq, h, u), dq->stride);

        for (int64_t t = 0; t < keys; t++)
            for (int64_t j = 0; j < count; j++) {
                I e_c = c->exponent[h->at + u + j], e_q = q->exponent[h->at + u + j];
                I e = product_exponent(product_exponent(e_c, s.of_v[u + j]), e_q);
                f[t * QUERIES + j] = a[t * QUERIES + j] * root * beside(imin(e - s.of_q[t], splat_int(0)));
                w[t * QUERIES + j] *= beside(imin(e_c - s.of_c[t], splat_int(0)));
            }
        head_product(h, entries(q, h, u), q->stride, count, (factors){f, 1, QUERIES}, 1, keys,
                     entries(dk, h, 0), dk->stride);
        head_product(h, entries(c, h, u), c->stride, count, (factors){w, 1, QUERIES}, 1, keys,
                     entries(dv, h, 0), dv->stride);
    }
}

/* Normalises columns, which may be so small that their squares would underflow. */
static void normalise_small(columns *x)
{
    for (int64_t b = 0; b < x->count; b++) {
        V *v = column(x, b), top = splat(0);
        for (int64_t i = 0; i < x->rows; i++) top = vmax(top, vabs(v[i]));
        scaled size = normalised(top, splat_int(0));
        I small = size.exponent < FAR_BELOW / 4;
        for (int64_t i = 0; i < x->rows && any(small); i++) v[i] *= power_of_two(small & -size.exponent);
        x->exponent[b] += small & size.exponent;
        normalise_column(x, b, square_of(x, b));
    }
}

static void attention_back(pass *p, const vg_operation *o, void *slot)
{
    const attention *t = slot;
    columns *c = &p->g[o->target], *dq = &p->g[o->source], *dk = &p->g[o->gate], *dv = &p->spare;
    int64_t tokens = p->b.plan->tokens;
    dq->rows = dk->rows = dv->rows = o->rows;
    for (int64_t at = 0; at < p->batch; at += tokens) {
        head whole = head_of(t, o, tokens, 0, at);
        sizes s = sizes_of(&whole, c, (I *)p->work);
        for (int64_t i = 0; i < o->heads; i++) {
            head h = head_of(t, o, tokens, i, at);
            head_back(p, &h, s, c, dq, dk, dv);
        }
        for (int64_t u = 0; u < tokens; u++) {
            I of_a = product_exponent(c->exponent[at + u], s.of_v[u]);
            dq->exponent[at + u] = product_exponent(of_a, s.of_k[u]);
            dk->exponent[at + u] = s.of_q[u];
            dv->exponent[at + u] = s.of_c[u];
        }
    }
    normalise_small(dq);
    normalise_small(dk);
    normalise_small(dv);
    exchange(c, dv);
}

#endif
