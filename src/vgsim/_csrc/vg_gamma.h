/* χ² and binomial draws in lanes, each lane with degrees of freedom of its own.

   They consume a stream by quads: a quad is one block of four words in 32 bits and two blocks in
   64 bits. Attempt r of a rejection method reads the quad r of the draw in all lanes, whether or not
   they need it, so that no lane depends on another. */
#ifndef VG_GAMMA_H
#define VG_GAMMA_H

#include "vg_draws.h"

#define LANE_BITS (8 * (int)sizeof(real))
#define BLOCK_BITS 128

#if VG_BITS == 32
typedef uint32_t lane_word;
#else
typedef uint64_t lane_word;
#endif

#define bytes_of(byte) ((U){0} + (lane_word)(0x0101010101010101u * (byte)))

INLINE V to_reals(I a) { return __builtin_convertvector(a, V); }

/* The random numbers of an attempt at two χ²: normals and uniforms in (0, 1). */
typedef struct {
    V x[2], u[2];
} attempt;

#if VG_BITS == 32

/* The uniform and the angle of a Box-Muller pair, as in `normals`. */
INLINE V open_unit(U w) { return vmin((to_real((I)(w >> 1)) + 0.5f) * 0x1p-31f, splat(1 - 0x1p-24f)); }

INLINE polar polar_of(U radius, U angle)
{
    return (polar){open_unit(radius), (to_real((I)(angle & 0x1fffffff)) + 0.5f) * 0x1p-29f, angle};
}

INLINE attempt draw_attempt(const stream *s, uint32_t quad)
{
    W word[PARTS][4];
    U w[4];
    attempt a;
    philox(s, quad, 1, word);
    lane_words(word, w);
    polar p = polar_of(w[0], w[1]);
    normal_pairs(&p, 1, a.x);
    a.u[0] = open_unit(w[2]);
    a.u[1] = open_unit(w[3]);
    return a;
}

/* The 128 bits of block `quad`. */
INLINE void draw_bits(const stream *s, uint32_t quad, U bits[4])
{
    W word[PARTS][4];
    philox(s, quad, 1, word);
    lane_words(word, bits);
}

#else

INLINE U joined(W high, W low) { return (U)(high << 32 | (low & 0xffffffff)); }

INLINE polar polar_of(U radius, U angle)
{
    return (polar){unit_interval(radius >> 12), unit_interval(angle), angle};
}

INLINE attempt draw_attempt(const stream *s, uint32_t quad)
{
    W word[2][4];
    attempt a;
    philox(s, 2 * quad, 2, word);
    polar p = polar_of(joined(word[0][0], word[0][1]), joined(word[0][2], word[0][3]));
    normal_pairs(&p, 1, a.x);
    for (int k = 0; k < 2; k++) a.u[k] = unit_interval(joined(word[1][2 * k], word[1][2 * k + 1]) >> 12);
    return a;
}

/* The 256 bits of two blocks. */
INLINE void draw_bits(const stream *s, uint32_t quad, U bits[4])
{
    W word[2][4];
    philox(s, 2 * quad, 2, word);
    for (int k = 0; k < 4; k++) bits[k] = joined(word[k / 2][k % 2 * 2 + 1], word[k / 2][k % 2 * 2]);
}

#endif

/* The first two normals of quad 0, or all four. */
INLINE void first_normals(const stream *s, int count, V *z)
{
    if (count > 2) {
        normals(s, 0, 1, z);
    } else {
        attempt a = draw_attempt(s, 0);
        z[0] = a.x[0];
        z[1] = a.x[1];
    }
}

/* Adds two words to a column of bits, and returns the carries. */
INLINE U add_bits(U *sum, U a, U b)
{
    U either = *sum ^ a, carry = (*sum & a) | (either & b);
    *sum = either ^ b;
    return carry;
}

INLINE I count_bits(U w)
{
    w -= w >> 1 & bytes_of(0x55);
    w = (w & bytes_of(0x33)) + (w >> 2 & bytes_of(0x33));
    w = (w + (w >> 4)) & bytes_of(0x0f);
    for (int shift = 8; shift < LANE_BITS; shift *= 2) w += w >> shift;
    return (I)(w & 0x7f);
}

/* Bin(n, ½): the ones among the first n bits of a stream. */
INLINE I binomial_half(const stream *s, int64_t n)
{
    U ones = {0}, twos = {0};
    I fours = {0};
    uint32_t quad = 0;
    for (int64_t left = n; left > 0; left -= 4 * LANE_BITS, quad++) {
        U bits[4];
        draw_bits(s, quad, bits);
        for (int k = 0; k < 4; k++) {
            int64_t own = left - k * LANE_BITS;
            if (own < LANE_BITS) bits[k] &= own > 0 ? ((lane_word)1 << own) - 1 : 0;
        }
        U carry = add_bits(&ones, bits[0], bits[1]);
        fours += count_bits(add_bits(&twos, carry, add_bits(&ones, bits[2], bits[3])));
    }
    return fours * 4 + count_bits(twos) * 2 + count_bits(ones);
}

/* The quads that are free after the bits of Bin(n, ½). */
INLINE uint32_t quads_of_bits(int64_t n) { return (uint32_t)((n + BLOCK_BITS - 1) / BLOCK_BITS); }

/* Marsaglia & Tsang (ACM TOMS 26, 2000) for the shape ν/2 = d + 1/3 ≥ 1: χ² = 2d (1 + t)³ with
   t = x/√(9d) is accepted if log u < x²/2 + d [3 log(1 + t) − t (3 + t (3 + t))]. */
static __attribute__((noinline)) I passes(V d, V t, V x, V u)
{
    V base = 1 + t;
    I some = base > 0;
    V logs = 3 * vlog(choose(some, base, splat(1))) - t * (3 + t * (3 + t));
    return some & (vlog(u) < x * x * (real)0.5 + d * logs);
}

/* One attempt at two χ²; returns where it is accepted. The right side above is at least −x²t²/6 for
   |t| ≤ ½, and u < 1 − y implies log u < −y: most attempts need no logarithm. */
INLINE void attempt_chi_squares(const V nu[2], const attempt *a, V value[2], I accepted[2])
{
    V d[2], t[2];
    for (int k = 0; k < 2; k++) {
        V x = a->x[k], square = x * x, twice = vmax(nu[k], splat(2)) - (real)(2.0 / 3);
        d[k] = twice * (real)0.5;
        t[k] = x * vsqrt((real)(2.0 / 9) / twice);
        V base = 1 + t[k];
        value[k] = choose(nu[k] < 2, choose(nu[k] < 1, splat(0), square), twice * (base * base * base));
        accepted[k] = (nu[k] < 2) |
                      ((vabs(t[k]) <= (real)0.5) & (a->u[k] < 1 - square * (t[k] * t[k]) * (real)(1.0 / 6)));
    }
    if (any(~(accepted[0] & accepted[1])))
        for (int k = 0; k < 2; k++) accepted[k] |= passes(d[k], t[k], a->x[k], a->u[k]);
}

/* The attempts after the first. */
static __attribute__((noinline)) void retry(const stream *s, uint32_t quad, const V nu[2], V out[2],
                                            I done[2])
{
    while (any(~(done[0] & done[1]))) {
        attempt a = draw_attempt(s, quad++);
        V value[2];
        I accepted[2];
        attempt_chi_squares(nu, &a, value, accepted);
        for (int k = 0; k < 2; k++) {
            out[k] = choose(~done[k] & accepted[k], value[k], out[k]);
            done[k] |= accepted[k];
        }
    }
}

/* χ² with ν_0 and ν_1 degrees of freedom, integers; 0 for ν ≤ 0, x² for ν = 1. */
INLINE void chi_squares(const stream *s, uint32_t quad, const V nu[2], V out[2])
{
    attempt a = draw_attempt(s, quad);
    I done[2];
    attempt_chi_squares(nu, &a, out, done);
    if (any(~(done[0] & done[1]))) retry(s, quad + 1, nu, out, done);
}

/* For `count` samples from `first` on: Bin(trials, ½), then both χ² of degrees[sample], as a row of
   three numbers. */
static void gamma_draws(const uint32_t key[2], uint32_t stream_id, uint32_t layer, uint64_t first,
                        int64_t count, int64_t trials, const double *degrees, double *out)
{
    sample_keys keys;
    for (int64_t begin = -(int64_t)(first % LANES); begin < count; begin += LANES) {
        open_samples(&keys, key, first + (uint64_t)begin);
        stream s = open_stream(&keys, stream_id, layer);
        V nu[2] = {{0}}, value[2];
        for (int k = 0; k < LANES; k++)
            if (begin + k >= 0 && begin + k < count)
                for (int i = 0; i < 2; i++) nu[i][k] = (real)degrees[2 * (begin + k) + i];
        I ones = binomial_half(&s, trials);
        chi_squares(&s, quads_of_bits(trials), nu, value);
        for (int k = 0; k < LANES; k++) {
            if (begin + k < 0 || begin + k >= count) continue;
            double *row = out + 3 * (begin + k);
            row[0] = (double)ones[k];
            row[1] = value[0][k];
            row[2] = value[1][k];
        }
    }
}

#endif
