/* The laws of weights, in rows of raw entries. Those that only the dense engine has are drawn one
   quad of four entries at a time, from random numbers of 31 bits and a sign (32-bit reals) or of 52
   bits and a sign, so that the tails reach the probabilities 2^-32 and 2^-53.

     Laplace     ± (−2 log u)
     Rademacher  ± 1
     Student     √(ν expm1(−2 log(u)/ν)) cos θ with ν degrees of freedom (Bailey, Math. Comp. 1994)
     sparse      a normal times a mask of zeros and ones
     diagonal    a normal; the rows add the diagonal (vg_weights.h)
     custom      q(e^-w/2) or q(1 − e^-w/2), w = −log u and q the quantile function: two polynomials of w
                 (vg_pieces.h, vgsim/_networks/custom_weights.py) */
#ifndef VG_LAWS_H
#define VG_LAWS_H

#include "vg_draws.h"
#include "vg_pieces.h"

#define MASK_BLOCK 0x80000000u /* first block of a mask: entries use the blocks below */

/* The random bits of quad `quad`, one word for each entry: BLOCKS blocks. */
INLINE void quad_bits(const stream *s, uint32_t quad, U bits[4])
{
    W word[BLOCKS * PARTS][4];
    philox(s, quad * BLOCKS, BLOCKS, word);
#if VG_BITS == 32
    lane_words(word, bits);
#else
    for (int k = 0; k < 4; k++) bits[k] = joined(word[k / 2][k % 2 * 2], word[k / 2][k % 2 * 2 + 1]);
#endif
}

INLINE void laplace(const stream *s, uint32_t quad, V x[4])
{
    U bits[4];
    quad_bits(s, quad, bits);
    for (int k = 0; k < 4; k++) x[k] = with_bit(minus_two_logs(open_unit(bits[k])), bits[k]);
}

INLINE void rademacher(const stream *s, uint32_t quad, V x[4])
{
    U bits[4];
    quad_bits(s, quad, bits);
    for (int k = 0; k < 4; k++) x[k] = with_bit(splat(1), bits[k]);
}

/* |cos| of the angle of a pair, which may be in any octant. */
INLINE V cosine(const polar *p)
{
    V w = p->x * p->x;
    I keep = (I)(p->word[1] & SIGN_BIT >> 1) == 0;
    return choose(keep, POLYNOMIAL(w, COS), p->x * POLYNOMIAL(w, SIN));
}

/* An entry takes the random numbers of a pair of normals. */
INLINE void student_t(const stream *s, uint32_t quad, real degrees, V x[4])
{
    U bits[8];
    real rate = LOG2_E / degrees;
    quad_bits(s, 2 * quad, bits);
    quad_bits(s, 2 * quad + 1, bits + 4);
    for (int k = 0; k < 4; k++) {
        polar p = polar_of(bits[2 * k], bits[2 * k + 1]);
        V tail, scale = exp2_parts(minus_two_logs(p.u) * rate, 0, &tail);
        V radius = vsqrt(degrees * ((scale - 1) + tail));
        x[k] = with_bit(radius * cosine(&p), p.word[0]);
    }
}

/* An entry is kept if its word is at least `least`. */
INLINE void sparse(const stream *s, uint32_t quad, uint32_t least, V x[4])
{
    V keep[4];
    normals(s, quad, 1, x);
    keep_words(s, MASK_BLOCK + quad, least, keep);
    for (int k = 0; k < 4; k++) x[k] *= keep[k];
}

#define QUANTILE_COUNT 4
#define LONGEST_TAIL ((real)22.180709777918249) /* 32 log 2 */

INLINE void custom_law(const stream *s, uint32_t quad, const real *table, V x[4])
{
    U bits[4];
    quad_bits(s, quad, bits);
    for (int k = 0; k < 4; k++) {
        V c[2 * QUANTILE_COUNT], w = minus_two_logs(open_unit(bits[k])) * (real)0.5;
        V f = look_up(table, vmin(w, splat(LONGEST_TAIL)), 2 * QUANTILE_COUNT, c);
        I lower = (I)(bits[k] & SIGN_BIT) != 0;
        x[k] = choose(lower, piece_value(c, QUANTILE_COUNT, f),
                      piece_value(c + QUANTILE_COUNT, QUANTILE_COUNT, f));
    }
}

#define EACH_QUAD(call) \
    for (int64_t i = 0; i < count; i += 4) call

/* `count` raw entries from `quad` on, rounded up to whole quads. `table`: of a custom law. */
static NOINLINE void fill_entries(int law, double parameter, const real *table, const stream *s, int64_t quad,
                                  int64_t count, V *out)
{
    switch (law) {
    case VG_UNIFORM: fill_from(VG_UNIFORM, s, quad, count, out); break;
    case VG_TRUNCATED_NORMAL: fill_from(VG_TRUNCATED_NORMAL, s, quad, count, out); break;
    case VG_LAPLACE: EACH_QUAD(laplace(s, (uint32_t)(quad + i / 4), out + i)); break;
    case VG_RADEMACHER: EACH_QUAD(rademacher(s, (uint32_t)(quad + i / 4), out + i)); break;
    case VG_STUDENT_T: EACH_QUAD(student_t(s, (uint32_t)(quad + i / 4), (real)parameter, out + i)); break;
    case VG_SPARSE: EACH_QUAD(sparse(s, (uint32_t)(quad + i / 4), (uint32_t)parameter, out + i)); break;
    case VG_CUSTOM: EACH_QUAD(custom_law(s, (uint32_t)(quad + i / 4), table, out + i)); break;
    default: fill_from(VG_NORMAL, s, quad, count, out);
    }
}

#endif
