/*
 * Vectors of 8 lanes in plain C, for the templates *.inc.h. Compilers turn the loops into whatever
 * the target has; every set with intrinsics offers the same names.
 *
 * A vf holds floats, a vi 32-bit integers, a vb four bytes in each lane.
 */
#ifndef LCKV_KERNELS_SIMD_PORTABLE_H
#define LCKV_KERNELS_SIMD_PORTABLE_H

#include "kernels/blocks.h"

#include <math.h>
#include <string.h>

#define LANES 8
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

static inline vf v_max(vf a, vf b)
{
    EACH_LANE a.v[l] = a.v[l] > b.v[l] ? a.v[l] : b.v[l];
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

/* 2^n for a whole n in -126 .. 127. */
static inline vf v_power_of_two(vf n)
{
    EACH_LANE
    {
        uint32_t bits = (uint32_t)((int32_t)n.v[l] + 127) << 23;
        memcpy(&n.v[l], &bits, 4);
    }
    return n;
}

/* `a` where x >= limit, otherwise 0. */
static inline vf v_keep_if_at_least(vf x, float limit, vf a)
{
    EACH_LANE a.v[l] = x.v[l] >= limit ? a.v[l] : 0.0f;
    return a;
}

static inline vi vi_zero(void)
{
    vi r = {{0}};
    return r;
}

static inline vi vi_add(vi a, vi b)
{
    EACH_LANE a.v[l] += b.v[l];
    return a;
}

static inline vi vi_mul(vi a, vi b)
{
    EACH_LANE a.v[l] *= b.v[l];
    return a;
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

/* Bits shift and shift + 1 of each byte, moved to bits 4 and 5. */
static inline vb vb_two_bits(vb a, int shift)
{
    EACH_LANE a.v[l] = (a.v[l] >> shift & 0x03030303u) << 4;
    return a;
}

static inline vb vb_or(vb a, vb b)
{
    EACH_LANE a.v[l] |= b.v[l];
    return a;
}

/* Subtracts 32 from each byte of 0 .. 63. */
static inline vb vb_minus_32(vb a)
{
    EACH_LANE a.v[l] = ((a.v[l] | 0x80808080u) - 0x20202020u) ^ 0x80808080u;
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

/* sum[l] += four signed bytes of w[l] times the four at x (each in -127 .. 127). */
static inline vi vi_dot_signed(vi sum, vb w, const int8_t *x)
{
    EACH_LANE
    {
        for (int i = 0; i < 4; i++)
            sum.v[l] += (int8_t)(w.v[l] >> (8 * i)) * x[i];
    }
    return sum;
}

/* The same for bytes of w in 0 .. 127. */
static inline vi vi_dot_unsigned(vi sum, vb w, const int8_t *x)
{
    return vi_dot_signed(sum, w, x);
}

#endif
