/* Raw draws of a stream, in quads of four consecutive values: N(0, 1), U(−1, 1), N(0, 1) truncated
   to ±2.

   Normals are Box-Muller pairs with the angle in the first octant. Three random bits exchange the
   two values and set their signs, which covers the circle. So sine and cosine have full relative
   accuracy, and no normal is 0.

     32 bits: radius from 31 bits (up to 6.66), angle from 30 bits; a block of four words is a quad.
     64 bits: radius from 52 bits (up to 8.57), angle from 52 bits; a block of four words is a pair.

   Uniforms take one word each: (k + ½) 2^-23 with 24 bits, (k + ½) 2^-31 with 32 bits. */
#ifndef VG_DRAWS_H
#define VG_DRAWS_H

#include "vg_api.h"
#include "vg_math.h"
#include "vg_philox.h"

/* Quads drawn side by side, so that their chains of dependent operations overlap. */
#define QUADS 2

/* The random numbers of one pair: two words whose top bits are signs, of which the second's next bit
   keeps the order of the values; u in (0, 1) for the radius and x in (0, 1] for the angle x π/4. */
typedef struct {
    U word[2];
    V u, x;
} polar;

INLINE V with_bit(V z, U word) { return (V)((U)z ^ (word & SIGN_BIT)); }

/* −2 log u for 0 < u < 1, u = 2^e (1 + f). */
INLINE V minus_two_logs(V u)
{
#if VG_BITS == 32
    I shifted = ((I)u - (I)splat(SQRT_HALF)) & -0x800000; /* e 2^23 */
    V f = (V)((I)u - shifted) - 1;
    return to_real(shifted) * (LN_2 * -0x1p-22f) + f * (POLYNOMIAL(f, RADIUS) * f - 2);
#else
    V f, e = split(u, &f), s = f / (2 + f), w = s * s;
    return e * (LN_2 * -2) + s * (POLYNOMIAL(w, RADIUS) * w - 4);
#endif
}

/* z ← √(−2 log u) (cos θ, sin θ), θ = x π/4, exchanged and signed as the bits say. */
INLINE void normal_pairs(const polar *p, int count, V *z)
{
    V radius[2 * QUADS], cosine[2 * QUADS], sine[2 * QUADS];
    for (int k = 0; k < count; k++) radius[k] = vsqrt(minus_two_logs(p[k].u));
    for (int k = 0; k < count; k++) {
        V w = p[k].x * p[k].x;
        cosine[k] = POLYNOMIAL(w, COS);
        sine[k] = p[k].x * POLYNOMIAL(w, SIN);
    }
    for (int k = 0; k < count; k++) {
        V c = radius[k] * cosine[k], s = radius[k] * sine[k];
        I keep = (I)(p[k].word[1] & SIGN_BIT >> 1) == 0;
        z[2 * k] = with_bit(choose(keep, c, s), p[k].word[0]);
        z[2 * k + 1] = with_bit(choose(keep, s, c), p[k].word[1]);
    }
}

#if VG_BITS == 32

/* The four words of every lane. */
INLINE void lane_words(W word[][4], U out[4])
{
    for (int k = 0; k < 4; k++) out[k] = interleaved(word[0][k], word[1][k]);
}

/* (k + ½) 2^-bits for the low bits k of a word: the power of two is subtracted from the exponent. */
INLINE V fraction(U word, int bits)
{
    V x = to_real((I)(word & ((1u << bits) - 1))) + 0.5f;
    return (V)((I)x - (bits << SIGNIFICAND_BITS));
}

/* From 31 bits, and below 1 after rounding too. */
INLINE V open_unit(U word) { return vmin(fraction(word, 31), splat(1 - 0x1p-24f)); }

INLINE polar polar_of(U radius, U angle)
{
    return (polar){{radius, angle}, open_unit(radius), fraction(angle, 30)};
}

#define BLOCKS 1 /* of a quad of normals */

INLINE void normals_of(W word[][4], int quads, V *z)
{
    polar p[2 * QUADS];
    for (int q = 0; q < quads; q++) {
        U w[4];
        lane_words(word + q * PARTS, w);
        for (int k = 0; k < 2; k++) p[2 * q + k] = polar_of(w[2 * k], w[2 * k + 1]);
    }
    normal_pairs(p, 2 * quads, z);
}

/* keep ← 1 for each of four words of at least `least`, else 0. */
INLINE void keep_words(const stream *s, uint32_t quad, uint32_t least, V *keep)
{
    W word[PARTS][4];
    U w[4];
    philox(s, quad, 1, word);
    lane_words(word, w);
    for (int k = 0; k < 4; k++) keep[k] = choose((I)(w[k] >= least), splat(1), splat(0));
}

INLINE void uniforms(const stream *s, uint32_t quad, int quads, V *v)
{
    W word[QUADS * PARTS][4];
    philox(s, quad, quads, word);
    for (int q = 0; q < quads; q++) {
        U w[4];
        lane_words(word + q * PARTS, w);
        for (int k = 0; k < 4; k++) v[4 * q + k] = (to_real((I)w[k] >> 8) + 0.5f) * 0x1p-23f;
    }
}

#else

/* (k + ½) 2^-52 for the low 52 bits k, exactly: 1 + k 2^-52, from its bits, minus 1 − 2^-53. */
INLINE V open_unit(U word) { return (V)((word & 0xfffffffffffff) | 0x3ff0000000000000) - (1 - 0x1p-53); }

INLINE polar polar_of(U radius, U angle)
{
    return (polar){{radius, angle}, open_unit(radius), open_unit(angle)};
}

INLINE U joined(W high, W low) { return (U)(high << 32 | (low & 0xffffffff)); }

#define BLOCKS 2

INLINE void normals_of(W word[][4], int quads, V *z)
{
    polar p[2 * QUADS];
    for (int k = 0; k < 2 * quads; k++)
        p[k] = polar_of(joined(word[k][0], word[k][1]), joined(word[k][2], word[k][3]));
    normal_pairs(p, 2 * quads, z);
}

INLINE void keep_words(const stream *s, uint32_t quad, uint32_t least, V *keep)
{
    W word[1][4];
    philox(s, quad, 1, word);
    for (int k = 0; k < 4; k++) keep[k] = choose((I)((word[0][k] & 0xffffffff) >= least), splat(1), splat(0));
}

INLINE void uniforms(const stream *s, uint32_t quad, int quads, V *v)
{
    W word[QUADS][4];
    philox(s, quad, quads, word);
    for (int k = 0; k < 4 * quads; k++) { /* 2^52 + (w + 2^31), from its bits, minus 2^52 + 2^31 */
        U shifted = ((word[k / 4][k % 4] ^ 0x80000000) & 0xffffffff) | 0x4330000000000000;
        v[k] = (((V)shifted - (0x1p52 + 0x1p31)) + 0.5) * 0x1p-31;
    }
}

#endif

INLINE void normals(const stream *s, uint32_t quad, int quads, V *z)
{
    W word[QUADS * BLOCKS * PARTS][4];
    philox(s, quad * BLOCKS, quads * BLOCKS, word);
    normals_of(word, quads, z);
}

/* Φ⁻¹(½ + v erf(√2)/2), v uniform. */
INLINE void truncated_normals(const stream *s, uint32_t quad, int quads, V *z)
{
    uniforms(s, quad, quads, z);
    for (int k = 0; k < 4 * quads; k++) {
        V q = z[k] * (real)0.9544997361036416;
        V w = -vlog((1 - q) * (1 + q));
        z[k] = z[k] * POLYNOMIAL(w, TRUNCATED);
    }
}

/* `quads` consecutive quads of a law. */
INLINE void draw(int law, const stream *s, uint32_t quad, int quads, V *v)
{
    if (law == VG_NORMAL)
        normals(s, quad, quads, v);
    else if (law == VG_UNIFORM)
        uniforms(s, quad, quads, v);
    else
        truncated_normals(s, quad, quads, v);
}

/* `count` values from `quad` on, rounded up to whole quads. */
INLINE void fill_from(int law, const stream *s, int64_t quad, int64_t count, V *out)
{
    int64_t i = 0;
    for (; i + 4 * (QUADS - 1) < count; i += 4 * QUADS)
        draw(law, s, (uint32_t)(quad + i / 4), QUADS, out + i);
    for (; i < count; i += 4) draw(law, s, (uint32_t)(quad + i / 4), 1, out + i);
}

/* `count` normals from `quad` on of two streams side by side, rounded up to whole quads. */
static __attribute__((noinline)) void fill_two(const stream *a, const stream *b, int64_t quad, int64_t count,
                                               V *y, V *z)
{
    for (int64_t i = 0; i < count; i += 4) {
        W word[2 * BLOCKS * PARTS][4];
        V both[8];
        uint32_t block = (uint32_t)(quad + i / 4) * BLOCKS;
        philox_begin(a, block, BLOCKS, word);
        philox_begin(b, block, BLOCKS, word + BLOCKS * PARTS);
        philox_finish(a->keys, 2 * BLOCKS, word);
        normals_of(word, 2, both);
        for (int k = 0; k < 4; k++) y[i + k] = both[k], z[i + k] = both[4 + k];
    }
}

INLINE void fill(int law, const stream *s, int64_t count, V *out) { fill_from(law, s, 0, count, out); }

#endif
