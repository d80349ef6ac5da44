/* The general pass, forward: from X_{l-1} to X_l, for one segment of layers at a time. The columns
   of tangents X' = ∂X_l/∂X_0 · V, if there are any, follow those of the examples. */
#ifndef VG_AHEAD_H
#define VG_AHEAD_H

#include "vg_forward.h"
#include "vg_units.h"
#include "vg_weights.h"

/* X_0: N(0, 1) entries, or rows of the data, drawn without replacement. */
static void draw_inputs(pass *p, columns *all)
{
    const vg_plan *plan = p->b.plan;
    int64_t n = all->rows = plan->widths[0];
    columns examples_alone = examples(plan, all), *x = &examples_alone;
    stream s = open_stream(&p->b.keys, VG_STREAM_INPUT, 0);
    for (int64_t b = 0; b < x->count; b++) x->exponent[b] = splat_int(0);
    if (!plan->inputs) {
        draw_columns(&p->b, VG_STREAM_INPUT, 0, n, x->count, x->v, x->stride);
        normalise_columns(x);
        return;
    }
    int64_t *drawn = (int64_t *)p->small, sorted = 0; /* ascending */
    for (int k = 0; k < LANES; k++, sorted = 0)
        for (int64_t b = 0; b < x->count; b++) {
            W word[PARTS][4];
            philox(&s, (uint32_t)(b / 4), 1, word);
            uint64_t bits = word[k % PARTS][b % 4][k / PARTS] & 0xffffffff;
            int64_t row = (int64_t)((bits * (uint64_t)(plan->rows - b)) >> 32), place = 0;
            for (; place < sorted && drawn[place] <= row; place++) row++;
            for (int64_t j = sorted++; j > place; j--) drawn[j] = drawn[j - 1];
            drawn[place] = row;
            x->exponent[b][k] = (lane_int)plan->input_exponents[row];
            for (int64_t i = 0; i < n; i++) column(x, b)[i][k] = (real)plan->inputs[row * n + i];
        }
    normalise_columns(x);
}

/* h ← s h + c ζ + d u, normalised: the product with the weights, the bias ζ, which is the same for
   all examples, and the drive u. For tangents h' ← s h'. */
static void complete_products(const vg_plan *plan, columns *h, scaled s, scaled c, const V *zeta, scaled d,
                              const V *drive, int64_t drive_stride)
{
    for (int64_t b = 0; b < plan->batch; b++) {
        I of_h = saturate(h->exponent[b] + s.exponent);
        I e = imax(of_h, imax(exponent_or_lowest(c), exponent_or_lowest(d)));
        V f = s.value * beside(of_h - e);
        V *v = column(h, b), square = {0}, bias = against(c, e), input = against(d, e);
        for (int64_t i = 0; i < h->rows; i++) {
            V sum = f * v[i];
            if (zeta) sum += bias * zeta[i];
            if (drive) sum += input * drive[b * drive_stride + i];
            v[i] = sum;
            square += sum * sum;
        }
        h->exponent[b] = e;
        normalise_column(h, b, square);
    }
    for (int64_t k = 1; k <= plan->tangents; k++) {
        columns tangent = part(plan, h, k);
        normalise_multiple(&tangent, s);
    }
}

/* h ← Ĥ, and the tangents of H ← those of Ĥ. The derivative of normalisation is a symmetric matrix,
   so the function that propagates cotangents backward also propagates tangents forward. */
static void normalise_all(pass *p, columns *h, deviations s)
{
    const vg_plan *plan = p->b.plan;
    columns x = examples(plan, h);
    if (!plan->norm) return;
    normalise(plan, &x, s, p->mean);
    for (int64_t k = 1; k <= plan->tangents; k++) {
        columns tangent = part(plan, h, k);
        back_through_norm(plan, &x, &tangent, s, p->mean, NULL);
    }
}

/* h ← H_l, without the bias if batch normalisation would cancel it. */
static void pre_activations(pass *p, int64_t index, step *t, columns *h)
{
    const vg_plan *plan = p->b.plan;
    scaled bias = scaled_number(0), input = scaled_number(0);
    const V *zeta = NULL, *drive = NULL;
    open_operand(p, index, t);
    weights_forward(p, index, t, weights_of(t), h);
    int cancels = plan->norm == VG_BATCH_NORM && plan->skip != VG_PRE && !is_bare(plan, index);
    if (plan->bias_scale[index] > 0 && !cancels) {
        stream s = open_stream(&p->b.keys, VG_STREAM_BIAS, plan->recurrent ? 1 : (uint32_t)index);
        fill(plan->bias_law, &s, h->rows, p->zeta);
        zeta = p->zeta;
        bias = scaled_number(plan->bias_scale[index]);
    }
    if (plan->recurrent && plan->input_scale > 0) {
        input = scaled_number(plan->input_scale);
        drive = column(&p->drive, (t - p->steps) * plan->batch);
    }
    complete_products(plan, h, scaled_number(plan->weight_scale[index]), bias, zeta, input, drive,
                      p->drive.stride);
}

#define SHUT ((real)0x1p-20)

/* In samples whose largest gate value, `widest`, is below SHUT: gate ← σ(sign h_T) 2^-e, computed
   by logarithms. Returns e there, and 0 in the other samples. */
static I gates_by_logarithms(const columns *h, int64_t b, V sign, V widest, V *gate)
{
    const V *v = column(h, b);
    V size = sign * plain_size(h->exponent[b]), top = splat(-EXPONENT_LIMIT);
    I shut = widest < SHUT;
    if (!any(shut)) return splat_int(0);
    for (int64_t i = 0; i < h->rows; i++) top = vmax(top, log2_logistic(v[i] * size));
    I e = shut & __builtin_convertvector(top, I);
    V whole = __builtin_convertvector(e, V);
    for (int64_t i = 0; i < h->rows; i++)
        gate[i] = choose(shut, vexp2(vmax(log2_logistic(v[i] * size) - whole, splat(-EXP2_LIMIT))), gate[i]);
    return e;
}

/* The gate values of one example: T = open 2^of_open and 1 − T = closed 2^of_closed, T = σ(h_T). */
typedef struct {
    V *open, *closed;
    I of_open, of_closed;
} gates;

static gates open_gate(const columns *h, int64_t b, V *open, V *closed)
{
    const V *v = column(h, b);
    V size = plain_size(h->exponent[b]), decay, most = splat(0), least = splat(0), one = splat(1),
      minus = splat(-1);
    for (int64_t i = 0; i < h->rows; i++) {
        open[i] = logistic(v[i] * size, &closed[i], &decay);
        most = vmax(most, open[i]);
        least = vmax(least, closed[i]);
    }
    return (gates){open, closed, gates_by_logarithms(h, b, one, most, open),
                   gates_by_logarithms(h, b, minus, least, closed)};
}

/* X' ← T ∘ (1 − T) ∘ (Y − X) ∘ h_T' + T ∘ Y' + (1 − T) ∘ X' for the k-th tangent of example b. X is
   still the input of the gate. */
static void pass_tangent(pass *p, const step *t, int64_t k, int64_t b, gates t_b, const columns *y,
                         columns *x)
{
    const vg_plan *plan = p->b.plan;
    int64_t place = k * plan->batch + b;
    I of_both = saturate(t_b.of_open + t_b.of_closed), e_x = saturate(x->exponent[place] + t_b.of_closed);
    I of_y = saturate(of_both + product_exponent(t->gate.exponent[place], y->exponent[b]));
    I of_x = saturate(of_both + product_exponent(t->gate.exponent[place], x->exponent[b]));
    I e_y = saturate(y->exponent[place] + t_b.of_open), e = imax(imax(of_y, of_x), imax(e_x, e_y));
    V f = beside(e_x - e), g = beside(e_y - e), a = beside(of_y - e), c = beside(of_x - e), square = {0};
    V *v = column(x, place), *h = column(&t->gate, place), *w = column(y, place);
    for (int64_t i = 0; i < x->rows; i++) {
        V turned = t_b.open[i] * t_b.closed[i] * h[i];
        v[i] = t_b.open[i] * (g * w[i]) + t_b.closed[i] * (f * v[i]) +
               turned * (a * column(y, b)[i] - c * column(x, b)[i]);
        square += v[i] * v[i];
    }
    x->exponent[place] = e;
    normalise_column(x, place, square);
}

/* X ← T ∘ Y + (1 − T) ∘ X. */
static void pass_gate(pass *p, int64_t index, step *t, const columns *y, columns *x)
{
    const vg_plan *plan = p->b.plan;
    weights_forward(p, index, t, gate_of(t), &t->gate);
    for (int64_t i = 0; i < t->gate.rows; i++) p->zeta[i] = splat(1);
    complete_products(plan, &t->gate, scaled_number(plan->weight_scale[index]),
                      signed_number(plan->gate_bias), p->zeta, scaled_number(0), NULL, 0);
    for (int64_t b = 0; b < plan->batch; b++) {
        gates t_b = open_gate(&t->gate, b, p->b.y, p->b.d);
        for (int64_t k = 1; k <= plan->tangents; k++) pass_tangent(p, t, k, b, t_b, y, x);
        I of_y = saturate(y->exponent[b] + t_b.of_open), of_x = saturate(x->exponent[b] + t_b.of_closed);
        I e = imax(of_x, of_y);
        V f = beside(of_x - e), g = beside(of_y - e), square = {0}, *v = column(x, b);
        const V *w = column(y, b);
        for (int64_t i = 0; i < x->rows; i++) {
            v[i] = t_b.open[i] * (g * w[i]) + t_b.closed[i] * (f * v[i]);
            square += v[i] * v[i];
        }
        x->exponent[b] = e;
        normalise_column(x, b, square);
    }
}

/* Layer `index`: p->x from X_{l-1} to X_l. */
static void layer_ahead(pass *p, int64_t index, step *t)
{
    const vg_plan *plan = p->b.plan;
    scaled s = signed_number(plan->identity), c = signed_number(plan->branch);
    int ends = block_ends(plan, index);
    columns *h = &t->h, *x = &p->x;
    if (block_begins(plan, index)) copy_columns(&p->skip, x);

    if (plan->skip == VG_PRE) {
        copy_columns(h, x);
        normalise_all(p, h, t->deviation);
        activate_columns(p, h, t->units, &t->operand);
        pre_activations(p, index, t, x);
        if (ends) add_scaled(x, s, &p->skip, c, x);
        return;
    }
    copy_columns(&t->operand, x);
    if (is_bare(plan, index)) {
        pre_activations(p, index, t, x);
        add_scaled(x, s, &p->skip, c, x);
        return;
    }
    find_groups(p, t);
    pre_activations(p, index, t, h);
    equalise(t, h);
    normalise_all(p, h, t->deviation);
    if (plan->skip == VG_HIGHWAY) {
        activate_columns(p, h, t->units, &p->other);
        pass_gate(p, index, t, &p->other, x);
    } else if (ends && plan->skip == VG_POST) {
        add_scaled(&t->taken, s, &p->skip, c, h);
        activate_columns(p, &t->taken, t->units, x);
    } else {
        activate_columns(p, h, t->units, x);
        if (ends) add_scaled(x, s, &p->skip, c, x);
    }
}

#define STEPS_AT_ONCE 8

/* drive ← U s_t for all steps of a segment. Each row of U is drawn once per segment. */
static void draw_drive(pass *p, int64_t begin, int64_t end)
{
    const vg_plan *plan = p->b.plan;
    int64_t n = plan->widths[0], count = (end - begin) * plan->batch, quads = whole_quads(n) / 4;
    columns *s = &p->signal;
    stream of_weights = open_stream(&p->b.keys, VG_STREAM_INPUT_WEIGHTS, 1);
    for (int64_t l = begin + 1; l <= end; l++)
        draw_columns(&p->b, VG_STREAM_DRIVE, l, n, plan->batch, column(s, (l - begin - 1) * plan->batch),
                     s->stride);
    for (int64_t i = 0; i < n && !cancelled(&p->b); i += ROWS_AT_ONCE) {
        int64_t w = n - i < ROWS_AT_ONCE ? n - i : ROWS_AT_ONCE;
        V product[ROWS_AT_ONCE * STEPS_AT_ONCE];
        for (int64_t k = 0; k < w; k++)
            fill_from(VG_NORMAL, &of_weights, (i + k) * quads, n, p->rows + k * s->stride);
        for (int64_t b = 0; b < count; b += STEPS_AT_ONCE) {
            int64_t q = count - b < STEPS_AT_ONCE ? count - b : STEPS_AT_ONCE;
            inner(p->rows, s->stride, w > 1 ? w : 2, column(s, b), s->stride, q, n, product, STEPS_AT_ONCE);
            for (int64_t c = 0; c < q; c++)
                for (int64_t k = 0; k < w; k++)
                    column(&p->drive, b + c)[i + k] = product[k * STEPS_AT_ONCE + c];
        }
    }
}

static void record_activations(const pass *p, int64_t index)
{
    const vg_plan *plan = p->b.plan;
    columns x = examples(plan, &p->x);
    if (!plan->activation_rms || plan->column[index] < 0) return;
    record_log10(&p->b, plan->activation_rms, plan->n_columns, plan->column[index],
                 over_root(norm_of_columns(&x), plan->widths[index] * plan->batch));
}

/* Runs the layers of a segment from the activations at its start. The first time, it also records
   the activations and stores those at the start of the next segment. */
static int segment_ahead(pass *p, int64_t segment, int first_time)
{
    const vg_plan *plan = p->b.plan;
    int64_t begin = segment ? plan->segment_ends[segment - 1] : 0, end = plan->segment_ends[segment];
    place_segment(p, begin, end);
    copy_columns(&p->x, &p->starts[segment]);
    copy_groups(plan, p->group, p->start_groups + segment * plan->batch);
    if (plan->recurrent && plan->input_scale > 0) draw_drive(p, begin, end);
    for (int64_t index = begin + 1; index <= end; index++) {
        if (cancelled(&p->b)) return VG_CANCELLED;
        layer_ahead(p, index, &p->steps[index - begin - 1]);
        if (first_time) record_activations(p, index);
    }
    if (first_time && segment + 1 < plan->n_segments) {
        copy_columns(&p->starts[segment + 1], &p->x);
        copy_groups(plan, p->start_groups + (segment + 1) * plan->batch, p->group);
    }
    return cancelled(&p->b) ? VG_CANCELLED : VG_OK;
}

#endif
