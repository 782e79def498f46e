/*
 * Vectors of 8 lanes with AVX2, FMA and F16C. See simd_portable.h for what each name means.
 */
#ifndef LCKV_KERNELS_X86_SIMD_AVX2_H
#define LCKV_KERNELS_X86_SIMD_AVX2_H

#include "kernels/halves.h"

#include <immintrin.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define LANES 8
#define UNSIGNED_BYTES false
#define TILE_ROWS 4
#define FULL_IN_PLACE true

typedef __m256 vf;
typedef __m256i vi;
typedef __m256i vb;

static inline vf v_set(float x)
{
    return _mm256_set1_ps(x);
}

static inline vf v_load(const float *p)
{
    return _mm256_loadu_ps(p);
}

static inline void v_store(float *p, vf x)
{
    _mm256_storeu_ps(p, x);
}

static inline vf v_load_f16(const void *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}

static inline void v_store_f16(uint16_t *halves, vf a)
{
    __m256 most = _mm256_set1_ps(65504.0f), least = _mm256_set1_ps(-65504.0f);
    a = _mm256_max_ps(least, _mm256_min_ps(most, a)); /* NaN passes: it is the second operand */
    _mm_storeu_si128((__m128i *)(void *)halves, _mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
}

static inline void v_store_bf16(uint16_t *halves, vf a)
{
    __m256 most = _mm256_set1_ps(BF16_MOST), least = _mm256_set1_ps(-BF16_MOST);
    __m256i bits = _mm256_castps_si256(_mm256_max_ps(least, _mm256_min_ps(most, a)));
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    bits = _mm256_add_epi32(_mm256_add_epi32(bits, odd), _mm256_set1_epi32(0x7fff));
    __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(a, a, _CMP_UNORD_Q));
    bits = _mm256_blendv_epi8(bits, _mm256_set1_epi32(0x7fc00000), nan);
    bits = _mm256_srli_epi32(bits, 16);
    bits = _mm256_permute4x64_epi64(_mm256_packus_epi32(bits, bits), 8);
    _mm_storeu_si128((__m128i *)(void *)halves, _mm256_castsi256_si128(bits));
}

static inline vf v_add(vf a, vf b)
{
    return _mm256_add_ps(a, b);
}

static inline vf v_sub(vf a, vf b)
{
    return _mm256_sub_ps(a, b);
}

static inline vf v_mul(vf a, vf b)
{
    return _mm256_mul_ps(a, b);
}

static inline vf v_div(vf a, vf b)
{
    return _mm256_div_ps(a, b);
}

static inline vf v_max(vf a, vf b)
{
    return _mm256_max_ps(a, b);
}

static inline vf v_min(vf a, vf b)
{
    return _mm256_min_ps(a, b);
}

static inline vf v_abs(vf a)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
}

static inline vf v_fma(vf a, vf b, vf c)
{
    return _mm256_fmadd_ps(a, b, c);
}

static inline float v_sum(vf a)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_shuffle_ps(s, s, 1)));
}

static inline float v_largest(vf a)
{
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_shuffle_ps(m, m, 1)));
}

static inline vf v_round(vf a)
{
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

static inline vf v_scale(vf a, vf n)
{
    __m256i bits = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return _mm256_mul_ps(a, _mm256_castsi256_ps(_mm256_slli_epi32(bits, 23)));
}

static inline vf v_zero_below(vf x, float limit, vf a)
{
    return _mm256_and_ps(_mm256_cmp_ps(x, _mm256_set1_ps(limit), _CMP_NLT_UQ), a);
}

static inline vi vi_set(int32_t x)
{
    return _mm256_set1_epi32(x);
}

static inline vi vi_add(vi a, vi b)
{
    return _mm256_add_epi32(a, b);
}

static inline vi vi_load(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

static inline vi vi_bits(vi a, int shift, int32_t mask)
{
    return _mm256_and_si256(_mm256_srl_epi32(a, _mm_cvtsi32_si128(shift)), _mm256_set1_epi32(mask));
}

static inline vi vi_round(vf a)
{
    return _mm256_cvtps_epi32(a);
}

static inline void vi_store_bytes(int8_t *p, vi a)
{
    __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    _mm_storel_epi64((__m128i *)(void *)p, _mm_packs_epi16(words, words));
}

static inline int32_t vi_total(vi a)
{
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
}

static inline vi vi_load_i8(const void *p)
{
    return _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p));
}

static inline vf v_from_int(vi a)
{
    return _mm256_cvtepi32_ps(a);
}

static inline vb vb_load(const void *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

static inline vb vb_low_nibbles(vb a)
{
    return _mm256_and_si256(a, _mm256_set1_epi8(15));
}

static inline vb vb_high_nibbles(vb a)
{
    return _mm256_and_si256(_mm256_srli_epi32(a, 4), _mm256_set1_epi8(15));
}

static inline vb vb_with_high(vb a, vb high, int left, uint8_t mask)
{
    high = left >= 0 ? _mm256_slli_epi32(high, left) : _mm256_srli_epi32(high, -left);
    return _mm256_or_si256(a, _mm256_and_si256(high, _mm256_set1_epi8((char)mask)));
}

static inline vb vb_bits(vb a, int shift, uint8_t mask)
{
    a = _mm256_srl_epi32(a, _mm_cvtsi32_si128(shift));
    return _mm256_and_si256(a, _mm256_set1_epi8((char)mask));
}

static inline vb vb_look_up(vb a, const int8_t table[16])
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)table);
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(bytes), a);
}

static inline vf v_from_byte(vb a, int i)
{
    return _mm256_cvtepi32_ps(_mm256_srai_epi32(_mm256_slli_epi32(a, 24 - 8 * i), 24));
}

static inline vf v_from_bf16(vb a, int odd)
{
    if (odd)
        return _mm256_castsi256_ps(_mm256_and_si256(a, _mm256_set1_epi32((int)0xffff0000u)));
    return _mm256_castsi256_ps(_mm256_slli_epi32(a, 16));
}

static inline vb vb_load_i8_pairs(const void *p)
{
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)p));
}

static inline vb vb_load_u8_pairs(const void *p)
{
    return _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)p));
}

static inline vf v_from_half(vb a, int second)
{
    return _mm256_cvtepi32_ps(_mm256_srai_epi32(second ? a : _mm256_slli_epi32(a, 16), 16));
}

static inline void vi_store_i16(int16_t *p, vi a)
{
    __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(a, a), 8);
    _mm_storeu_si128((__m128i *)(void *)p, _mm256_castsi256_si128(words));
}

static inline vi vi_add_pairs(vi sum, vb pairs, const int16_t *x)
{
    int32_t pair;
    memcpy(&pair, x, 4);
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi32(pair)));
}

static inline __m256i broadcast_quad(const int8_t *x)
{
    int32_t quad;
    memcpy(&quad, x, 4);
    return _mm256_set1_epi32(quad);
}

/*
 * Makes the compiler finish a sum here. GCC would otherwise add the terms as a tree, for which it
 * keeps them all and runs out of registers.
 */
static inline __m256i in_order(__m256i sum)
{
    __asm__("" : "+x"(sum));
    return sum;
}

static inline __m256i add_pairs(__m256i sum, __m256i pairs)
{
    return in_order(_mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1))));
}

static inline vi vs_begin(int32_t offset)
{
    (void)offset;
    return _mm256_setzero_si256();
}

/*
 * vpmaddubsw wants one unsigned side: |w|, and x with w's sign. Two products of at most 128 x 127
 * fit 16 bits, so w = -128 is legal.
 */
static inline vi vs_add(vi sum, vb w, const int8_t *x)
{
    return add_pairs(
        sum, _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(broadcast_quad(x), w)));
}

static inline vb vs_plain(vb w)
{
    return w;
}

/* The numbers are used as they are; the sum begins at -32 times the sum of x. */
static inline vi v6_begin(int32_t offset)
{
    return _mm256_set1_epi32(offset / 4);
}

static inline vb v6_plain(vb w)
{
    return _mm256_sub_epi8(w, _mm256_set1_epi8(32));
}

/* Two quads of two products of at most 63 x 127 make 32004 in 16 bits. */
static inline vi v6_add(vi sum, vb w, vb next, const int8_t *x)
{
    __m256i pairs = _mm256_maddubs_epi16(w, broadcast_quad(x));
    __m256i more = _mm256_maddubs_epi16(next, broadcast_quad(x + 4));
    return add_pairs(sum, _mm256_add_epi16(pairs, more));
}

/* Sums of 16 bits: eight quads of two products of at most 15 x 127 make 30480. */
typedef __m256i vq;
#define VQ_SCALE 1.0f

static inline vq vq_begin(int32_t offset)
{
    (void)offset;
    return _mm256_setzero_si256();
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
    return _mm256_sub_epi8(w, _mm256_set1_epi8(8));
}

static inline vq vq_add(vq sum, vb w, const int8_t *x)
{
    return in_order(_mm256_add_epi16(sum, _mm256_maddubs_epi16(w, broadcast_quad(x))));
}

static inline vi vq_end(vq sum, int32_t offset)
{
    return add_pairs(_mm256_srai_epi32(_mm256_set1_epi32(offset), 4), sum);
}

/* Sums of 16 bits of nibbles, or of bytes up to 31, of which four quads make 31496. */
typedef __m256i vu;

static inline vu vu_begin(vi sum)
{
    (void)sum;
    return _mm256_setzero_si256();
}

static inline vu vu_add(vu part, vb w, const int8_t *x)
{
    return in_order(_mm256_add_epi16(part, _mm256_maddubs_epi16(w, broadcast_quad(x))));
}

static inline vi vu_end(vi sum, vu part)
{
    return add_pairs(sum, part);
}

#endif
