/* A kernel: all code for one instruction set and one real type, exported as one table of functions.
   Plain networks are run by run_sweep (vg_recursion.h) or run_chain (vg_chain.h), all others by
   run_pass (vg_walk.h). */
#include "vg_chain.h"
#include "vg_recursion.h"
#include "vg_walk.h"

static size_t scratch_bytes(const vg_plan *plan)
{
    if (plan->engine == VG_SCALAR) return chain_bytes(plan);
    return plan->plain ? sweep_bytes(plan) : pass_bytes(plan);
}

static size_t stored_bytes(const vg_plan *plan, int64_t body)
{
    if (plan->engine == VG_SCALAR) return sizeof(chain_layer);
    return plan->plain ? sizeof(sums) : body_bytes(plan, body);
}

NOINLINE static int run_samples(const vg_plan *plan, uint64_t group, void *scratch)
{
    if (plan->engine == VG_SCALAR) return run_chain(plan, group, scratch);
    return plan->plain ? run_sweep(plan, group, scratch) : run_pass(plan, group, scratch);
}

/* Sets the default rounding mode, so that results do not depend on the caller's. Subnormal numbers,
   on which no result depends, are flushed to zero because some processors are slow on them. run_block
   is not inlined, so that no operation on reals moves out of the region with this mode. */
static int run(const vg_plan *plan, uint64_t group, void *scratch)
{
#if defined(__SSE2__)
    unsigned saved = _mm_getcsr();
    _mm_setcsr(0x1f80 | 0x8040);
    int status = run_samples(plan, group, scratch);
    _mm_setcsr(saved);
#elif defined(__aarch64__)
    uint64_t saved, mode = 1 << 24;
    __asm__ volatile("mrs %0, fpcr" : "=r"(saved) : : "memory");
    __asm__ volatile("msr fpcr, %0" : : "r"(mode) : "memory");
    int status = run_samples(plan, group, scratch);
    __asm__ volatile("msr fpcr, %0" : : "r"(saved) : "memory");
#else
    int status = run_samples(plan, group, scratch);
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

static void one_activation(int id, const double p[2], const void *table, double h, int64_t exponent,
                           double out[3])
{
    V raw[1] = {splat(h)}, y[1], d[1], g[1] = {{0}};
    real own[2];
    parameters parameters = parameters_of(&activations[id], table, p, own);
    I e = splat_int(exponent);
    layer l = {.width = 1, .raw = raw, .a = splat(1), .exponent = e, .gauge = gauge_of(e)};
    outcome o = forward_through(&activations[id], parameters, &l, y);
    recall(&activations[id], parameters, &l, o, y, d, g);
    out[0] = y[0][0];
    out[1] = d[0][0];
    out[2] = (double)o.value_exponent[0];
}

#define ACTIVATION_NAME(name, kind, tail) #name,
static const char *const activation_names[] = {VG_ACTIVATIONS(ACTIVATION_NAME)
                                                   VG_CUSTOM_ACTIVATIONS(ACTIVATION_NAME)};

#define PASTE_(a, b, c) a##b##_##c
#define PASTE(a, b, c) PASTE_(a, b, c)

const vg_kernel PASTE(vg_kernel_, VG_ISA, VG_BITS) = {
    LANES, BUILT_IN + CUSTOM, CUSTOM,   activation_names, scratch_bytes, stored_bytes, run, words,
    draws, gamma_draws,       generate, one_activation};
