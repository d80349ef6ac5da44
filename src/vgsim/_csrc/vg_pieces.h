/* Piecewise polynomials with tables of coefficients (vgsim/_networks/piecewise.py).

   A table p is an array of reals:

     p[0]              number m of segments, 1 ≤ m ≤ 15
     p[4 + 4 j …]      of segment j: start, scale, shift, and the number of its first piece
     p[PIECES_HEAD …]  the rows: the coefficients of the pieces, `count` reals each, lowest degree first

   Segment j holds the t with start_j < t ≤ start_{j+1}; the first has no start and the last no end. In a
   segment u = t scale + shift, and the pieces lie at the integers nearest to u: the polynomials of a row
   are in u minus that integer, which lies in [−½, ½]. t must be clipped to the domain of the table. */
#ifndef VG_PIECES_H
#define VG_PIECES_H

#include "vg_math.h"

/* As choose and any, in one instruction each; every lane of `mask` is 0 or −1. */
#if VG_BYTES == 64 && VG_BITS == 32
INLINE V blend(I mask, V a, V b)
{
    return (V)_mm512_mask_blend_ps(_mm512_movepi32_mask((__m512i)mask), b, a);
}
INLINE int some(I mask) { return _mm512_movepi32_mask((__m512i)mask) != 0; }
#elif VG_BYTES == 64
INLINE V blend(I mask, V a, V b)
{
    return (V)_mm512_mask_blend_pd(_mm512_movepi64_mask((__m512i)mask), b, a);
}
INLINE int some(I mask) { return _mm512_movepi64_mask((__m512i)mask) != 0; }
#elif VG_BYTES == 32 && VG_BITS == 32
INLINE V blend(I mask, V a, V b) { return (V)_mm256_blendv_ps(b, a, (__m256)mask); }
INLINE int some(I mask) { return _mm256_movemask_ps((__m256)mask) != 0; }
#elif VG_BYTES == 32
INLINE V blend(I mask, V a, V b) { return (V)_mm256_blendv_pd(b, a, (__m256d)mask); }
INLINE int some(I mask) { return _mm256_movemask_pd((__m256d)mask) != 0; }
#else
INLINE V blend(I mask, V a, V b) { return choose(mask, a, b); }
#if defined(__SSE2__)
INLINE int some(I mask) { return _mm_movemask_epi8((__m128i)mask) != 0; }
#else
INLINE int some(I mask) { return any(mask); }
#endif
#endif

#define PIECES_HEAD 64
#define BLOCK_REALS ((int)(16 / sizeof(real))) /* `count` is a multiple of it */

/* c[i] ← entry `offset + i` of the row of each lane, for 0 ≤ i < BLOCK_REALS. The vector `line[r]` has
   these entries of lanes r, r + BLOCK_REALS, … in blocks of 16 bytes, and each block is transposed. */
#if VG_BYTES == 64 && VG_BITS == 32
#define ROW_BLOCK(k) _mm_loadu_ps(rows + at[k])
INLINE __m512 line_of(const real *rows, const lane_int *at, int r)
{
    __m512 a = _mm512_insertf32x4(_mm512_castps128_ps512(ROW_BLOCK(r)), ROW_BLOCK(r + 4), 1);
    return _mm512_insertf32x4(_mm512_insertf32x4(a, ROW_BLOCK(r + 8), 2), ROW_BLOCK(r + 12), 3);
}
#define LOW_REALS(a, b) _mm512_castps_pd(_mm512_unpacklo_ps(a, b))
#define HIGH_REALS(a, b) _mm512_castps_pd(_mm512_unpackhi_ps(a, b))
#define LOW_PAIRS(a, b) (V) _mm512_unpacklo_pd(a, b)
#define HIGH_PAIRS(a, b) (V) _mm512_unpackhi_pd(a, b)
#elif VG_BYTES == 64
#define ROW_BLOCK(k) _mm_loadu_pd(rows + at[k])
INLINE __m512d line_of(const real *rows, const lane_int *at, int r)
{
    __m512d a = _mm512_insertf64x2(_mm512_castpd128_pd512(ROW_BLOCK(r)), ROW_BLOCK(r + 2), 1);
    return _mm512_insertf64x2(_mm512_insertf64x2(a, ROW_BLOCK(r + 4), 2), ROW_BLOCK(r + 6), 3);
}
#define LOW_PAIRS(a, b) (V) _mm512_unpacklo_pd(a, b)
#define HIGH_PAIRS(a, b) (V) _mm512_unpackhi_pd(a, b)
#elif VG_BYTES == 32 && VG_BITS == 32
#define ROW_BLOCK(k) _mm_loadu_ps(rows + at[k])
INLINE __m256 line_of(const real *rows, const lane_int *at, int r)
{
    return _mm256_insertf128_ps(_mm256_castps128_ps256(ROW_BLOCK(r)), ROW_BLOCK(r + 4), 1);
}
#define LOW_REALS(a, b) _mm256_castps_pd(_mm256_unpacklo_ps(a, b))
#define HIGH_REALS(a, b) _mm256_castps_pd(_mm256_unpackhi_ps(a, b))
#define LOW_PAIRS(a, b) (V) _mm256_unpacklo_pd(a, b)
#define HIGH_PAIRS(a, b) (V) _mm256_unpackhi_pd(a, b)
#elif VG_BYTES == 32
#define ROW_BLOCK(k) _mm_loadu_pd(rows + at[k])
INLINE __m256d line_of(const real *rows, const lane_int *at, int r)
{
    return _mm256_insertf128_pd(_mm256_castpd128_pd256(ROW_BLOCK(r)), ROW_BLOCK(r + 2), 1);
}
#define LOW_PAIRS(a, b) (V) _mm256_unpacklo_pd(a, b)
#define HIGH_PAIRS(a, b) (V) _mm256_unpackhi_pd(a, b)
#elif defined(__SSE2__) && VG_BITS == 32
#define line_of(rows, at, r) _mm_loadu_ps(rows + at[r])
#define LOW_REALS(a, b) _mm_castps_pd(_mm_unpacklo_ps(a, b))
#define HIGH_REALS(a, b) _mm_castps_pd(_mm_unpackhi_ps(a, b))
#define LOW_PAIRS(a, b) (V) _mm_unpacklo_pd(a, b)
#define HIGH_PAIRS(a, b) (V) _mm_unpackhi_pd(a, b)
#elif defined(__SSE2__)
#define line_of(rows, at, r) _mm_loadu_pd(rows + at[r])
#define LOW_PAIRS(a, b) (V) _mm_unpacklo_pd(a, b)
#define HIGH_PAIRS(a, b) (V) _mm_unpackhi_pd(a, b)
#endif

INLINE void take_block(const real *rows, const lane_int *at, V *c)
{
#if !defined(LOW_PAIRS)
    for (int i = 0; i < BLOCK_REALS; i++)
        for (int k = 0; k < LANES; k++) c[i][k] = rows[at[k] + i];
#elif VG_BITS == 64
    c[0] = LOW_PAIRS(line_of(rows, at, 0), line_of(rows, at, 1));
    c[1] = HIGH_PAIRS(line_of(rows, at, 0), line_of(rows, at, 1));
#else
    c[0] = LOW_PAIRS(LOW_REALS(line_of(rows, at, 0), line_of(rows, at, 1)),
                     LOW_REALS(line_of(rows, at, 2), line_of(rows, at, 3)));
    c[1] = HIGH_PAIRS(LOW_REALS(line_of(rows, at, 0), line_of(rows, at, 1)),
                      LOW_REALS(line_of(rows, at, 2), line_of(rows, at, 3)));
    c[2] = LOW_PAIRS(HIGH_REALS(line_of(rows, at, 0), line_of(rows, at, 1)),
                     HIGH_REALS(line_of(rows, at, 2), line_of(rows, at, 3)));
    c[3] = HIGH_PAIRS(HIGH_REALS(line_of(rows, at, 0), line_of(rows, at, 1)),
                      HIGH_REALS(line_of(rows, at, 2), line_of(rows, at, 3)));
#endif
}

#if VG_BYTES == 64
/* The same for 2 BLOCK_REALS entries, from lines of two rows: those of lanes k and k + LANES/2. After
   the transposition of their blocks, those of both halves of the lanes are put in their places. */
#if VG_BITS == 32
INLINE __m512 rows_of(const real *rows, const lane_int *at, int k)
{
    __m512 low = _mm512_castps256_ps512(_mm256_loadu_ps(rows + at[k]));
    return _mm512_insertf32x8(low, _mm256_loadu_ps(rows + at[k + LANES / 2]), 1);
}
#else
INLINE __m512d rows_of(const real *rows, const lane_int *at, int k)
{
    __m512d low = _mm512_castpd256_pd512(_mm256_loadu_pd(rows + at[k]));
    return _mm512_insertf64x4(low, _mm256_loadu_pd(rows + at[k + LANES / 2]), 1);
}
#endif

INLINE void take_two_blocks(const real *rows, const lane_int *at, V *c)
{
    V half[2][BLOCK_REALS];
    for (int side = 0; side < 2; side++) {
        int k = side * BLOCK_REALS;
        V *t = half[side];
#if VG_BITS == 32
        __m512d a = LOW_REALS(rows_of(rows, at, k), rows_of(rows, at, k + 1));
        __m512d b = LOW_REALS(rows_of(rows, at, k + 2), rows_of(rows, at, k + 3));
        __m512d d = HIGH_REALS(rows_of(rows, at, k), rows_of(rows, at, k + 1));
        __m512d e = HIGH_REALS(rows_of(rows, at, k + 2), rows_of(rows, at, k + 3));
        t[0] = LOW_PAIRS(a, b), t[1] = HIGH_PAIRS(a, b), t[2] = LOW_PAIRS(d, e), t[3] = HIGH_PAIRS(d, e);
#else
        __m512d a = rows_of(rows, at, k), b = rows_of(rows, at, k + 1);
        t[0] = LOW_PAIRS(a, b), t[1] = HIGH_PAIRS(a, b);
#endif
    }
    const __m512i even = _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13);
    const __m512i odd = _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15);
    for (int i = 0; i < BLOCK_REALS; i++) {
        c[i] = (V)_mm512_permutex2var_pd((__m512d)half[0][i], even, (__m512d)half[1][i]);
        c[i + BLOCK_REALS] = (V)_mm512_permutex2var_pd((__m512d)half[0][i], odd, (__m512d)half[1][i]);
    }
}
#endif

/* c[i] ← entry i of the row of each lane, for 0 ≤ i < count. */
INLINE void take_rows(const real *rows, const lane_int *at, int count, V *c)
{
    int i = 0;
#if VG_BYTES == 64
    for (; i + 2 * BLOCK_REALS <= count; i += 2 * BLOCK_REALS) take_two_blocks(rows + i, at, c + i);
#endif
    for (; i < count; i += BLOCK_REALS) take_block(rows + i, at, c + i);
}

/* c[i] ← coefficient i of the piece at t, 0 ≤ i < count; returns the argument of its polynomials. */
INLINE V look_up(const real *p, V t, int count, V *c)
{
    V scale = splat(p[5]), shift = splat(p[6]), first = splat(p[7]);
    for (const real *s = p + 8, *end = p + 4 + 4 * (int)p[0]; s < end; s += 4) {
        I beyond = t > s[0];
        scale = blend(beyond, splat(s[1]), scale);
        shift = blend(beyond, splat(s[2]), shift);
        first = blend(beyond, splat(s[3]), first);
    }
    V u = t * scale + shift, nearest = (u + ROUNDER) - ROUNDER;
    I row = (I)((nearest + first) + ROUNDER) - (I)splat(ROUNDER);
    I places = row * count;
    lane_int at[LANES];
    __builtin_memcpy(at, &places, sizeof at);
    take_rows(p + PIECES_HEAD, at, count, c);
    return u - nearest;
}

/* c_0 + c_1 f + … of vectors of coefficients, by Estrin's scheme; count is 4 or 8. */
INLINE V piece_value(const V *c, int count, V f)
{
    V square = f * f, low = (c[0] + c[1] * f) + (c[2] + c[3] * f) * square;
    if (count == 4) return low;
    return low + ((c[4] + c[5] * f) + (c[6] + c[7] * f) * square) * (square * square);
}

#endif
