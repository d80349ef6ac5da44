/* A kernel: all code for one instruction set and one real type, exported as one table of functions.
   Plain networks are run by run_block, all others by run_pass (vg_walk.h). */
#include "vg_walk.h"

/* Places the arrays of a block in the scratch memory, or only computes their size. */
static void place_block(block *b, arena *a)
{
    const vg_plan *plan = b->plan;
    int64_t widest = 0, most_layers = 0, most_units = 0, begin = 0;
    for (int64_t l = 0; l <= plan->depth; l++)
        if (plan->widths[l] > widest) widest = plan->widths[l];
    for (int64_t segment = 0; segment < plan->n_segments; segment++) {
        int64_t end = plan->segment_ends[segment], units = 0;
        for (int64_t l = begin + 1; l <= end; l++)
            units += whole_quads(plan->widths[l]) * (plan->bias_scale[l] > 0 ? 2 : 1);
        if (units > most_units) most_units = units;
        if (end - begin > most_layers) most_layers = end - begin;
        begin = end;
    }
    size_t row = (size_t)whole_quads(widest) * sizeof(V);
    b->layers = take(a, (size_t)most_layers * sizeof(layer));
    b->outcomes = take(a, (size_t)(plan->depth + 1) * sizeof(outcome));
    b->store = take(a, (size_t)most_units * sizeof(V));
    b->input = take(a, row);
    b->y = take(a, row);
    b->d = take(a, row);
    b->g = take(a, row);
    if (plan->engine != VG_DENSE) return;
    b->x = take(a, row);
    b->outgoing = take(a, row);
    b->checkpoints = take(a, (size_t)plan->n_segments * sizeof(V *));
    begin = 0;
    for (int64_t segment = 0; segment < plan->n_segments; segment++) {
        V *x = take(a, (size_t)whole_quads(plan->widths[begin]) * sizeof(V));
        if (a->base) b->checkpoints[segment] = x;
        begin = plan->segment_ends[segment];
    }
}

static size_t scratch_bytes(const vg_plan *plan)
{
    if (!plan->plain) return pass_bytes(plan);
    block b = {.plan = plan};
    arena a = {0, NULL};
    place_block(&b, &a);
    return a.bytes;
}

NOINLINE static int run_block(const vg_plan *plan, uint64_t group, void *scratch)
{
    if (!plan->plain) return run_pass(plan, group, scratch);
    block b = {.plan = plan,
               .phi = &activations[plan->activation],
               .parameters = {(real)plan->parameters[0], (real)plan->parameters[1]},
               .first_row = (int64_t)(group * (uint64_t)LANES - plan->first)};
    arena a = {0, scratch};
    place_block(&b, &a);
    open_samples(&b.keys, plan->key, group * (uint64_t)LANES);

    draw_input(&b);
    record_activation(&b, 0);
    if (plan->engine == VG_DENSE) rescale(b.checkpoints[0], b.input, plan->widths[0], b.outcomes[0].square);

    int status = VG_OK;
    for (int64_t segment = 0; segment < plan->n_segments && status == VG_OK; segment++)
        status = forward_segment(&b, segment, 1);
    for (int64_t segment = plan->n_segments - 1; segment >= 0 && status == VG_OK; segment--) {
        if (segment < plan->n_segments - 1) status = forward_segment(&b, segment, 0);
        if (status == VG_OK) status = backward_segment(&b, segment);
    }
    if (status == VG_OK) reach_input(&b);
    return status;
}

/* Sets the default rounding mode, so that results do not depend on the caller's. Subnormal numbers,
   on which no result depends, are flushed to zero because some processors are slow on them. run_block
   is not inlined, so that no operation on reals moves out of the region with this mode. */
static int run(const vg_plan *plan, uint64_t group, void *scratch)
{
#if defined(__SSE2__)
    unsigned saved = _mm_getcsr();
    _mm_setcsr(0x1f80 | 0x8040);
    int status = run_block(plan, group, scratch);
    _mm_setcsr(saved);
#elif defined(__aarch64__)
    uint64_t saved, mode = 1 << 24;
    __asm__ volatile("mrs %0, fpcr" : "=r"(saved) : : "memory");
    __asm__ volatile("msr fpcr, %0" : : "r"(mode) : "memory");
    int status = run_block(plan, group, scratch);
    __asm__ volatile("msr fpcr, %0" : : "r"(saved) : "memory");
#else
    int status = run_block(plan, group, scratch);
#endif
    return status;
}

static void words(const uint32_t key[2], uint32_t stream_id, uint32_t layer, uint64_t index, uint32_t block,
                  int64_t count, uint32_t *out)
{
    sample_keys keys;
    int lane = (int)(index % LANES);
    open_samples(&keys, key, index - (uint64_t)lane);
    stream s = open_stream(&keys, stream_id, layer);
    for (int64_t i = 0; i < count; i++) {
        W word[PARTS][4];
        philox(&s, block + (uint32_t)(i / 4), 1, word);
        out[i] = (uint32_t)word[lane % PARTS][i % 4][lane / PARTS];
    }
}

static void draws(const uint32_t key[2], uint32_t stream_id, uint32_t layer, uint64_t index, int law,
                  int64_t count, double *out)
{
    sample_keys keys;
    int lane = (int)(index % LANES);
    open_samples(&keys, key, index - (uint64_t)lane);
    stream s = open_stream(&keys, stream_id, layer);
    for (int64_t quad = 0; 4 * quad < count; quad++) {
        V v[4];
        draw(law, &s, (uint32_t)quad, 1, v);
        for (int64_t i = 4 * quad; i < count && i < 4 * quad + 4; i++) out[i] = v[i % 4][lane];
    }
}

static double generate(const uint32_t key[2], uint64_t groups, int64_t layers, int64_t units, void *scratch)
{
    sample_keys keys;
    V *z = scratch, total = {0};
    double sum = 0;
    for (uint64_t group = 0; group < groups; group++) {
        open_samples(&keys, key, group * (uint64_t)LANES);
        for (int64_t layer = 1; layer <= layers; layer++) {
            stream s = open_stream(&keys, VG_STREAM_FORWARD, (uint32_t)layer);
            fill(VG_NORMAL, &s, units, z);
            total += z[0];
        }
    }
    for (int k = 0; k < LANES; k++) sum += total[k];
    return sum;
}

static void one_activation(int id, const double p[2], double h, int64_t exponent, double out[3])
{
    V raw[1] = {splat(h)}, y[1], d[1], g[1] = {{0}};
    real parameters[2] = {(real)p[0], (real)p[1]};
    I e = splat_int(exponent);
    layer l = {.width = 1, .raw = raw, .a = splat(1), .exponent = e, .gauge = gauge_of(e)};
    outcome o = forward_through(&activations[id], parameters, &l, y);
    recall(&activations[id], parameters, &l, o, y, d, g);
    out[0] = y[0][0];
    out[1] = d[0][0];
    out[2] = (double)o.value_exponent[0];
}

#define ACTIVATION_NAME(name, kind, tail) #name,
static const char *const activation_names[] = {VG_ACTIVATIONS(ACTIVATION_NAME)};

#define PASTE_(a, b, c) a##b##_##c
#define PASTE(a, b, c) PASTE_(a, b, c)

const vg_kernel PASTE(vg_kernel_, VG_ISA, VG_BITS) = {LANES,
                                                      sizeof activations / sizeof activations[0],
                                                      activation_names,
                                                      scratch_bytes,
                                                      body_bytes,
                                                      run,
                                                      words,
                                                      draws,
                                                      generate,
                                                      one_activation};
