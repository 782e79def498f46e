/*
 * Template: reads packed weights of quantised types, one block of 32 columns of a strip at a time,
 * in the form that products take or as floats.
 */

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

/*
 * A block. `second` is the minimum in types that have one; in q6_K it is the scale of the second
 * half of the block.
 */
struct weight_block {
    vf scale, second;
    const uint8_t *low, *high; /* bits of the numbers; `high` in q6_K: of 64 columns */
    int odd;                   /* which half of these columns the block is */
    const vb *ready;           /* the quads if they are unpacked already, else NULL */
};

/* `odd` is b % 2. Only q6_K reads it; it is a constant where speed counts. */
INLINE struct weight_block block_at(lckv_dtype dtype, const uint8_t *strip, size_t b, int odd)
{
    odd = dtype == LCKV_DTYPE_Q6_K ? odd : 0;
    const uint8_t *scales = scales_at(dtype, strip, b),
                  *body = body_at(dtype, strip, b - (size_t)odd);
    const uint8_t *numbers = scales + 4 * LANES,
                  *sub_scales = scales + 2 * LANES + b % 8 * 2 * LANES;
    struct weight_block block = {v_load_f16(scales), v_set(0), body, body, odd, NULL};
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
    vb both = vb_load(block->low + q % 4 * 4 * LANES);
    if (dtype == LCKV_DTYPE_Q4_0)
        return q < 4 ? vq_low(both) : vq_high(both);
    vb low = q < 4 ? vb_low_nibbles(both) : vb_high_nibbles(both);
    if (dtype == LCKV_DTYPE_Q5_K)
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
