/* Philox4x32-7 (Salmon, Moraes, Dror & Shaw, SC'11), one counter per lane: seven rounds are the
   fewest that pass BigCrush there.

   A 32-bit word is the low half of a 64-bit slot, so that a round is two widening products, two
   shuffles and two three-way XORs. The high halves are ignored. With 32-bit lanes, the even and the
   odd lanes are two vectors of slots. The counter is (block, layer, index low, stream << 24 | index
   high). Lane groups are aligned, so `index high` is the same for all lanes. Hence the first round
   and half of the second are the same for all blocks of a layer or for all lanes, and are computed
   outside the inner loop. */
#ifndef VG_PHILOX_H
#define VG_PHILOX_H

#include "vg_vec.h"

#define PHILOX_M0 0xD2511F53u
#define PHILOX_M1 0xCD9E8D57u
#define PHILOX_W0 0x9E3779B9u
#define PHILOX_W1 0xBB67AE85u
#define ROUNDS 7

#if VG_BITS == 32
#define PARTS 2
#else
#define PARTS 1
#endif

typedef struct {
    uint64_t k0[ROUNDS], k1[ROUNDS];
    W index_low[PARTS]; /* M1 · index low */
    uint32_t index_high;
} sample_keys;

typedef struct {
    const sample_keys *keys;
    uint32_t c3;           /* stream << 24 | index high */
    W a[PARTS], b[PARTS], c[PARTS]; /* parts of the state in round two that depend on the lane */
} stream;

INLINE void open_samples(sample_keys *keys, const uint32_t key[2], uint64_t first_index)
{
    for (uint32_t r = 0; r < ROUNDS; r++) {
        keys->k0[r] = (uint32_t)(key[0] + r * PHILOX_W0);
        keys->k1[r] = (uint32_t)(key[1] + r * PHILOX_W1);
    }
    for (int part = 0; part < PARTS; part++) {
        W low;
        for (int k = 0; k < SLOTS; k++) low[k] = (uint32_t)first_index + PARTS * k + part;
        keys->index_low[part] = widening_product(low, splat_word(PHILOX_M1));
    }
    keys->index_high = (uint32_t)(first_index >> 32);
}

INLINE stream open_stream(const sample_keys *keys, uint32_t stream_id, uint32_t layer)
{
    stream s = {.keys = keys, .c3 = stream_id << 24 | keys->index_high};
    for (int part = 0; part < PARTS; part++) {
        W p1 = keys->index_low[part];
        W p0 = widening_product((p1 >> 32) ^ (layer ^ keys->k0[0]), splat_word(PHILOX_M0));
        s.a[part] = p1;
        s.b[part] = p0 >> 32;
        s.c[part] = p0 ^ keys->k1[2];
    }
    return s;
}

/* The first two rounds of `blocks` consecutive blocks. */
INLINE void philox_begin(const stream *s, uint32_t block, int blocks, W word[][4])
{
    const sample_keys *keys = s->keys;
    for (int b = 0; b < blocks; b++) {
        uint64_t p0 = (uint64_t)PHILOX_M0 * (block + (uint32_t)b);
        uint64_t p1 = (uint64_t)PHILOX_M1 * (uint32_t)((p0 >> 32) ^ s->c3 ^ keys->k1[0]);
        for (int part = 0; part < PARTS; part++) {
            W *c = word[b * PARTS + part];
            W q0 = widening_product(s->a[part] ^ ((p1 >> 32) ^ keys->k0[1]), splat_word(PHILOX_M0));
            W q1 = widening_product(s->b[part] ^ ((uint32_t)p0 ^ keys->k1[1]), splat_word(PHILOX_M1));
            c[0] = high_halves(q1) ^ (p1 ^ keys->k0[2]);
            c[1] = q1;
            c[2] = high_halves(q0) ^ s->c[part];
            c[3] = q0;
        }
    }
}

/* The other rounds of blocks, of any streams of the same samples, computed together so that their
   chains of dependent operations overlap. */
INLINE void philox_finish(const sample_keys *keys, int blocks, W word[][4])
{
#pragma GCC unroll 4
    for (int r = 3; r < ROUNDS; r++)
#pragma GCC unroll 4
        for (int chain = 0; chain < blocks * PARTS; chain++) {
            W *c = word[chain];
            W q0 = widening_product(c[0], splat_word(PHILOX_M0));
            W q1 = widening_product(c[2], splat_word(PHILOX_M1));
            c[0] = high_halves(q1) ^ c[1] ^ keys->k0[r];
            c[2] = high_halves(q0) ^ c[3] ^ keys->k1[r];
            c[1] = q1;
            c[3] = q0;
        }
}

/* The words of `blocks` consecutive blocks. Word k of block b, for the lanes of part p, is the low
   half of the slots of word[b · PARTS + p][k]. */
INLINE void philox(const stream *s, uint32_t block, int blocks, W word[][4])
{
    philox_begin(s, block, blocks, word);
    philox_finish(s->keys, blocks, word);
}

#endif
