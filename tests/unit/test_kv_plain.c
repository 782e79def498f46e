/*
 * Keys and values as plain bytes: the elements in order, from any layout and back into any.
 */
#include "kernels/halves.h"
#include "kernels/kernels.h"

#include "kernel_sets.h"
#include "support.h"

#include <math.h>

enum { HEADS = 3, HEAD_DIM = 64, MOST = 64 };

static const lckv_dtype types[] = {LCKV_DTYPE_F32, LCKV_DTYPE_F16, LCKV_DTYPE_BF16};

/* Keys of the first type, and values of the second. */
static struct kv_layout layout_of(lckv_dtype keys, lckv_dtype values, uint32_t page_positions)
{
    struct kv_layout layout;
    ck_assert_ok(kv_layout_init(&layout, keys, values, HEADS, HEAD_DIM, page_positions));
    return layout;
}

static uint8_t *make_page(const struct kv_layout *layout)
{
    uint8_t *page = calloc(1, layout->page_bytes + KV_SLACK);
    ck_assert_ptr_nonnull(page);
    return page;
}

/* An element of plain bytes as a float. */
static float element(enum kv_type type, const uint8_t *bytes, size_t i)
{
    float number;
    uint16_t half;
    if (type == KV_F32) {
        memcpy(&number, bytes + 4 * i, 4);
        return number;
    }
    memcpy(&half, bytes + 2 * i, 2);
    return type == KV_F16 ? f16_to_f32(half) : bf16_to_f32(half);
}

/* _i: the types. */
START_TEST(plain_bytes_are_the_elements_in_order)
{
    const lckv_dtype keys = types[_i / 3], values = types[_i % 3];
    const struct kv_layout from = layout_of(keys, values, 48), to = layout_of(keys, values, 16);
    uint8_t *source = make_page(&from), *target = make_page(&to), *plain, *again;
    const size_t n_bytes = kv_plain_bytes(&from);
    ck_assert_uint_eq(n_bytes, HEAD_DIM * ((_i / 3 == 0 ? 4 : 2) + (_i % 3 == 0 ? 4 : 2)));
    plain = malloc(n_bytes); /* sanitizers see what goes beyond */
    again = malloc(n_bytes);
    const kv_store_function store = kernels_any()->kv_store;
    for (uint32_t p = 0; p < 48; p++) {
        for (uint32_t head = 0; head < HEADS; head++) {
            float k[HEAD_DIM], v[HEAD_DIM], k_back[HEADS * HEAD_DIM], v_back[HEADS * HEAD_DIM];
            for (uint32_t d = 0; d < HEAD_DIM; d++) {
                k[d] = (float)(p * 100 + head * 30 + d) / 64;
                v[d] = -k[d] - 1;
            }
            store(&from, source, p, head, k, v);
            kv_export(&from, source, p, head, plain);
            kv_load(&from, source, p, k_back, v_back);
            for (uint32_t d = 0; d < HEAD_DIM; d++) {
                ck_assert(element(from.keys.type, plain, d) == k_back[head * HEAD_DIM + d]);
                ck_assert(element(from.values.type, plain + from.keys.row_bytes, d) ==
                          v_back[head * HEAD_DIM + d]);
            }
            ck_assert(kv_import(&to, target, p % 16, head, plain));
            kv_export(&to, target, p % 16, head, again);
            ck_assert_mem_eq(plain, again, n_bytes);
        }
    }
    free(source);
    free(target);
    free(plain);
    free(again);
}
END_TEST

/* The numbers of a row that must be finite: all, or the scales; and some that are not. */
struct kind {
    lckv_dtype dtype;
    size_t n, bytes;
    uint32_t bad[3];
};

static const struct kind kinds[] = {
    {LCKV_DTYPE_F32, HEAD_DIM, 4, {0x7F800000, 0xFF800000, 0x7FC00001}},
    {LCKV_DTYPE_F16, HEAD_DIM, 2, {0x7C00, 0xFC00, 0x7E01}},
    {LCKV_DTYPE_BF16, HEAD_DIM, 2, {0x7F80, 0xFF80, 0x7FC1}},
    {LCKV_DTYPE_Q8_0, HEAD_DIM / 32, 2, {0x7C00, 0xFC00, 0x7E01}},
    {LCKV_DTYPE_Q4_0, HEAD_DIM / 32, 2, {0x7C00, 0xFC00, 0x7E01}}};

/* _i: the kinds of keys and values. NaN and infinity do not get into a page as values. */
START_TEST(values_must_be_finite)
{
    const struct kind *keys = &kinds[(size_t)_i / COUNT(kinds)],
                      *values = &kinds[(size_t)_i % COUNT(kinds)];
    const struct kv_layout layout = layout_of(keys->dtype, values->dtype, 16);
    uint8_t *page = make_page(&layout), *empty = make_page(&layout), plain[2 * HEAD_DIM * 4];
    for (size_t at = 0; at < keys->n + values->n; at++) {
        const bool is_key = at < keys->n;
        uint8_t *number = is_key ? plain + at * keys->bytes
                                 : plain + layout.keys.row_bytes + (at - keys->n) * values->bytes;
        for (size_t b = 0; b < COUNT(keys->bad); b++) {
            memset(plain, 0, sizeof plain);
            if (is_key)
                memcpy(number, &keys->bad[b], keys->bytes);
            else
                memcpy(number, &values->bad[b], values->bytes);
            ck_assert(kv_import(&layout, page, 3, 1, plain) == is_key);
            if (!is_key)
                ck_assert_mem_eq(page, empty, layout.page_bytes);
            memset(page, 0, layout.page_bytes);
        }
    }
    free(page);
    free(empty);
}
END_TEST

/* _i: the types. Quantised rows come back as they were, wherever they stand in a page. */
START_TEST(quantised_rows_come_back)
{
    static const lckv_dtype quantised[] = {LCKV_DTYPE_Q8_0, LCKV_DTYPE_Q4_0, LCKV_DTYPE_F16};
    enum { N = 16 };
    const lckv_dtype keys = quantised[_i / 3], values = quantised[_i % 3];
    const struct kv_layout from = layout_of(keys, values, 48), to = layout_of(keys, values, N);
    uint8_t *source = make_page(&from), *target = make_page(&to);
    uint8_t *plain = malloc(kv_plain_bytes(&from));
    const kv_store_function store = kernels_any()->kv_store;
    for (uint32_t p = 0; p < 48; p++) {
        for (uint32_t head = 0; head < HEADS; head++) {
            float k[HEAD_DIM], v[HEAD_DIM];
            for (uint32_t d = 0; d < HEAD_DIM; d++) {
                k[d] = (float)((p * 7 + head * 5 + d * 3) % 31) - 15;
                v[d] = (float)((p * 5 + head * 3 + d * 7) % 29) / 8 - 1;
            }
            store(&from, source, p, head, k, v);
        }
    }
    for (uint32_t first = 0; first < 48; first += N) {
        for (uint32_t p = 0; p < N; p++) {
            float k[2][HEADS * HEAD_DIM], v[2][HEADS * HEAD_DIM];
            for (uint32_t head = 0; head < HEADS; head++) {
                kv_export(&from, source, first + p, head, plain);
                ck_assert(kv_import(&to, target, p, head, plain));
            }
            kv_load(&from, source, first + p, k[0], v[0]);
            kv_load(&to, target, p, k[1], v[1]);
            ck_assert_mem_eq(k[0], k[1], sizeof k[0]);
            ck_assert_mem_eq(v[0], v[1], sizeof v[0]);
        }
    }
    free(source);
    free(target);
    free(plain);
}
END_TEST

static float rounded(enum kv_type type, float x)
{
    return type == KV_F32   ? x
           : type == KV_F16 ? f16_to_f32(f32_to_f16(x))
                            : bf16_to_f32(f32_to_bf16(x));
}

/*
 * _i: the types. Keys and values are rounded to the nearest number, a tie to the even one, alike in
 * every kernel set.
 */
START_TEST(keys_and_values_are_rounded_to_even)
{
    static const float beside[] = {0, -0x1p-20f, 0, 0x1p-20f};
    const struct kv_layout layout = layout_of(types[_i], types[_i], 16);
    uint8_t *page = make_page(&layout);
    FOR_KERNEL_SETS(kernels)
    {
        float stored[HEAD_DIM], k[HEADS * HEAD_DIM], v[HEADS * HEAD_DIM];
        for (uint32_t d = 0; d < HEAD_DIM; d++) {
            /* Halfway between two numbers of bfloat16 or of f16, or beside that. */
            const float step = d / 4 % 2 == 0 ? 0x1p-7f : 0x1p-10f;
            stored[d] = 1 + ((float)(d / 8) + 0.5f) * step + beside[d % 4];
            stored[d] = d % 3 == 0 ? -stored[d] : stored[d];
        }
        kernels->kv_store(&layout, page, 5, 1, stored, stored);
        kv_load(&layout, page, 5, k, v);
        for (uint32_t d = 0; d < HEAD_DIM; d++) {
            const float expected = rounded(layout.keys.type, stored[d]);
            const float key = k[HEAD_DIM + d], value = v[HEAD_DIM + d];
            ck_assert_msg(key == expected && value == expected,
                          "%s: %a becomes %a and %a, expected %a", kernels->name, (double)stored[d],
                          (double)key, (double)value, (double)expected);
        }
    }
    free(page);
}
END_TEST

static void add_all(Suite *suite)
{
    TCase *tcase = tcase_create("plain bytes");
    tcase_add_loop_test(tcase, plain_bytes_are_the_elements_in_order, 0, 9);
    tcase_add_loop_test(tcase, values_must_be_finite, 0, COUNT(kinds) * COUNT(kinds));
    tcase_add_loop_test(tcase, quantised_rows_come_back, 0, 9);
    tcase_add_loop_test(tcase, keys_and_values_are_rounded_to_even, 0, COUNT(types));
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("kv plain", add_all)
