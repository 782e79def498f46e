/*
 * Template: packed weights of quantised types as floats, a block of 32 columns of a group at a
 * time: out[column * LANES + lane].
 */

INLINE void unpack_quad(vb quad, vf scale, vf offset, float *out)
{
    UNROLL for (int i = 0; i < 4; i++)
        v_store(out + i * LANES, v_fma(v_from_byte(quad, i), scale, offset));
}

static void unpack_q8_0(const uint8_t *head, const uint8_t *body, float *out)
{
    vf d = v_load_f16(head);
    for (int q = 0; q < 8; q++)
        unpack_quad(vs_plain(vb_load(body + q * 4 * LANES)), d, v_set(0), out + q * 4 * LANES);
}

INLINE void unpack_nibbles(const uint8_t *quads, vf scale, vf offset, float *out)
{
    for (int q = 0; q < 4; q++) {
        vb both = vb_load(quads + q * 4 * LANES);
        unpack_quad(vb_low_nibbles(both), scale, offset, out + q * 4 * LANES);
        unpack_quad(vb_high_nibbles(both), scale, offset, out + (q + 4) * 4 * LANES);
    }
}

static void unpack_q4_0(const uint8_t *head, const uint8_t *body, float *out)
{
    vf d = v_load_f16(head);
    unpack_nibbles(body, d, v_mul(d, v_set(-8)), out); /* both products are exact */
}

static void unpack_q4_1(const uint8_t *head, const uint8_t *body, float *out)
{
    unpack_nibbles(body, v_load_f16(head), v_load_f16(head + 2 * LANES), out);
}

/* The parts of a q6_K super-block that 32-column block `b` of 8 needs. */
struct q6_k_part {
    vf first, second; /* the scales of its two halves */
    const uint8_t *low, *high;
    int odd;
};

/* `odd` is b % 2, a constant where speed counts. */
INLINE struct q6_k_part q6_k_part(const uint8_t *group, size_t b, int odd)
{
    const uint8_t *head = head_at(LCKV_DTYPE_Q6_K, group, b);
    const uint8_t *scales = head + 2 * LANES + b % 8 * 2 * LANES;
    const uint8_t *bodies = body_at(LCKV_DTYPE_Q6_K, group, b - (size_t)odd); /* of 64 columns */
    vf d = v_load_f16(head);
    struct q6_k_part part = {v_mul(d, v_from_int(vi_load_i8(scales))),
                             v_mul(d, v_from_int(vi_load_i8(scales + LANES))),
                             bodies + odd * 16 * LANES, bodies + 32 * LANES, odd};
    return part;
}

/* Quad q of 8 of the part: bytes of 0 .. 63. */
INLINE vb q6_k_quad(const struct q6_k_part *part, int q)
{
    vb low = vb_load(part->low + q % 4 * 4 * LANES), high = vb_load(part->high + q % 4 * 4 * LANES);
    low = q < 4 ? vb_low_nibbles(low) : vb_high_nibbles(low);
    return vb_with_high(low, high, 4 - 4 * part->odd - (q < 4 ? 0 : 2), 0x30);
}

INLINE void unpack_q6_k(const uint8_t *group, size_t b, float *out)
{
    struct q6_k_part part = q6_k_part(group, b, b % 2);
    UNROLL for (int q = 0; q < 8; q++)
        unpack_quad(v6_signed(q6_k_quad(&part, q)), q < 4 ? part.first : part.second, v_set(0),
                    out + q * 4 * LANES);
}

/* The same of q4_K and q5_K: value = scale * number - minimum. */
struct q45_k_part {
    vf scale, minimum;
    const uint8_t *low, *high;
};

/* Number k of the sixteen of six bits that matrix.c packs into three words. */
INLINE vf q45_k_number(const uint8_t *words, size_t k)
{
    if (k < 15)
        return v_from_int(vi_bits(vi_load(words + k / 5 * 4 * LANES), (int)(k % 5) * 6, 63));
    vi a = vi_bits(vi_load(words), 30, 3), b = vi_bits(vi_load(words + 4 * LANES), 30, 3);
    vi c = vi_bits(vi_load(words + 8 * LANES), 30, 3);
    return v_fma(v_from_int(c), v_set(16), v_fma(v_from_int(b), v_set(4), v_from_int(a)));
}

INLINE struct q45_k_part q45_k_part(lckv_dtype dtype, const uint8_t *group, size_t b)
{
    const uint8_t *head = head_at(dtype, group, b), *body = body_at(dtype, group, b);
    const uint8_t *words = head + 4 * LANES;
    struct q45_k_part part = {v_mul(v_load_f16(head), q45_k_number(words, b % 8)),
                              v_mul(v_load_f16(head + 2 * LANES), q45_k_number(words, 8 + b % 8)),
                              body, body + 16 * LANES};
    return part;
}

/* Quad q of 8 of the part: bytes of 0 .. 31. */
INLINE vb q45_k_quad(lckv_dtype dtype, const struct q45_k_part *part, int q)
{
    vb both = vb_load(part->low + q % 4 * 4 * LANES);
    vb low = q < 4 ? vb_low_nibbles(both) : vb_high_nibbles(both);
    return dtype == LCKV_DTYPE_Q5_K ? vb_with_high(low, vb_load(part->high), 4 - q, 0x10) : low;
}

INLINE void unpack_q45_k(lckv_dtype dtype, const uint8_t *group, size_t b, float *out)
{
    struct q45_k_part part = q45_k_part(dtype, group, b);
    vf offset = v_sub(v_set(0), part.minimum);
    UNROLL for (int q = 0; q < 8; q++)
        unpack_quad(q45_k_quad(dtype, &part, q), part.scale, offset, out + q * 4 * LANES);
}

/* Block b of 32 columns of a quantised type. */
INLINE void unpack_block(lckv_dtype dtype, const uint8_t *group, size_t b, float *out)
{
    const uint8_t *head = head_at(dtype, group, b), *body = body_at(dtype, group, b);
    if (dtype == LCKV_DTYPE_Q8_0)
        unpack_q8_0(head, body, out);
    else if (dtype == LCKV_DTYPE_Q4_0)
        unpack_q4_0(head, body, out);
    else if (dtype == LCKV_DTYPE_Q4_1)
        unpack_q4_1(head, body, out);
    else if (dtype == LCKV_DTYPE_Q6_K)
        unpack_q6_k(group, b, out);
    else
        unpack_q45_k(dtype, group, b, out);
}
