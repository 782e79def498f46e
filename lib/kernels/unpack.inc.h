/*
 * Template: packed weights as floats, a block of 32 columns of a group at a time:
 * out[column * LANES + lane].
 */
#include "kernels/matrix.h"

/* Where a group's heads and bodies are. */
struct group {
    const uint8_t *head, *body;
    size_t n_bytes; /* of both */
};

INLINE struct group group_at(const struct matrix *matrix, size_t index)
{
    const uint8_t *at = matrix->data + index * matrix->size.group_bytes;
    struct group group = {at, at + matrix->size.body, matrix->size.group_bytes};
    return group;
}

/* Bytes of 32 columns of a group (packed_form as constants): numbers; scales and minimums. */
INLINE size_t body_bytes(lckv_dtype dtype)
{
    return dtype == LCKV_DTYPE_F32                               ? 128 * LANES
           : dtype == LCKV_DTYPE_F16 || dtype == LCKV_DTYPE_BF16 ? 64 * LANES
           : dtype == LCKV_DTYPE_Q8_0                            ? 32 * LANES
           : dtype == LCKV_DTYPE_Q6_K                            ? 24 * LANES
           : dtype == LCKV_DTYPE_Q5_K                            ? 20 * LANES
                                                                 : 16 * LANES;
}

INLINE size_t head_bytes(lckv_dtype dtype)
{
    return dtype == LCKV_DTYPE_F32 || dtype == LCKV_DTYPE_F16 || dtype == LCKV_DTYPE_BF16 ? 0
           : dtype == LCKV_DTYPE_Q4_1 ? 4 * LANES
           : dtype == LCKV_DTYPE_Q6_K ? 18 * LANES / 8
                                      : 2 * LANES;
}

/* How far ahead of use heads are fetched: they are a tenth of a group. */
#define PREFETCH_HEAD_BYTES 1024

/* The same for bodies. A super-block's last part is read with its first. */
INLINE size_t prefetch_bytes(lckv_dtype dtype)
{
    bool whole = dtype == LCKV_DTYPE_Q5_K || dtype == LCKV_DTYPE_Q6_K;
    return PREFETCH_BYTES + (whole ? 8 * body_bytes(dtype) : 0);
}

/* The bodies that prefetch_groups takes as fetched: of the first `most` of groups [begin, end). */
INLINE void prefetch_first(lckv_dtype dtype, const struct matrix *matrix, size_t begin, size_t end,
                           size_t most)
{
    struct group group = group_at(matrix, begin);
    size_t n_bytes = prefetch_bytes(dtype), n_groups = end - begin < most ? end - begin : most;
    size_t left = group.n_bytes - (size_t)(group.body - group.head);
    n_bytes = n_bytes < left ? n_bytes : left;
    for (size_t i = 0; i < n_bytes; i += 64) {
        for (size_t g = 0; g < n_groups; g++)
            prefetch_line(group.body + g * group.n_bytes + i);
    }
}

/*
 * Fetches what groups side by side need soon after block `b` of 32 columns: line by line over all
 * of them, which memory serves faster than group by group. Behind the end of a group comes the one
 * that will stand in its place, and so on.
 */
INLINE void prefetch_groups(lckv_dtype dtype, const struct group *groups, size_t n_groups, size_t b)
{
    size_t n_bytes = groups->n_bytes;
    size_t at =
        (size_t)(groups->body - groups->head) + b * body_bytes(dtype) + prefetch_bytes(dtype);
    for (size_t beyond = at; beyond >= n_bytes; beyond -= n_bytes)
        at += (n_groups - 1) * n_bytes;
    UNROLL for (size_t i = 0; i < body_bytes(dtype); i += 64)
    {
        UNROLL for (size_t g = 0; g < n_groups; g++) prefetch_line(groups[g].head + at + i);
    }
    if (head_bytes(dtype) > 0) {
        UNROLL for (size_t g = 0; g < n_groups; g++)
            prefetch_line(groups[g].head + b * head_bytes(dtype) + PREFETCH_HEAD_BYTES);
    }
}

INLINE void unpack_quad(vb quad, vf scale, vf offset, float *out)
{
    UNROLL for (int i = 0; i < 4; i++)
        v_store(out + i * LANES, v_fma(v_from_byte(quad, i), scale, offset));
}

static void unpack_f16(const uint8_t *body, float *out)
{
    for (int c = 0; c < 32; c++)
        v_store(out + c * LANES, v_load_f16(body + c * 2 * LANES));
}

static void unpack_bf16(const uint8_t *body, float *out)
{
    for (int c = 0; c < 32; c++)
        v_store(out + c * LANES, v_from_bf16(vb_load(body + c / 2 * 4 * LANES), c % 2));
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
    int shift;
};

INLINE struct q6_k_part q6_k_part(const struct group *group, size_t b)
{
    const uint8_t *head = group->head + b / 8 * 18 * LANES;
    const uint8_t *body = group->body + b / 8 * 192 * LANES;
    const uint8_t *scales = head + 2 * LANES + b % 8 * 2 * LANES;
    vf d = v_load_f16(head);
    struct q6_k_part part = {
        v_mul(d, v_from_int(vi_load_i8(scales))), v_mul(d, v_from_int(vi_load_i8(scales + LANES))),
        body + b % 8 * 16 * LANES, body + (128 + b % 8 / 2 * 16) * LANES, (int)(b % 2) * 4};
    return part;
}

/* Quad q of 8 of the part: bytes of 0 .. 63. */
INLINE vb q6_k_quad(const struct q6_k_part *part, int q)
{
    vb low = vb_load(part->low + q % 4 * 4 * LANES), high = vb_load(part->high + q % 4 * 4 * LANES);
    low = q < 4 ? vb_low_nibbles(low) : vb_high_nibbles(low);
    return vb_or(low, vb_two_bits(high, part->shift + (q < 4 ? 0 : 2)));
}

INLINE void unpack_q6_k(const struct group *group, size_t b, float *out)
{
    struct q6_k_part part = q6_k_part(group, b);
    UNROLL for (int q = 0; q < 8; q++)
        unpack_quad(vs_plain(vs_from_6_bits(q6_k_quad(&part, q))), q < 4 ? part.first : part.second,
                    v_set(0), out + q * 4 * LANES);
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

INLINE struct q45_k_part q45_k_part(lckv_dtype dtype, const struct group *group, size_t b)
{
    size_t super_bytes = dtype == LCKV_DTYPE_Q5_K ? 160 : 128;
    const uint8_t *head = group->head + b / 8 * 16 * LANES;
    const uint8_t *body = group->body + b / 8 * super_bytes * LANES;
    const uint8_t *words = head + 4 * LANES;
    struct q45_k_part part = {v_mul(v_load_f16(head), q45_k_number(words, b % 8)),
                              v_mul(v_load_f16(head + 2 * LANES), q45_k_number(words, 8 + b % 8)),
                              body + b % 8 * 16 * LANES, body + (128 + b % 8 * 4) * LANES};
    return part;
}

/* Quad q of 8 of the part: bytes of 0 .. 31. */
INLINE vb q45_k_quad(lckv_dtype dtype, const struct q45_k_part *part, int q)
{
    vb both = vb_load(part->low + q % 4 * 4 * LANES);
    vb low = q < 4 ? vb_low_nibbles(both) : vb_high_nibbles(both);
    return dtype == LCKV_DTYPE_Q5_K ? vb_or(low, vb_one_bit(vb_load(part->high), q)) : low;
}

INLINE void unpack_q45_k(lckv_dtype dtype, const struct group *group, size_t b, float *out)
{
    struct q45_k_part part = q45_k_part(dtype, group, b);
    vf offset = v_sub(v_set(0), part.minimum);
    UNROLL for (int q = 0; q < 8; q++)
        unpack_quad(q45_k_quad(dtype, &part, q), part.scale, offset, out + q * 4 * LANES);
}

/* Columns [32 b, 32 b + 32) as floats: in place for f32, otherwise in `buffer`. */
INLINE const float *unpack_block(lckv_dtype dtype, const struct group *group, size_t b,
                                 float *buffer)
{
    switch (dtype) {
    case LCKV_DTYPE_F16:
        unpack_f16(group->body + b * 64 * LANES, buffer);
        break;
    case LCKV_DTYPE_BF16:
        unpack_bf16(group->body + b * 64 * LANES, buffer);
        break;
    case LCKV_DTYPE_Q8_0:
        unpack_q8_0(group->head + b * 2 * LANES, group->body + b * 32 * LANES, buffer);
        break;
    case LCKV_DTYPE_Q4_0:
        unpack_q4_0(group->head + b * 2 * LANES, group->body + b * 16 * LANES, buffer);
        break;
    case LCKV_DTYPE_Q4_1:
        unpack_q4_1(group->head + b * 4 * LANES, group->body + b * 16 * LANES, buffer);
        break;
    case LCKV_DTYPE_Q4_K:
    case LCKV_DTYPE_Q5_K:
        unpack_q45_k(dtype, group, b, buffer);
        break;
    case LCKV_DTYPE_Q6_K:
        unpack_q6_k(group, b, buffer);
        break;
    default:
        return (const float *)(const void *)(group->body + b * 128 * LANES);
    }
    return buffer;
}

/* The last `n` columns of a float matrix whose width is no multiple of 32. */
INLINE const float *unpack_rest(lckv_dtype dtype, const struct group *group, size_t b, size_t n,
                                float *buffer)
{
    const uint8_t *at = group->body + b * 64 * LANES;
    if (dtype == LCKV_DTYPE_F32)
        return unpack_block(dtype, group, b, buffer);
    for (size_t c = 0; c < n; c++) {
        vf w = dtype == LCKV_DTYPE_F16 ? v_load_f16(at + c * 2 * LANES)
                                       : v_from_bf16(vb_load(at + c / 2 * 4 * LANES), (int)c % 2);
        v_store(buffer + c * LANES, w);
    }
    return buffer;
}
