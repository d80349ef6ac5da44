/* The general pass: the operations of all places forward, and backward in the opposite order. */
#ifndef VG_WALK_H
#define VG_WALK_H

#include "vg_inputs.h"
#include "vg_loss.h"
#include "vg_operations.h"
#include "vg_tangent.h"

/* The operations of place l: from `first` up to `end`. */
typedef struct {
    const vg_operation *first, *end;
} body;

INLINE body body_number(const vg_plan *plan, int64_t number)
{
    return (body){plan->operations + plan->bodies[number], plan->operations + plan->bodies[number + 1]};
}

INLINE body body_of(const vg_plan *plan, int64_t place) { return body_number(plan, plan->order[place - 1]); }

static int has_orthogonal(const vg_plan *plan)
{
    const vg_operation *end = plan->operations + plan->bodies[plan->n_bodies];
    for (const vg_operation *o = plan->operations; o < end; o++)
        if (o->kind == VG_WEIGHTS && is_orthogonal(o)) return 1;
    return 0;
}

/* Places the arrays of a pass in the scratch memory, or only computes their size. The tape is what
   remains. */
static void place_pass(pass *p, arena *a)
{
    const vg_plan *plan = p->b.plan;
    int64_t widest = plan->widest, most_places = 0, begin = 0, count = columns_of(plan);
    p->batch = count;
    p->b.y = take_vectors(a, whole_quads(widest));
    p->b.d = take_vectors(a, whole_quads(widest));
    p->x = take(a, (size_t)plan->registers * sizeof(columns));
    p->g = take(a, (size_t)plan->registers * sizeof(columns));
    p->transient = take(a, (size_t)plan->registers * sizeof(columns));
    for (int64_t r = 0; r < plan->registers; r++) {
        columns transient = take_columns(a, widest, count, count), g = take_columns(a, widest, count, count);
        if (!a->base) continue;
        p->x[r] = p->transient[r] = transient;
        p->g[r] = g;
    }
    p->spare = take_columns(a, widest, count, count);
    p->other = take_columns(a, widest, count, count);
    p->sums = take_columns(a, widest, count, count);
    p->basis = take_columns(a, widest, 2 * count, count);
    p->frame = take_columns(a, widest, 2 * count, count);
    p->coordinates = take_vectors(a, 2 * count * count);
    p->small = take_vectors(a, 2 * count * (count > ROWS_AT_ONCE ? count : ROWS_AT_ONCE));
    p->work = take_vectors(a, 2 * PANEL * ((widest > 2 * count ? widest : 2 * count) + 1));
    p->raw = take_vectors(a, whole_quads(widest));
    p->mean = take_vectors(a, 4 * whole_quads(widest));
    p->along = take(a, (size_t)count * sizeof(scaled));
    p->same = take(a, (size_t)count * sizeof(I));
    p->lone = take(a, (size_t)count * sizeof(I));
    p->group = take(a, (size_t)count * sizeof(I));
    p->start_groups = take(a, (size_t)(plan->n_segments * plan->batch) * sizeof(I));
    if (!is_matrix_free(plan)) p->rows = take_vectors(a, ROWS_AT_ONCE * stride_of(widest));
    if (plan->most_rows) {
        int64_t matrices = plan->shared ? plan->shared : 1;
        p->matrix = take_vectors(a, matrices * band_size(plan->most_rows, plan->most_columns));
        int64_t size = plan->most_rows > plan->most_columns ? plan->most_rows : plan->most_columns;
        if (has_orthogonal(plan)) p->vectors = take_vectors(a, size * stride_of(size));
    }
    for (int64_t segment = 0; segment < plan->n_segments; segment++) {
        if (plan->segment_ends[segment] - begin > most_places)
            most_places = plan->segment_ends[segment] - begin;
        begin = plan->segment_ends[segment];
    }
    p->slots = take(a, (size_t)most_places * sizeof(char *));
    p->ends = take(a, (size_t)most_places * sizeof(char *));
    if (plan->gate_biases) p->biases = take_columns(a, widest, plan->gate_biases, plan->gate_biases);
    if (plan->driven) {
        int64_t steps = most_places * plan->batch;
        p->signal = take_columns(a, widest, steps, steps);
        p->drive = take_columns(a, plan->driven * plan->widths[0], steps, steps);
    }
    if (plan->shared)
        p->shared_gradient = take_columns(a, widest, plan->shared * widest, plan->shared * widest);
    if (plan->tangents) p->stretched = take(a, 2 * (size_t)plan->tangents * sizeof(scaled));
    if (plan->tangents && plan->state > 1)
        p->joined = take_vectors(a, plan->tangents * plan->state * plan->batch * stride_of(widest));
    int64_t starts = plan->tangents ? 1 : plan->n_segments;
    p->starts = take(a, (size_t)(starts * plan->state) * sizeof(columns));
    begin = 0;
    for (int64_t segment = 0; segment < starts; segment++) {
        for (int64_t r = 0; r < plan->state; r++) {
            columns start = take_columns(a, plan->tangents ? widest : plan->widths[begin], count, count);
            if (a->base) p->starts[segment * plan->state + r] = start;
        }
        begin = plan->segment_ends[segment];
    }
    p->tape = *a;
}

/* Takes the slots of the operations of a body from the tape. */
static char *open_slots(body of, arena *a) { return take(a, (size_t)(of.end - of.first) * SLOT_BYTES); }

/* The bytes that a place stores on the tape. */
static size_t body_bytes(const vg_plan *plan, int64_t number)
{
    _Alignas(max_align_t) char slot[SLOT_BYTES];
    columns none[plan->registers];
    pass p = {.b = {.plan = plan}, .batch = columns_of(plan), .x = none, .transient = none};
    arena a = {0, NULL};
    body of = body_number(plan, number);
    __builtin_memset(none, 0, sizeof none);
    open_slots(of, &a);
    for (const vg_operation *o = of.first; o < of.end; o++) operations[o->kind].store(&p, o, slot, &a);
    return a.bytes;
}

static void record_correlation(const pass *p, double *table, int64_t at, const columns *x)
{
    const vg_plan *plan = p->b.plan;
    V mean = mean_cosine(x, p->raw);
    FOR_SAMPLES(&p->b, k) table[(p->b.first_row + k) * plan->n_columns + at] = (double)mean[k];
}

static void record_activations(pass *p)
{
    const vg_plan *plan = p->b.plan;
    columns x = examples(plan, &p->x[0]);
    int64_t at = plan->column[p->place];
    if (at < 0) return;
    if (plan->activation_rms)
        record_log10(&p->b, plan->activation_rms, plan->n_columns, at,
                     over_root(norm_of_columns(&x), plan->widths[p->place] * plan->batch));
    if (plan->activation_correlation) record_correlation(p, plan->activation_correlation, at, &x);
}

/* Runs the places of a segment from the activations at its start. The first time, it also records
   the activations and stores those at the start of the next segment. */
static int segment_ahead(pass *p, int64_t segment, int first_time)
{
    const vg_plan *plan = p->b.plan;
    int64_t end = plan->segment_ends[segment], begin = segment ? plan->segment_ends[segment - 1] : 0;
    arena tape = p->tape;
    p->begin = begin;
    int64_t start = plan->tangents ? 0 : segment, next = plan->tangents ? 0 : segment + 1;
    for (int64_t r = 0; r < plan->state; r++) {
        p->x[r] = take_columns(&tape, plan->widest, p->batch, p->batch);
        copy_columns(&p->x[r], &p->starts[start * plan->state + r]);
    }
    copy_groups(plan, p->group, p->start_groups + start * plan->batch);
    if (plan->driven) draw_drive(p, begin, end);
    for (p->place = begin + 1; p->place <= end; p->place++) {
        if (cancelled(&p->b)) return VG_CANCELLED;
        body of = body_of(plan, p->place);
        char *slot = p->slots[p->place - begin - 1] = open_slots(of, &tape);
        for (const vg_operation *o = of.first; o < of.end; o++, slot += SLOT_BYTES) {
            operations[o->kind].store(p, o, slot, &tape);
            operations[o->kind].ahead(p, o, slot);
        }
        p->ends[p->place - begin - 1] = tape.base + tape.bytes;
        if (plan->tangents) {
            narrow(p, of.first, of.end);
            measure_tangents(p);
        }
        if (first_time) record_activations(p);
    }
    if (first_time && segment + 1 < plan->n_segments) {
        for (int64_t r = 0; r < plan->state; r++) copy_columns(&p->starts[next * plan->state + r], &p->x[r]);
        copy_groups(plan, p->start_groups + next * plan->batch, p->group);
    }
    return cancelled(&p->b) ? VG_CANCELLED : VG_OK;
}

/* Prefetches what a place has stored, which is no longer in the caches. */
static void fetch_ahead(const pass *p, int64_t place)
{
    const char *end = p->ends[place - p->begin - 1];
    for (const char *at = p->slots[place - p->begin - 1]; at < end && p->batch < 4; at += 64)
        __builtin_prefetch(at);
}

/* Clips and records G_l. With groups, p->g[0] keeps the sums and deviations (vg_groups.h). */
static void arrive_at(pass *p)
{
    const vg_plan *plan = p->b.plan;
    columns *g = &p->g[0];
    int64_t at = plan->column[p->place];
    if (p->grouped) {
        copy_columns(&p->sums, g);
        spread(g, p->grouped);
    }
    clip(p, p->place);
    scaled norm = norm_of_state(p);
    int64_t entries = plan->widths[p->place] * plan->batch * plan->state;
    if (p->place == plan->depth) record_output(&p->b, entries, norm);
    record_norm(&p->b, at, entries, norm);
    if (p->place == 0) record_dead(&p->b, norm);
    if (plan->gradient_correlation && at >= 0) record_correlation(p, plan->gradient_correlation, at, g);
    if (p->grouped) copy_columns(g, &p->sums);
}

static int segment_back(pass *p, int64_t segment)
{
    const vg_plan *plan = p->b.plan;
    int64_t begin = p->begin = segment ? plan->segment_ends[segment - 1] : 0;
    for (int64_t place = p->place = plan->segment_ends[segment]; place > begin; place--) {
        if (cancelled(&p->b)) return VG_CANCELLED;
        if (place > begin + 1) fetch_ahead(p, place - 1);
        body of = body_of(plan, place);
        char *slot = p->slots[place - begin - 1] + (of.end - of.first) * SLOT_BYTES;
        p->place = place;
        p->saturated = splat_int(0);
        p->units = 0;
        clear_weights(p);
        for (const vg_operation *o = of.end; o > of.first;) {
            o--;
            slot -= SLOT_BYTES;
            operations[o->kind].back(p, o, slot);
        }
        record_saturation(&p->b, place, p->saturated, p->units);
        if (!plan->shared) record_weights(p, place);
        p->place = place - 1;
        arrive_at(p);
    }
    return VG_OK;
}

/* The state before the first step: (X_0, 0, …). */
static void draw_state(pass *p, columns *registers)
{
    draw_inputs(p, &registers[0]);
    for (int64_t r = 1; r < p->b.plan->state; r++) {
        registers[r].rows = p->b.plan->widths[0];
        clear_columns(&registers[r]);
    }
}

/* The matrices that all places share. */
static void make_shared_matrices(pass *p)
{
    const vg_plan *plan = p->b.plan;
    for (const vg_operation *o = plan->operations; o < plan->operations + plan->bodies[plan->n_bodies]; o++)
        if (o->kind == VG_WEIGHTS) make_matrix(p, o, matrix_number(p, o));
}

static int run_tangents(pass *p)
{
    int status = VG_OK;
    draw_tangents(p, p->starts);
    for (int64_t segment = 0; segment < p->b.plan->n_segments && status == VG_OK; segment++)
        status = segment_ahead(p, segment, 1);
    return status;
}

NOINLINE static int run_pass(const vg_plan *plan, uint64_t group, void *scratch)
{
    pass p = {.b = {.plan = plan, .first_row = (int64_t)(group * (uint64_t)LANES - plan->first)}};
    arena a = {0, scratch};
    int64_t last = plan->n_segments - 1;
    int status = VG_OK, recorded = plan->weight_gradient || plan->update_ratio;
    place_pass(&p, &a);
    open_samples(&p.b.keys, plan->key, group * (uint64_t)LANES);
    if (plan->shared) make_shared_matrices(&p);
    draw_gate_biases(&p);
    draw_state(&p, p.starts);
    p.x[0] = p.starts[0];
    no_groups(plan, p.start_groups);
    record_activations(&p);
    if (plan->tangents) return run_tangents(&p);

    for (int64_t segment = 0; segment <= last && status == VG_OK; segment++)
        status = segment_ahead(&p, segment, 1);
    if (status != VG_OK) return status;
    p.place = plan->depth;
    draw_cotangent(&p.b, &p.x[0], &p.g[0]);
    for (int64_t r = 1; r < plan->state; r++) {
        p.g[r].rows = plan->widths[plan->depth];
        clear_columns(&p.g[r]);
    }
    arrive_at(&p);
    p.gradient_exponent = LOWEST;
    if (plan->shared) {
        p.shared_gradient.rows = plan->widths[0];
        p.shared_gradient.count = plan->shared * plan->widths[0];
        zero_columns(&p.shared_gradient);
    }
    for (int64_t segment = last; segment >= 0 && status == VG_OK; segment--) {
        if (segment < last) status = segment_ahead(&p, segment, 0);
        if (status == VG_OK) status = segment_back(&p, segment);
    }
    if (plan->shared && recorded && status == VG_OK) record_shared_weights(&p);
    return status;
}

static size_t pass_bytes(const vg_plan *plan)
{
    pass p = {.b = {.plan = plan}};
    arena a = {0, NULL};
    size_t most = 0;
    place_pass(&p, &a);
    for (int64_t segment = 0, place = 1; segment < plan->n_segments; segment++) {
        arena tape = {0, NULL};
        for (int64_t r = 0; r < plan->state; r++) take_columns(&tape, plan->widest, p.batch, p.batch);
        size_t bytes = tape.bytes;
        for (; place <= plan->segment_ends[segment]; place++)
            bytes += body_bytes(plan, plan->order[place - 1]);
        if (bytes > most) most = bytes;
    }
    return a.bytes + most;
}

#endif
