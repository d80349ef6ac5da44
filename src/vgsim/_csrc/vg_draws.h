/* Raw draws of a stream, in quads of four consecutive values: N(0, 1), U(−1, 1), N(0, 1) cut at 2.

   Normals are Box-Muller pairs with the angle in the first octant; an exchange and two signs, each a
   random bit, fill the circle. So both sine and cosine keep full relative accuracy and no normal is 0.

     32 bits: radius from 31 bits (up to 6.66), angle from 29 bits; a block of four words is a quad.
     64 bits: radius from 52 bits (up to 8.57), angle from 52 bits; a block of four words is a pair.

   Uniforms take one word each: (k + ½) 2^-23 with 24 bits, (k + ½) 2^-31 with 32 bits. */
#ifndef VG_DRAWS_H
#define VG_DRAWS_H

#include "vg_api.h"
#include "vg_math.h"
#include "vg_philox.h"

/* z = √(−2 ln u) (cos θ, sin θ), θ = x π/4, 0 < x < 1; then exchanged and signed by three bits. */
INLINE void normal_pair(V u, V x, I exchange, U sign0, U sign1, V z[2])
{
    V f, e = split(u, &f);
    V r = vsqrt((e * LN_2 + log_near_one(f)) * -2);
    V w = x * x, c = r * POLYNOMIAL(w, COS), s = r * (x * POLYNOMIAL(w, SIN));
    z[0] = (V)((U)choose(exchange, s, c) ^ (sign0 & SIGN_BIT));
    z[1] = (V)((U)choose(exchange, c, s) ^ (sign1 & SIGN_BIT));
}

#if VG_BITS == 32

INLINE void normal_pair_from(U radius, U angle, V z[2])
{
    V u = vmin((to_real((I)(radius >> 1)) + 0.5f) * 0x1p-31f, splat(1 - 0x1p-24f));
    V x = (to_real((I)(angle & 0x1fffffff)) + 0.5f) * 0x1p-29f;
    normal_pair(u, x, (I)(angle << 2) >> 31, angle, angle << 1, z);
}

INLINE void normals(const stream *s, uint32_t quad, V z[4])
{
    U word[4];
    philox_words(s, quad, word);
    normal_pair_from(word[0], word[1], z);
    normal_pair_from(word[2], word[3], z + 2);
}

INLINE void uniforms(const stream *s, uint32_t quad, V v[4])
{
    U word[4];
    philox_words(s, quad, word);
    for (int k = 0; k < 4; k++) v[k] = (to_real((I)word[k] >> 8) + 0.5f) * 0x1p-23f;
}

#else

/* (k + ½) 2^-52 for the low 52 bits k: 1 + k 2^-52 by its bits, less 1 − 2^-53, exactly. */
INLINE V unit_interval(U bits) { return (V)((bits & 0xfffffffffffff) | 0x3ff0000000000000) - (1 - 0x1p-53); }

INLINE void normals(const stream *s, uint32_t quad, V z[4])
{
    for (uint32_t pair = 0; pair < 2; pair++) {
        W word[4];
        philox(s, 2 * quad + pair, 0, word);
        U radius = word[0] << 32 | (word[1] & 0xffffffff), angle = word[2] << 32 | (word[3] & 0xffffffff);
        normal_pair(unit_interval(radius >> 12), unit_interval(angle), (I)(angle << 2) >> 63, angle, angle << 1,
                    z + 2 * pair);
    }
}

INLINE void uniforms(const stream *s, uint32_t quad, V v[4])
{
    W word[4];
    philox(s, quad, 0, word);
    for (int k = 0; k < 4; k++) { /* 2^52 + (w + 2^31) by its bits, less 2^52 + 2^31 */
        U shifted = ((word[k] ^ 0x80000000) & 0xffffffff) | 0x4330000000000000;
        v[k] = (((V)shifted - (0x1p52 + 0x1p31)) + 0.5) * 0x1p-31;
    }
}

#endif

/* Φ⁻¹(½ + v erf(√2)/2), v uniform. */
INLINE void truncated_normals(const stream *s, uint32_t quad, V z[4])
{
    uniforms(s, quad, z);
    for (int k = 0; k < 4; k++) {
        V q = z[k] * (real)0.9544997361036416;
        V w = -vlog((1 - q) * (1 + q));
        z[k] = z[k] * POLYNOMIAL(w, TRUNCATED);
    }
}

INLINE void draw(int law, const stream *s, uint32_t quad, V v[4])
{
    if (law == VG_NORMAL)
        normals(s, quad, v);
    else if (law == VG_UNIFORM)
        uniforms(s, quad, v);
    else
        truncated_normals(s, quad, v);
}

/* count values from the first on; `out` has room for whole quads. */
INLINE void fill(int law, const stream *s, int64_t count, V *out)
{
    for (int64_t i = 0; i < count; i += 4) draw(law, s, (uint32_t)(i / 4), out + i);
}

#endif
