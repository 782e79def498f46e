/*
 * Vectors of 16 lanes with AVX-512 (F, BW, DQ, VL) and VNNI. See simd_portable.h for what each name
 * means.
 */
#ifndef LCKV_KERNELS_X86_SIMD_AVX512_H
#define LCKV_KERNELS_X86_SIMD_AVX512_H

#include "kernels/halves.h"

#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define LANES 16
#define UNSIGNED_BYTES true /* vpdpbusd wants unsigned weights, so they are w + 128 */
#define TILE_ROWS 8         /* times two vectors of weights: 16 sums in 32 registers */
#define FULL_IN_PLACE true

typedef __m512 vf;
typedef __m512i vi;
typedef __m512i vb;

static inline vf v_set(float x)
{
    return _mm512_set1_ps(x);
}

static inline vf v_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

static inline void v_store(float *p, vf x)
{
    _mm512_storeu_ps(p, x);
}

static inline vf v_load_f16(const void *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

static inline void v_store_f16(uint16_t *halves, vf a)
{
    __m512 most = _mm512_set1_ps(65504.0f), least = _mm512_set1_ps(-65504.0f);
    a = _mm512_max_ps(least, _mm512_min_ps(most, a)); /* NaN passes: it is the second operand */
    _mm256_storeu_si256((__m256i *)(void *)halves,
                        _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

static inline void v_store_bf16(uint16_t *halves, vf a)
{
    __m512 most = _mm512_set1_ps(BF16_MOST), least = _mm512_set1_ps(-BF16_MOST);
    __m512i bits = _mm512_castps_si512(_mm512_max_ps(least, _mm512_min_ps(most, a)));
    __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    bits = _mm512_add_epi32(_mm512_add_epi32(bits, odd), _mm512_set1_epi32(0x7fff));
    __mmask16 nan = _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q);
    bits = _mm512_mask_mov_epi32(bits, nan, _mm512_set1_epi32(0x7fc00000));
    _mm256_storeu_si256((__m256i *)(void *)halves,
                        _mm512_cvtepi32_epi16(_mm512_srli_epi32(bits, 16)));
}

static inline vf v_add(vf a, vf b)
{
    return _mm512_add_ps(a, b);
}

static inline vf v_sub(vf a, vf b)
{
    return _mm512_sub_ps(a, b);
}

static inline vf v_mul(vf a, vf b)
{
    return _mm512_mul_ps(a, b);
}

static inline vf v_div(vf a, vf b)
{
    return _mm512_div_ps(a, b);
}

static inline vf v_max(vf a, vf b)
{
    return _mm512_max_ps(a, b);
}

static inline vf v_min(vf a, vf b)
{
    return _mm512_min_ps(a, b);
}

static inline vf v_abs(vf a)
{
    return _mm512_abs_ps(a);
}

static inline vf v_fma(vf a, vf b, vf c)
{
    return _mm512_fmadd_ps(a, b, c);
}

/*
 * Adds half onto half, down to one lane. The order is written out, so that no compiler chooses it.
 */
static inline float v_sum(vf a)
{
    __m256 h = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_shuffle_ps(s, s, 1)));
}

static inline float v_largest(vf a)
{
    return _mm512_reduce_max_ps(a);
}

static inline vf v_round(vf a)
{
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

static inline vf v_scale(vf a, vf n)
{
    return _mm512_scalef_ps(a, n);
}

static inline vf v_zero_below(vf x, float limit, vf a)
{
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, _mm512_set1_ps(limit), _CMP_NLT_UQ), a);
}

static inline vi vi_set(int32_t x)
{
    return _mm512_set1_epi32(x);
}

static inline vi vi_add(vi a, vi b)
{
    return _mm512_add_epi32(a, b);
}

static inline vi vi_load(const void *p)
{
    return _mm512_loadu_si512(p);
}

static inline vi vi_bits(vi a, int shift, int32_t mask)
{
    return _mm512_and_si512(_mm512_srl_epi32(a, _mm_cvtsi32_si128(shift)), _mm512_set1_epi32(mask));
}

static inline vi vi_load_i8(const void *p)
{
    return _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p));
}

static inline vi vi_round(vf a)
{
    return _mm512_cvtps_epi32(a);
}

static inline void vi_store_bytes(int8_t *p, vi a)
{
    _mm_storeu_si128((__m128i *)(void *)p, _mm512_cvtepi32_epi8(a));
}

static inline int32_t vi_total(vi a)
{
    return _mm512_reduce_add_epi32(a);
}

static inline vf v_from_int(vi a)
{
    return _mm512_cvtepi32_ps(a);
}

static inline vb vb_load(const void *p)
{
    return _mm512_loadu_si512(p);
}

static inline void vb_store(void *p, vb a)
{
    _mm512_storeu_si512(p, a);
}

static inline vb vb_low_nibbles(vb a)
{
    return _mm512_and_si512(a, _mm512_set1_epi8(15));
}

static inline vb vb_high_nibbles(vb a)
{
    return _mm512_and_si512(_mm512_srli_epi32(a, 4), _mm512_set1_epi8(15));
}

static inline vb vb_with_high(vb a, vb high, int left, uint8_t mask)
{
    high = left >= 0 ? _mm512_slli_epi32(high, (unsigned)left)
                     : _mm512_srli_epi32(high, (unsigned)-left);
    return _mm512_or_si512(a, _mm512_and_si512(high, _mm512_set1_epi8((char)mask)));
}

static inline vb vb_bits(vb a, int shift, uint8_t mask)
{
    a = _mm512_srl_epi32(a, _mm_cvtsi32_si128(shift));
    return _mm512_and_si512(a, _mm512_set1_epi8((char)mask));
}

static inline vb vb_look_up(vb a, const int8_t table[16])
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)table);
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(bytes), a);
}

static inline vf v_from_byte(vb a, int i)
{
    __m512i high = _mm512_sll_epi32(a, _mm_cvtsi32_si128(24 - 8 * i));
    return _mm512_cvtepi32_ps(_mm512_srai_epi32(high, 24));
}

static inline vf v_from_bf16(vb a, int odd)
{
    if (odd)
        return _mm512_castsi512_ps(_mm512_and_si512(a, _mm512_set1_epi32((int)0xffff0000u)));
    return _mm512_castsi512_ps(_mm512_slli_epi32(a, 16));
}

static inline vb vb_load_i8_pairs(const void *p)
{
    return _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)p));
}

static inline vb vb_load_u8_pairs(const void *p)
{
    return _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)p));
}

static inline vf v_from_half(vb a, int second)
{
    return _mm512_cvtepi32_ps(_mm512_srai_epi32(second ? a : _mm512_slli_epi32(a, 16), 16));
}

static inline void vi_store_i16(int16_t *p, vi a)
{
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtepi32_epi16(a));
}

static inline vi vi_add_pairs(vi sum, vb pairs, const int16_t *x)
{
    int32_t pair;
    memcpy(&pair, x, 4);
    return _mm512_dpwssd_epi32(sum, pairs, _mm512_set1_epi32(pair));
}

/* One instruction multiplies the quads of 16 lanes by a broadcast quad from memory and adds. */
static inline vi dot_unsigned(vi sum, vb w, const int8_t *x)
{
    int32_t quad;
    memcpy(&quad, x, 4);
    return _mm512_dpbusd_epi32(sum, w, _mm512_set1_epi32(quad));
}

/* Signed bytes stand as w + 128; the sum begins at -128 times the sum of x. */
static inline vi vs_begin(int32_t offset)
{
    return _mm512_set1_epi32(offset);
}

static inline vi vs_add(vi sum, vb w, const int8_t *x)
{
    return dot_unsigned(sum, w, x);
}

static inline vb vs_plain(vb w)
{
    return _mm512_xor_si512(w, _mm512_set1_epi8((char)0x80));
}

/* The numbers are used as they are; the sum begins at -32 times the sum of x. */
static inline vi v6_begin(int32_t offset)
{
    return _mm512_set1_epi32(offset / 4);
}

static inline vi v6_add(vi sum, vb w, vb next, const int8_t *x)
{
    return dot_unsigned(dot_unsigned(sum, w, x), next, x + 4);
}

static inline vb v6_plain(vb w)
{
    return _mm512_sub_epi8(w, _mm512_set1_epi8(32));
}

/*
 * Nibbles less 8 are multiplied as 16 (n - 8) + 128 = 16 n. So the same offset serves, and a high
 * nibble costs one mask.
 */
typedef vi vq;
#define VQ_SCALE 0.0625f

static inline vq vq_begin(int32_t offset)
{
    return _mm512_set1_epi32(offset);
}

static inline vb vq_low(vb both)
{
    return _mm512_and_si512(_mm512_slli_epi32(both, 4), _mm512_set1_epi8((char)0xf0));
}

static inline vb vq_high(vb both)
{
    return _mm512_and_si512(both, _mm512_set1_epi8((char)0xf0));
}

static inline vb vq_plain(vb w)
{
    return vs_plain(w);
}

static inline vq vq_add(vq sum, vb w, const int8_t *x)
{
    return dot_unsigned(sum, w, x);
}

static inline vi vq_end(vq sum, int32_t offset)
{
    (void)offset;
    return sum;
}

typedef vi vu;

static inline vu vu_begin(vi sum)
{
    return sum;
}

static inline vu vu_add(vu part, vb w, const int8_t *x)
{
    return dot_unsigned(part, w, x);
}

static inline vi vu_end(vi sum, vu part)
{
    (void)sum;
    return part;
}

#define HAS_DOT_BF16

/* Two neighbouring bfloat16 in every lane. */
static inline vb vb_set_pair(const void *p)
{
    int32_t pair;
    memcpy(&pair, p, 4);
    return _mm512_set1_epi32(pair);
}

/*
 * Adds the products of both bfloat16 of each lane. It needs AVX512_BF16; "avx512" never calls it.
 */
static inline vf v_dot_bf16(vf sum, vb a, vb b)
{
    return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
}

#endif
