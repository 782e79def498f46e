/*
 * Template: reads packed weights of quantised types, one block of 32 columns of a strip at a time,
 * in the form that products take or as floats.
 */
#include "kernels/number_tables.h"

/* Number k of the sixteen six-bit numbers that matrix.c packs into three words. */
INLINE vf scale_number(const uint8_t *words, size_t k)
{
    if (k < 15)
        return v_from_int(vi_bits(vi_load(words + k / 5 * 4 * LANES), (int)(k % 5) * 6, 63));
    vi a = vi_bits(vi_load(words), 30, 3), b = vi_bits(vi_load(words + 4 * LANES), 30, 3);
    vi c = vi_bits(vi_load(words + 8 * LANES), 30, 3);
    return v_fma(v_from_int(c), v_set(16), v_fma(v_from_int(b), v_set(4), v_from_int(a)));
}

/* Types whose numbers have no sign: value = scale * number + minimum. */
INLINE bool has_minimums(lckv_dtype dtype)
{
    return dtype == LCKV_DTYPE_Q4_1 || dtype == LCKV_DTYPE_Q4_K || dtype == LCKV_DTYPE_Q5_K;
}

/* Types that are unpacked before they are multiplied: see multiply_unpacked.inc.h. */
INLINE bool has_table(lckv_dtype dtype)
{
    return dtype == LCKV_DTYPE_IQ4_NL || dtype == LCKV_DTYPE_IQ4_XS || dtype == LCKV_DTYPE_MXFP4;
}

INLINE bool has_pairs(lckv_dtype dtype)
{
    return dtype == LCKV_DTYPE_Q2_K || dtype == LCKV_DTYPE_Q3_K;
}

INLINE bool has_fifth_bits(lckv_dtype dtype)
{
    return dtype == LCKV_DTYPE_Q5_0 || dtype == LCKV_DTYPE_Q5_1 || dtype == LCKV_DTYPE_Q5_K;
}

/* 2^(e - 128) for bytes e: two powers, because floats below 2^-126 have no exponent. */
INLINE vf power_of_two(const uint8_t *exponents)
{
    vf n = v_sub(v_from_int(vi_bits(vi_load_i8(exponents), 0, 255)), v_set(128));
    vf below = v_min(v_add(n, v_set(126)), v_set(0));
    return v_scale(v_scale(v_set(1), v_max(n, v_set(-126))), below);
}

/* Scale k of the eight of iq4_xs, whose lower four bits stand in one word. */
INLINE vf iq4_xs_scale(const uint8_t *words, size_t k)
{
    const uint8_t *high = words + 4 * LANES + k / 4 * LANES;
    vf low = v_from_int(vi_bits(vi_load(words), (int)k * 4, 15));
    vf pair = v_from_int(vi_bits(vi_load_i8(high), (int)(k % 4) * 2, 3));
    return v_sub(v_fma(pair, v_set(16), low), v_set(32));
}

/* Scale k of the sixteen of q3_K, in twelve bytes. */
INLINE vf q3_k_scale(const uint8_t *bytes, size_t k)
{
    vf low = v_from_int(vi_bits(vi_load_i8(bytes + k % 8 * LANES), (int)(k / 8) * 4, 15));
    const uint8_t *high = bytes + (8 + k % 4) * LANES;
    vf pair = v_from_int(vi_bits(vi_load_i8(high), (int)(k / 4) * 2, 3));
    return v_sub(v_fma(pair, v_set(16), low), v_set(32));
}

/*
 * A block. `second` is the minimum in types that have one; in types whose scale changes after 16
 * columns (q6_K, q2_K, q3_K) it is the scale of the second half of the block.
 */
struct weight_block {
    vf scale, second;
    const uint8_t *low, *high; /* bits of the numbers; `high` in q6_K: of 64 columns */
    int odd;                   /* which of the blocks that share these bits the block is */
    const vb *ready;           /* the quads if they are unpacked already, else NULL */
    vf offsets[2];             /* q2_K, q3_K: what is subtracted in each half, divided by 128 */
};

/* For q2_K and q3_K, which have a scale and an offset for each half of block b. */
INLINE void read_halves(lckv_dtype dtype, const uint8_t *scales, size_t b,
                        struct weight_block *block)
{
    vf d = block->scale, halves[2];
    UNROLL for (size_t h = 0; h < 2; h++)
    {
        size_t k = 2 * (b % 8) + h;
        if (dtype == LCKV_DTYPE_Q3_K) {
            halves[h] = v_mul(d, q3_k_scale(scales + 2 * LANES, k));
            block->offsets[h] = v_mul(halves[h], v_set(4.0f / 128));
        } else {
            vi both = vi_load_i8(scales + (4 + k) * LANES);
            vf minimum = v_mul(v_load_f16(scales + 2 * LANES), v_from_int(vi_bits(both, 4, 15)));
            halves[h] = v_mul(d, v_from_int(vi_bits(both, 0, 15)));
            block->offsets[h] = v_mul(minimum, v_set(1.0f / 128));
        }
    }
    block->scale = halves[0];
    block->second = halves[1];
}

/*
 * `odd` is b % 2 in q6_K and b % 8 in q2_K and q3_K. Other types do not read it. It is a constant
 * where speed counts.
 */
INLINE struct weight_block block_at(lckv_dtype dtype, const uint8_t *strip, size_t b, int odd)
{
    odd = dtype == LCKV_DTYPE_Q6_K || has_pairs(dtype) ? odd : 0;
    const uint8_t *scales = scales_at(dtype, strip, b),
                  *body = body_at(dtype, strip, b - (size_t)odd);
    const uint8_t *numbers = scales + 4 * LANES,
                  *sub_scales = scales + 2 * LANES + b % 8 * 2 * LANES;
    vf d = dtype == LCKV_DTYPE_MXFP4 ? power_of_two(scales) : v_load_f16(scales);
    struct weight_block block = {
        .scale = d, .second = v_set(0), .low = body, .high = body, .odd = odd};
    if (dtype == LCKV_DTYPE_Q4_0) {
        block.scale = v_mul(block.scale, v_set(VQ_SCALE));
    } else if (dtype == LCKV_DTYPE_Q4_1) {
        block.second = v_load_f16(scales + 2 * LANES);
    } else if (dtype == LCKV_DTYPE_Q4_K || dtype == LCKV_DTYPE_Q5_K) {
        vf minimum = v_mul(v_load_f16(scales + 2 * LANES), scale_number(numbers, 8 + b % 8));
        block.scale = v_mul(block.scale, scale_number(numbers, b % 8));
        block.second = v_sub(v_set(0), minimum);
        block.high = body + 16 * LANES;
    } else if (dtype == LCKV_DTYPE_Q6_K) {
        block.second = v_mul(block.scale, v_from_int(vi_load_i8(sub_scales + LANES)));
        block.scale = v_mul(block.scale, v_from_int(vi_load_i8(sub_scales)));
        block.low = body + odd * 16 * LANES;
        block.high = body + 32 * LANES;
    } else if (dtype == LCKV_DTYPE_Q5_0 || dtype == LCKV_DTYPE_Q5_1) {
        block.second = dtype == LCKV_DTYPE_Q5_1 ? v_load_f16(scales + 2 * LANES)
                                                : v_mul(block.scale, v_set(-16));
        block.high = body + 16 * LANES;
    } else if (dtype == LCKV_DTYPE_IQ4_XS) {
        block.scale = v_mul(block.scale, iq4_xs_scale(scales + 2 * LANES, b % 8));
    } else if (has_pairs(dtype)) {
        read_halves(dtype, scales, b, &block);
        block.low = body + odd / 4 * 32 * LANES;
        block.high = body + 64 * LANES;
    }
    return block;
}

/* Quad q of 8 in the form that products take: vs, vq, v6 or vu of simd_portable.h. */
INLINE vb block_quad(lckv_dtype dtype, const struct weight_block *block, int q)
{
    if (block->ready != NULL)
        return block->ready[q];
    if (dtype == LCKV_DTYPE_Q8_0)
        return vb_load(block->low + q * 4 * LANES);
    if (has_pairs(dtype)) {
        vb pairs = vb_bits(vb_load(block->low + q * 4 * LANES), block->odd % 4 * 2, 3);
        if (dtype == LCKV_DTYPE_Q2_K)
            return pairs;
        return vb_with_high(pairs, vb_load(block->high + q * 4 * LANES), 2 - block->odd, 4);
    }
    vb both = vb_load(block->low + q % 4 * 4 * LANES);
    if (dtype == LCKV_DTYPE_Q4_0)
        return q < 4 ? vq_low(both) : vq_high(both);
    vb low = q < 4 ? vb_low_nibbles(both) : vb_high_nibbles(both);
    if (has_table(dtype))
        return vs_plain(vb_look_up(low, dtype == LCKV_DTYPE_MXFP4 ? mxfp4_numbers : iq4_numbers));
    if (has_fifth_bits(dtype))
        return vb_with_high(low, vb_load(block->high), 4 - q, 0x10);
    if (dtype == LCKV_DTYPE_Q6_K) {
        vb high = vb_load(block->high + q % 4 * 4 * LANES);
        return block->odd ? vb_with_high(low, high, q < 4 ? 0 : -2, 0x30)
                          : vb_with_high(low, high, q < 4 ? 4 : 2, 0x30);
    }
    return low;
}

/* The same quad as signed bytes, which scale and minimum turn into values. */
INLINE vb block_plain(lckv_dtype dtype, const struct weight_block *block, int q)
{
    vb quad = block_quad(dtype, block, q);
    return dtype == LCKV_DTYPE_Q8_0   ? vs_plain(quad)
           : dtype == LCKV_DTYPE_Q4_0 ? vq_plain(quad)
           : dtype == LCKV_DTYPE_Q6_K ? v6_plain(quad)
                                      : quad;
}

/* Turns block b of a quantised type into floats, placed as one vector of a float32 strip. */
INLINE void unpack_block(lckv_dtype dtype, const uint8_t *strip, size_t b, float *out)
{
    struct weight_block block = block_at(dtype, strip, b, b % 2);
    UNROLL for (int q = 0; q < 8; q++)
    {
        vb quad = block_plain(dtype, &block, q);
        vf scale = dtype == LCKV_DTYPE_Q6_K && q >= 4 ? block.second : block.scale;
        vf offset = has_minimums(dtype) ? block.second : v_set(0);
        UNROLL for (int i = 0; i < 4; i++)
            v_store(out + (4 * q + i) * FLOAT_STRIP, v_fma(v_from_byte(quad, i), scale, offset));
    }
}
