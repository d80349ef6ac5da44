/* The general pass: batches, normalisation, skips, gates, clipping, orthogonal and recurrent
   weights. Its state for one lane group, and the arrays of each layer for the backward pass. */
#ifndef VG_PASS_H
#define VG_PASS_H

#include "vg_normalise.h"

/* The argument of φ for one example, and the result. */
typedef struct {
    layer taken;
    outcome found;
} unit;

/* One layer of the current segment. */
typedef struct {
    columns operand; /* of W: its orthonormal Q (matrix-free), or X itself (dense) */
    V *r;            /* matrix-free: R, the operand is Q R 2^e */
    V *z, *gate_z;   /* matrix-free: raw products with Q */
    columns h;       /* Ĥ, or H without normalisation */
    columns taken;   /* argument of φ: s x + c Ĥ with style "post", else Ĥ */
    columns gate;    /* highway: W_T x + b_T */
    unit *units;     /* one per example */
    deviations deviation;
    I *group; /* leaders of the operands, and whether some are equal (vg_groups.h) */
    int is_grouped;
} step;

typedef struct {
    block b;
    int64_t batch;      /* number of operands of W: the examples, then their tangents */
    step *steps;        /* of the current segment */
    columns *starts;    /* the activations from which each segment can be run again */
    columns x;          /* current activations */
    columns skip;       /* input of the block; backward, the part of G that the skip carries */
    columns g, delta;   /* cotangents of X_l and H_l */
    int is_narrow;      /* whether some layer has at most MOST_UNITS units */
    scaled *along;      /* G_l · X_l of each example (vg_along.h) */
    I *group, *start_groups; /* of the current examples; at the start of each segment */
    const I *grouped;        /* groups of the columns of G, or NULL */
    columns gate_delta; /* highway: cotangent of W_T x + b_T */
    columns other;      /* a second term of a sum */
    columns basis, frame; /* 2 B orthonormal columns each: of W's outputs, of its inputs */
    V *coordinates; /* of Δ in that basis, 2 B × B */
    V *small, *work; /* scratch: 2 B × B; of orthonormalise */
    V *zeta; /* raw biases */
    V *mean; /* scratch of normalisation */
    arena tape; /* memory of the steps */
    columns signal, drive; /* recurrent: s_t and U s_t of all steps of the segment */
    scaled *stretched; /* product of the R_ii of each tangent, and room for a copy */
    int64_t dimension; /* of the space of the tangents */
    V *rows; /* dense: some rows of W */
    V *matrix; /* dense, orthogonal or recurrent: all of W, in bands */
    V *vectors; /* Gaussian vectors from which an orthogonal W is made */
    columns weight_gradient; /* recurrent: ∂L/∂W by rows, with one exponent */
    I gradient_exponent;
} pass;

INLINE int is_orthogonal(const vg_plan *plan) { return plan->weight_law == VG_ORTHOGONAL; }

INLINE int is_matrix_free(const vg_plan *plan) { return plan->engine == VG_MATRIX_FREE; }

/* The number of operands of W. */
INLINE int64_t columns_of(const vg_plan *plan) { return plan->batch * (1 + plan->tangents); }

/* The columns of the examples, k = 0, or of their k-th tangents. */
INLINE columns part(const vg_plan *plan, const columns *x, int64_t k)
{
    int64_t b = k * plan->batch;
    return (columns){column(x, b), x->exponent + b, x->rows, x->stride, plan->batch};
}

INLINE columns examples(const vg_plan *plan, const columns *x) { return part(plan, x, 0); }

#define ROWS_AT_ONCE BAND_ROWS /* of W */

/* Whether W is stored as a whole. */
INLINE int has_matrix(const vg_plan *plan)
{
    return !is_matrix_free(plan) && (plan->recurrent || is_orthogonal(plan));
}

INLINE int64_t rows_out(const vg_plan *plan, int64_t index) { return plan->widths[index]; }
INLINE int64_t rows_in(const vg_plan *plan, int64_t index) { return plan->widths[index - 1]; }

/* The length of vectors of `rows` entries when an orthogonal W is embedded in a square matrix. */
INLINE int64_t embedded_rows(const vg_plan *plan, int64_t index, int64_t rows)
{
    int64_t n = rows_out(plan, index), m = rows_in(plan, index);
    if (is_orthogonal(plan)) return n > m ? n : m;
    return rows;
}

INLINE int block_begins(const vg_plan *plan, int64_t index)
{
    return plan->skip != VG_NO_SKIP && plan->skip != VG_HIGHWAY && (index - 1) % plan->every == 0;
}

INLINE int block_ends(const vg_plan *plan, int64_t index)
{
    return plan->skip != VG_NO_SKIP && plan->skip != VG_HIGHWAY && index % plan->every == 0;
}

/* Whether the layer has neither normalisation nor activation. */
INLINE int is_bare(const vg_plan *plan, int64_t index)
{
    return plan->skip == VG_LINEAR && block_ends(plan, index);
}

static V *take_vectors(arena *a, int64_t count) { return take(a, (size_t)count * sizeof(V)); }

static columns take_columns(arena *a, int64_t rows, int64_t room, int64_t count)
{
    int64_t stride = stride_of(rows);
    V *v = take_vectors(a, room * stride);
    return (columns){v, take(a, (size_t)room * sizeof(I)), rows, stride, count};
}

static void place_step(const vg_plan *plan, int64_t index, step *t, arena *a)
{
    int64_t n = rows_out(plan, index), m = rows_in(plan, index), count = columns_of(plan);
    int matrix_free = is_matrix_free(plan), bare = is_bare(plan, index);
    step s = {.operand = take_columns(a, embedded_rows(plan, index, m), count, count)};
    int64_t units = plan->skip == VG_PRE ? m : n;
    s.operand.rows = m;
    if (matrix_free) s.r = take_vectors(a, count * count);
    if (matrix_free) s.z = take_vectors(a, count * stride_of(embedded_rows(plan, index, n)));
    if (plan->skip == VG_HIGHWAY) {
        if (matrix_free) s.gate_z = take_vectors(a, count * stride_of(embedded_rows(plan, index, n)));
        s.gate = take_columns(a, n, count, count);
    }
    if (!bare) {
        s.h = s.taken = take_columns(a, units, count, count);
        if (plan->skip == VG_POST && block_ends(plan, index)) s.taken = take_columns(a, n, count, count);
        s.units = take(a, (size_t)plan->batch * sizeof(unit));
        s.deviation.inverse = take_vectors(a, plan->norm == VG_BATCH_NORM ? units : plan->batch);
        s.deviation.exponent = take(a, (size_t)plan->batch * sizeof(I));
    }
    if (plan->norm == VG_BATCH_NORM) s.group = take(a, (size_t)plan->batch * sizeof(I));
    if (a->base) *t = s;
}

/* Places the arrays of a pass in the scratch memory, or only computes their size. */
static void place_pass(pass *p, arena *a)
{
    const vg_plan *plan = p->b.plan;
    int64_t widest = 0, most_layers = 0, begin = 0, count = columns_of(plan);
    size_t most_bytes = 0;
    for (int64_t l = 0; l <= plan->depth; l++)
        if (plan->widths[l] > widest) widest = plan->widths[l];
    for (int64_t segment = 0; segment < plan->n_segments; segment++) {
        arena tape = {0, NULL};
        int64_t end = plan->segment_ends[segment];
        for (int64_t l = begin + 1; l <= end; l++) place_step(plan, l, NULL, &tape);
        if (tape.bytes > most_bytes) most_bytes = tape.bytes;
        if (end - begin > most_layers) most_layers = end - begin;
        begin = end;
    }
    p->batch = count;
    p->b.y = take_vectors(a, whole_quads(widest));
    p->b.d = take_vectors(a, whole_quads(widest));
    p->x = take_columns(a, widest, count, count);
    p->skip = take_columns(a, widest, count, count);
    p->g = take_columns(a, widest, count, count);
    p->delta = take_columns(a, widest, count, count);
    p->along = take(a, (size_t)count * sizeof(scaled));
    p->group = take(a, (size_t)count * sizeof(I));
    p->start_groups = take(a, (size_t)(plan->n_segments * plan->batch) * sizeof(I));
    p->gate_delta = take_columns(a, widest, count, count);
    p->other = take_columns(a, widest, count, count);
    p->basis = take_columns(a, widest, 2 * count, count);
    p->frame = take_columns(a, widest, 2 * count, count);
    p->coordinates = take_vectors(a, 2 * count * count);
    p->small = take_vectors(a, 2 * count * (count > ROWS_AT_ONCE ? count : ROWS_AT_ONCE));
    p->work = take_vectors(a, 2 * PANEL * ((widest > 2 * count ? widest : 2 * count) + 1));
    p->zeta = take_vectors(a, whole_quads(widest));
    p->mean = take_vectors(a, 4 * whole_quads(widest));
    if (!is_matrix_free(plan)) p->rows = take_vectors(a, ROWS_AT_ONCE * stride_of(widest));
    if (has_matrix(plan)) p->matrix = take_vectors(a, band_size(widest, widest));
    if (has_matrix(plan) && is_orthogonal(plan)) p->vectors = take_vectors(a, widest * stride_of(widest));
    if (plan->recurrent && plan->input_scale > 0) {
        p->signal = take_columns(a, widest, most_layers * plan->batch, most_layers * plan->batch);
        p->drive = take_columns(a, widest, most_layers * plan->batch, most_layers * plan->batch);
    }
    if (plan->recurrent && (plan->weight_gradient || plan->update_ratio))
        p->weight_gradient = take_columns(a, widest, widest, widest);
    if (plan->tangents) p->stretched = take(a, 2 * (size_t)plan->tangents * sizeof(scaled));
    int64_t starts = plan->tangents ? 1 : plan->n_segments;
    p->starts = take(a, (size_t)starts * sizeof(columns));
    begin = 0;
    for (int64_t segment = 0; segment < starts; segment++) {
        columns start = take_columns(a, plan->widths[begin], count, count);
        if (a->base) p->starts[segment] = start;
        begin = plan->segment_ends[segment];
    }
    p->steps = take(a, (size_t)most_layers * sizeof(step));
    p->tape = (arena){0, a->base ? a->base + a->bytes : NULL};
    a->bytes += most_bytes;
}

/* Places the arrays of the steps of a segment. */
static void place_segment(pass *p, int64_t begin, int64_t end)
{
    arena tape = p->tape;
    for (int64_t l = begin + 1; l <= end; l++) place_step(p->b.plan, l, &p->steps[l - begin - 1], &tape);
}

#endif
