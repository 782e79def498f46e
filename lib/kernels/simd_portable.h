/*
 * Vectors of 8 lanes in plain C, for the templates *.inc.h. Compilers turn the loops into the
 * instructions that the target has. Every set with intrinsics offers the same names.
 *
 * A vf holds floats, a vi 32-bit integers, a vb four bytes in each lane.
 *
 * A set of 16 lanes that multiplies bfloat16 itself also defines HAS_DOT_BF16, vb_set_pair and
 * v_dot_bf16. A set that multiplies tiles also needs vb_store. See x86/simd_avx512.h.
 */
#ifndef LCKV_KERNELS_SIMD_PORTABLE_H
#define LCKV_KERNELS_SIMD_PORTABLE_H

#include "kernels/halves.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define LANES 8
#define UNROLL               /* the lanes are loops already: the compiler decides */
#define UNSIGNED_BYTES false /* q8_0 is stored as it is */
#define TILE_ROWS 4          /* rows of activations, or queries, that a tile takes: 4 or 8 */
#define FULL_IN_PLACE false  /* whether full precision reads f32 and bf16 where they stand */
#define EACH_LANE for (int l = 0; l < LANES; l++)

typedef struct {
    float v[LANES];
} vf;
typedef struct {
    int32_t v[LANES];
} vi;
typedef struct {
    uint32_t v[LANES];
} vb;

static inline vf v_set(float x)
{
    vf r;
    EACH_LANE r.v[l] = x;
    return r;
}

static inline vf v_load(const float *p)
{
    vf r;
    memcpy(r.v, p, sizeof r.v);
    return r;
}

static inline void v_store(float *p, vf x)
{
    memcpy(p, x.v, sizeof x.v);
}

static inline vf v_load_f16(const void *p)
{
    uint16_t half[LANES];
    vf r;
    memcpy(half, p, sizeof half);
    EACH_LANE r.v[l] = f16_to_f32(half[l]);
    return r;
}

/* Stores the lanes as halves. Numbers beyond +-65504 become that. */
static inline void v_store_f16(uint16_t *halves, vf a)
{
    EACH_LANE
    {
        float x = a.v[l] > 65504.0f ? 65504.0f : a.v[l] < -65504.0f ? -65504.0f : a.v[l];
        halves[l] = f32_to_f16(x);
    }
}

/*
 * Stores the lanes as bfloat16, rounded to the nearest, ties to even. No number becomes infinite.
 */
static inline void v_store_bf16(uint16_t *halves, vf a)
{
    EACH_LANE
    {
        float x = a.v[l] > BF16_MOST ? BF16_MOST : a.v[l] < -BF16_MOST ? -BF16_MOST : a.v[l];
        halves[l] = f32_to_bf16(x);
    }
}

static inline vf v_add(vf a, vf b)
{
    EACH_LANE a.v[l] += b.v[l];
    return a;
}

static inline vf v_sub(vf a, vf b)
{
    EACH_LANE a.v[l] -= b.v[l];
    return a;
}

static inline vf v_mul(vf a, vf b)
{
    EACH_LANE a.v[l] *= b.v[l];
    return a;
}

static inline vf v_div(vf a, vf b)
{
    EACH_LANE a.v[l] /= b.v[l];
    return a;
}

/* The larger of a and b, and b where either is NaN. */
static inline vf v_max(vf a, vf b)
{
    EACH_LANE a.v[l] = a.v[l] > b.v[l] ? a.v[l] : b.v[l];
    return a;
}

/* The smaller of a and b, and b where either is NaN. */
static inline vf v_min(vf a, vf b)
{
    EACH_LANE a.v[l] = a.v[l] < b.v[l] ? a.v[l] : b.v[l];
    return a;
}

static inline vf v_abs(vf a)
{
    EACH_LANE a.v[l] = fabsf(a.v[l]);
    return a;
}

/* a * b + c, here in two roundings. */
static inline vf v_fma(vf a, vf b, vf c)
{
    EACH_LANE c.v[l] += a.v[l] * b.v[l];
    return c;
}

static inline float v_sum(vf a)
{
    float s[4];
    for (int l = 0; l < 4; l++)
        s[l] = a.v[l] + a.v[l + 4];
    return (s[0] + s[2]) + (s[1] + s[3]);
}

static inline float v_largest(vf a)
{
    float m = a.v[0];
    EACH_LANE m = a.v[l] > m ? a.v[l] : m;
    return m;
}

/* The nearest integer, ties to even. */
static inline vf v_round(vf a)
{
    const float magic = 12582912.0f; /* 1.5 * 2^23: floats there are whole numbers */
    EACH_LANE a.v[l] = (a.v[l] + magic) - magic;
    return a;
}

/* a * 2^n for a whole n in -126 .. 127. */
static inline vf v_scale(vf a, vf n)
{
    EACH_LANE
    {
        int32_t power_of_two = isfinite(n.v[l]) ? (int32_t)n.v[l] : 0; /* else a is NaN already */
        uint32_t bits = (uint32_t)(power_of_two + 127) << 23;
        float power;
        memcpy(&power, &bits, 4);
        a.v[l] *= power;
    }
    return a;
}

/* `a`, but 0 where x < limit. */
static inline vf v_zero_below(vf x, float limit, vf a)
{
    EACH_LANE a.v[l] = x.v[l] < limit ? 0.0f : a.v[l];
    return a;
}

static inline vi vi_set(int32_t x)
{
    vi r;
    EACH_LANE r.v[l] = x;
    return r;
}

static inline vi vi_add(vi a, vi b)
{
    EACH_LANE a.v[l] += b.v[l];
    return a;
}

static inline vi vi_load(const void *p)
{
    vi r;
    memcpy(r.v, p, sizeof r.v);
    return r;
}

/* The bits of `a` from bit `shift` up, as many as `mask` has. */
static inline vi vi_bits(vi a, int shift, int32_t mask)
{
    EACH_LANE a.v[l] = (int32_t)((uint32_t)a.v[l] >> shift) & mask;
    return a;
}

/* Rounds to the nearest integer, ties to even, for a in -2^21 .. 2^21. */
static inline vi vi_round(vf a)
{
    vi r;
    EACH_LANE
    {
        float sum = a.v[l] + 12582912.0f; /* 1.5 * 2^23 */
        int32_t bits;
        memcpy(&bits, &sum, 4);
        r.v[l] = (bits & 0x7fffff) - 0x400000;
    }
    return r;
}

static inline void vi_store_bytes(int8_t *p, vi a)
{
    EACH_LANE p[l] = (int8_t)a.v[l];
}

static inline int32_t vi_total(vi a)
{
    uint32_t total = 0;
    EACH_LANE total += (uint32_t)a.v[l];
    return (int32_t)total;
}

static inline vi vi_load_i8(const void *p)
{
    int8_t bytes[LANES];
    vi r;
    memcpy(bytes, p, sizeof bytes);
    EACH_LANE r.v[l] = bytes[l];
    return r;
}

static inline vf v_from_int(vi a)
{
    vf r;
    EACH_LANE r.v[l] = (float)a.v[l];
    return r;
}

static inline vb vb_load(const void *p)
{
    vb r;
    memcpy(r.v, p, sizeof r.v);
    return r;
}

static inline vb vb_low_nibbles(vb a)
{
    EACH_LANE a.v[l] &= 0x0f0f0f0fu;
    return a;
}

static inline vb vb_high_nibbles(vb a)
{
    EACH_LANE a.v[l] = a.v[l] >> 4 & 0x0f0f0f0fu;
    return a;
}

/*
 * Joins to `a` the bits of `high` that, shifted left by `left`, lie within `mask`. `left` is a
 * constant; if it is negative, the shift is to the right.
 */
static inline vb vb_with_high(vb a, vb high, int left, uint8_t mask)
{
    EACH_LANE a.v[l] |=
        (left >= 0 ? high.v[l] << left : high.v[l] >> -left) & mask * UINT32_C(0x01010101);
    return a;
}

/* The bits of each byte from bit `shift` up, as many as `mask` has. */
static inline vb vb_bits(vb a, int shift, uint8_t mask)
{
    EACH_LANE a.v[l] = a.v[l] >> shift & mask * UINT32_C(0x01010101);
    return a;
}

/* The bytes of the table that the nibbles in `a` number. */
static inline vb vb_look_up(vb a, const int8_t table[16])
{
    uint8_t bytes[4 * LANES];
    memcpy(bytes, a.v, sizeof bytes);
    for (int i = 0; i < 4 * LANES; i++)
        bytes[i] = (uint8_t)table[bytes[i]];
    memcpy(a.v, bytes, sizeof bytes);
    return a;
}

/* Byte i of each lane, signed. */
static inline vf v_from_byte(vb a, int i)
{
    vf r;
    EACH_LANE r.v[l] = (float)(int8_t)(a.v[l] >> (8 * i));
    return r;
}

/* The even or odd element of each lane's pair of bfloat16. */
static inline vf v_from_bf16(vb a, int odd)
{
    vf r;
    EACH_LANE
    {
        uint32_t bits = odd ? a.v[l] & 0xffff0000u : a.v[l] << 16;
        memcpy(&r.v[l], &bits, 4);
    }
    return r;
}

/*
 * 2 LANES bytes, signed or not, become integers of 16 bits. A lane holds two of them, a pair;
 * v_from_half gives the first or the second of each lane.
 */
static inline vb vb_load_i8_pairs(const void *p)
{
    int8_t bytes[2 * LANES];
    vb r;
    memcpy(bytes, p, sizeof bytes);
    EACH_LANE r.v[l] = (uint16_t)bytes[2 * l] | (uint32_t)(uint16_t)bytes[2 * l + 1] << 16;
    return r;
}

static inline vb vb_load_u8_pairs(const void *p)
{
    uint8_t bytes[2 * LANES];
    vb r;
    memcpy(bytes, p, sizeof bytes);
    EACH_LANE r.v[l] = bytes[2 * l] | (uint32_t)bytes[2 * l + 1] << 16;
    return r;
}

static inline vf v_from_half(vb a, int second)
{
    vf r;
    EACH_LANE r.v[l] = (float)(int16_t)(a.v[l] >> (second ? 16 : 0));
    return r;
}

static inline void vi_store_i16(int16_t *p, vi a)
{
    EACH_LANE p[l] = (int16_t)a.v[l];
}

/* Adds to each lane the products of its pair with the pair at x. */
static inline vi vi_add_pairs(vi sum, vb pairs, const int16_t *x)
{
    EACH_LANE sum.v[l] += (int16_t)pairs.v[l] * x[0] + (int16_t)(pairs.v[l] >> 16) * x[1];
    return sum;
}

/* ---- Integer products. A quad is four signed bytes at x, each in -127 .. 127. */

static inline vi vi_dot(vi sum, vb w, const int8_t *x)
{
    EACH_LANE
    {
        for (int i = 0; i < 4; i++)
            sum.v[l] += (int8_t)(w.v[l] >> (8 * i)) * x[i];
    }
    return sum;
}

/*
 * vs: sums of signed bytes, which stand in the form in which this set stores q8_0. vs_plain turns
 * that form into signed bytes, and these into that form. `offset` is -128 times the sum of all x
 * that will be added, for sets whose form is w + 128.
 */
static inline vi vs_begin(int32_t offset)
{
    (void)offset;
    return vi_set(0);
}

static inline vi vs_add(vi sum, vb w, const int8_t *x)
{
    return vi_dot(sum, w, x);
}

static inline vb vs_plain(vb w)
{
    return w;
}

/* v6: the same for numbers of six bits, less 32. v6_plain turns them into signed bytes. */
static inline vi v6_begin(int32_t offset)
{
    return vs_begin(offset);
}

static inline vb v6_plain(vb w)
{
    EACH_LANE w.v[l] = ((w.v[l] | 0x80808080u) - 0x20202020u) ^ 0x80808080u;
    return w;
}

/* Adds two quads, at x and at x + 4. */
static inline vi v6_add(vi sum, vb w, vb next, const int8_t *x)
{
    return vs_add(vs_add(sum, v6_plain(w), x), v6_plain(next), x + 4);
}

/* vq: sums of the nibbles of q4_0, less 8. Up to eight quads are added between begin and end. */
typedef vi vq;
#define VQ_SCALE 1.0f

static inline vq vq_begin(int32_t offset)
{
    return vi_set(offset / 16);
}

static inline vb vq_low(vb both)
{
    return vb_low_nibbles(both);
}

static inline vb vq_high(vb both)
{
    return vb_high_nibbles(both);
}

static inline vb vq_plain(vb w)
{
    EACH_LANE w.v[l] = ((w.v[l] | 0x80808080u) - 0x08080808u) ^ 0x80808080u;
    return w;
}

static inline vq vq_add(vq sum, vb w, const int8_t *x)
{
    return vi_dot(sum, w, x);
}

static inline vi vq_end(vq sum, int32_t offset)
{
    (void)offset;
    return sum;
}

/*
 * vu: sums of bytes of 0 .. 31. Up to four quads, or eight of nibbles, are added between begin and
 * end.
 */
typedef vi vu;

static inline vu vu_begin(vi sum)
{
    return sum;
}

static inline vu vu_add(vu part, vb w, const int8_t *x)
{
    return vi_dot(part, w, x);
}

static inline vi vu_end(vi sum, vu part)
{
    (void)sum;
    return part;
}

#endif
