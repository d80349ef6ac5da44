/* The general pass walks a list of operations. Its state for one lane group: registers, their
   gradients, scratch, and the tape, where operations store what their backward form needs. */
#ifndef VG_PASS_H
#define VG_PASS_H

#include "vg_columns.h"

typedef struct {
    block b;
    int64_t batch;      /* columns of a register: the examples, then their tangents */
    int64_t place;      /* the current place l */
    columns *x;         /* values of the registers */
    columns *g;         /* gradients of the registers */
    columns *transient; /* arrays of outputs that the tape does not keep, one per register */
    columns spare;      /* the gradient that an operation computes */
    columns other, sums; /* scratch */
    columns basis, frame; /* 2 B orthonormal columns each: of W's outputs, of its inputs */
    V *coordinates;     /* of Δ in that basis, 2 B × B */
    V *small, *work;    /* scratch: 2 B × B; of orthonormalise */
    V *raw;             /* raw draws of one column */
    V *mean;            /* scratch of normalisation */
    V *rows;            /* dense: some rows of W */
    V *matrix;          /* dense, orthogonal or shared: all of W, in bands; of several shared, one by one */
    V *vectors;         /* Gaussian vectors from which an orthogonal W is made */
    arena tape;
    columns *starts;    /* the registers of the state from which each segment can be run again */
    int64_t begin;      /* the current segment: places begin + 1 … */
    char **slots;       /* the results of the operations of each of these places, */
    char **ends;        /* and the end of what they store */
    scaled *along;      /* G · X of each column (vg_along.h) */
    I *same;            /* the first column that each operand equals (vg_weights.h) */
    I *lone;            /* the only entry that a mask has left in each column, or −1 */
    I *group, *start_groups; /* of the current columns; at the start of each segment */
    const I *grouped;        /* groups of the columns of G, or NULL */
    int gathered;            /* whether a normalisation has been passed, going back */
    I saturated;             /* of the current place, going back: saturated units, */
    int64_t units;           /* all units, */
    scaled weight_gradient;  /* the norm of ∂L/∂W for all its matrices, */
    double weight_square[LANES]; /* and ‖W‖² = weight_square 4^weight_exponent */
    int64_t weight_exponent[LANES];
    columns biases;          /* of the gates of a recurrent cell */
    columns signal, drive;   /* s_t and U s_t of all steps of the segment, of all gates */
    columns shared_gradient; /* ∂L/∂W of shared weights by rows, with one exponent */
    I gradient_exponent;
    scaled *stretched; /* product of the R_ii of each tangent, and room for a copy */
    V *joined;         /* tangents of all registers of the state, if there are several */
    int64_t dimension; /* of the space of the tangents */
} pass;

/* What an operation does: `store` takes its arrays from the tape into a slot, and reads no array, so
   that sizes can be computed without any; `ahead` computes the register `target`; `back` turns the
   gradient of `target` into that of `source`. */
typedef struct {
    void (*store)(const pass *, const vg_operation *, void *slot, arena *);
    void (*ahead)(pass *, const vg_operation *, void *slot);
    void (*back)(pass *, const vg_operation *, void *slot);
} operation;

#define SLOT_BYTES 192 /* of the results of an operation */

#define ROWS_AT_ONCE BAND_ROWS /* of W */

INLINE int is_matrix_free(const vg_plan *plan) { return plan->engine == VG_MATRIX_FREE; }

/* The number of columns of a register. */
INLINE int64_t columns_of(const vg_plan *plan) { return plan->batch * (1 + plan->tangents); }

/* The columns of the examples, k = 0, or of their k-th tangents. */
INLINE columns part(const vg_plan *plan, const columns *x, int64_t k)
{
    int64_t b = k * plan->batch;
    return (columns){column(x, b), x->exponent + b, x->rows, x->stride, plan->batch};
}

INLINE columns examples(const vg_plan *plan, const columns *x) { return part(plan, x, 0); }

/* The first operation of a kind, of which there is one. */
INLINE const vg_operation *first_operation(const vg_plan *plan, int kind)
{
    const vg_operation *o = plan->operations;
    while (o->kind != kind) o++;
    return o;
}

/* The numbers of the draws of a matrix and its bias, and of a mask. */
INLINE uint32_t matrix_number(const pass *p, const vg_operation *o)
{
    int64_t before = o->flags & VG_SHARED ? 0 : p->b.plan->matrices[p->place - 1];
    return (uint32_t)(before + o->number);
}

INLINE uint32_t mask_number(const pass *p, const vg_operation *o)
{
    return (uint32_t)(p->b.plan->masks[p->place - 1] + o->number);
}

static V *take_vectors(arena *a, int64_t count) { return take(a, (size_t)count * sizeof(V)); }

static columns take_columns(arena *a, int64_t rows, int64_t room, int64_t count)
{
    int64_t stride = stride_of(rows);
    V *v = take_vectors(a, room * stride);
    return (columns){v, take(a, (size_t)room * sizeof(I)), rows, stride, count};
}

/* The array of an operation's output, with its rows. */
static columns take_output(const pass *p, const vg_operation *o, arena *a)
{
    columns x = p->transient[o->target];
    if (!(o->flags & VG_TRANSIENT)) x = take_columns(a, o->room, p->batch, p->batch);
    x.rows = o->rows;
    return x;
}

INLINE void exchange(columns *a, columns *b)
{
    columns c = *a;
    *a = *b;
    *b = c;
}

/* Columns of `rows` normals, consecutive in the stream. */
static void draw_columns(const block *b, uint32_t stream_id, uint32_t layer, int64_t rows, int64_t count,
                         V *v, int64_t stride)
{
    stream s = open_stream(&b->keys, stream_id, layer);
    for (int64_t k = 0; k < count; k++)
        fill_from(VG_NORMAL, &s, k * (whole_quads(rows) / 4), rows, v + k * stride);
}

static void zero_rows(columns *x, int64_t from, int64_t to)
{
    for (int64_t b = 0; b < x->count; b++)
        for (int64_t i = from; i < to; i++) column(x, b)[i] = splat(0);
}

static void zero_columns(columns *x) { zero_rows(x, 0, whole_quads(x->rows)); }

/* x ← 0, normalised. */
static void clear_columns(columns *x)
{
    zero_columns(x);
    for (int64_t b = 0; b < x->count; b++) x->exponent[b] = LOWEST;
}

#endif
