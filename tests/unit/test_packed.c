/*
 * The packed form: sizes, type numbers, and strips that move from one layout to another.
 */
#include "format/packed.h"
#include "kernels/file_rows.h"

#include <inttypes.h>
#include <stdlib.h>

#include "random.h"
#include "support.h"

static const lckv_dtype dtypes[] = {
    LCKV_DTYPE_F32,  LCKV_DTYPE_F16,    LCKV_DTYPE_BF16,   LCKV_DTYPE_Q8_0,
    LCKV_DTYPE_Q4_0, LCKV_DTYPE_Q4_1,   LCKV_DTYPE_Q4_K,   LCKV_DTYPE_Q5_K,
    LCKV_DTYPE_Q6_K, LCKV_DTYPE_Q5_0,   LCKV_DTYPE_Q5_1,   LCKV_DTYPE_Q2_K,
    LCKV_DTYPE_Q3_K, LCKV_DTYPE_IQ4_NL, LCKV_DTYPE_IQ4_XS, LCKV_DTYPE_MXFP4};
enum { N_DTYPES = sizeof dtypes / sizeof dtypes[0] };

static const struct matrix_layout layouts[] = {{8, false}, {16, true}, {16, false}};
enum { N_LAYOUTS = sizeof layouts / sizeof layouts[0] };

START_TEST(packed_matrices_take_the_bytes_of_files)
{
    for (size_t l = 0; l < N_LAYOUTS; l++) {
        struct packed_size size;
        uint64_t bytes;
        ck_assert(dtype_bytes(dtypes[_i], 64 * 1024, &bytes));
        ck_assert(packed_measure(dtypes[_i], 64, 1024, layouts[l], &size));
        ck_assert_uint_eq(size.n_bytes, bytes);
        ck_assert_uint_le(size.strip_rows, PACKED_MAX_STRIP);
        ck_assert_uint_eq(packed_row_step(layouts[l]) % size.strip_rows, 0);
        bool is_float = dtype_info(dtypes[_i])->block_elements == 1; /* products rely on it */
        ck_assert_uint_eq(size.strip_rows, layouts[l].lanes * (is_float ? 2 : 1));
        ck_assert_uint_eq(size.n_strips, 64 / size.strip_rows);
        ck_assert_uint_eq(size.strip_bytes % PACKED_ALIGNMENT, 0);
        ck_assert(packed_measure(dtypes[_i], 65, 1024, layouts[l], &size)); /* one strip more */
        ck_assert_uint_eq(size.n_bytes, bytes + size.strip_bytes);
    }
}
END_TEST

/* Scales and bodies are apart, begin where vectors may, and end with the strip. */
START_TEST(blocks_have_places_of_their_own)
{
    const struct packed_form form = packed_form(dtypes[_i]);
    size_t scales_bytes = packed_scales_bytes(form), body_bytes = packed_body_bytes(form);
    static uint8_t taken[1 << 17];
    for (size_t l = 0; l < N_LAYOUTS; l++) {
        struct packed_size size;
        size_t rows = packed_strip_rows(dtypes[_i], layouts[l]), n_taken = 0;
        ck_assert(packed_measure(dtypes[_i], rows, 3 * 256, layouts[l], &size));
        ck_assert_uint_le(size.strip_bytes, sizeof taken);
        memset(taken, 0, sizeof taken);
        for (size_t b = 0; b < size.n_blocks; b++) {
            struct packed_block at = packed_block(form, rows, b);
            if (form.columns >= 32)
                ck_assert_uint_eq(at.body % (4 * rows), 0);
            ck_assert_uint_le(at.body + rows * body_bytes, size.strip_bytes);
            for (size_t i = 0; i < rows * scales_bytes; i++)
                n_taken += !taken[at.scales + i]++;
            for (size_t i = 0; i < rows * body_bytes; i++)
                n_taken += !taken[at.body + i]++;
        }
        ck_assert_uint_eq(n_taken, size.n_blocks * rows * (scales_bytes + body_bytes));
        ck_assert_uint_lt(size.strip_bytes - n_taken, PACKED_ALIGNMENT + rows * scales_bytes);
    }
}
END_TEST

START_TEST(sizes_that_do_not_fit_are_refused)
{
    struct packed_size size;
    ck_assert(!packed_measure(LCKV_DTYPE_Q8_0, 16, 33, layouts[1], &size));
    ck_assert(!packed_measure(LCKV_DTYPE_Q4_K, 16, 128, layouts[1], &size));
    ck_assert(!packed_measure(LCKV_DTYPE_F32, 16, 0, layouts[1], &size));
    ck_assert(!packed_measure(99, 16, 128, layouts[1], &size));
    ck_assert(!packed_measure(LCKV_DTYPE_F32, UINT64_C(1) << 32, 1, layouts[1], &size));
    ck_assert(!packed_measure(LCKV_DTYPE_F32, 1, UINT64_C(1) << 32, layouts[1], &size));
    ck_assert(!packed_measure(LCKV_DTYPE_F32, UINT32_MAX, UINT32_MAX, layouts[1], &size));
}
END_TEST

START_TEST(type_numbers_come_back)
{
    for (size_t l = 0; l < N_LAYOUTS; l++) {
        struct matrix_layout layout = {0, false};
        uint32_t number = packed_to_gguf(dtypes[_i], layouts[l]);
        ck_assert_ptr_null(dtype_from_gguf(number));
        const struct dtype_info *info = packed_from_gguf(number, &layout);
        ck_assert_ptr_nonnull(info);
        ck_assert_int_eq(info->dtype, dtypes[_i]);
        ck_assert_uint_eq(layout.lanes, layouts[l].lanes);
        ck_assert_int_eq(layout.unsigned_bytes, layouts[l].unsigned_bytes);
        ck_assert_ptr_null(packed_from_gguf(number | 0x0300, &layout));   /* 24 lanes */
        ck_assert_ptr_null(packed_from_gguf(number & ~0x0300u, &layout)); /* none */
        ck_assert(!packed_other_version(number));
        ck_assert(packed_other_version(number ^ 0x0400));
        ck_assert(packed_other_version(number ^ 0x4000));
        ck_assert_ptr_null(packed_from_gguf(number ^ 0x0400, &layout));
        ck_assert_ptr_null(packed_from_gguf(number ^ 0x00c0, &layout)); /* no such type */
        ck_assert_ptr_null(packed_from_gguf(number ^ 0x10000, &layout));
        ck_assert_ptr_null(packed_from_gguf(number & 0xff, &layout));
    }
}
END_TEST

/* The rows do not fill the last strip, and the columns do not fill the last bundle or pair. */
enum { ROWS = 43, MOST_BYTES = ROWS * 1024 * 4 };

static uint32_t columns_of(lckv_dtype dtype)
{
    size_t elements = dtype_info(dtype)->block_elements;
    return elements == 1 ? 77 : elements == 32 ? 7 * 32 : 3 * 256;
}

static struct matrix pack(lckv_dtype dtype, struct matrix_layout layout, const uint8_t *bytes)
{
    struct matrix matrix = {0};
    uint64_t row_bytes;
    ck_assert(dtype_bytes(dtype, columns_of(dtype), &row_bytes));
    ck_assert_ok(
        matrix_create(&matrix, dtype, ROWS, columns_of(dtype), layout, &memory_default_allocator));
    memset(matrix.owned, 0xa5, matrix.size.n_bytes); /* nothing may be left of it */
    for (uint32_t g = 0; g < matrix.size.n_strips; g++) {
        const uint8_t *rows[PACKED_MAX_STRIP];
        for (uint32_t lane = 0; lane < matrix.size.strip_rows; lane++) {
            uint32_t row = g * matrix.size.strip_rows + lane;
            rows[lane] = row < ROWS ? bytes + row * row_bytes : NULL;
        }
        matrix_pack_strip(&matrix, rows, matrix.owned + g * matrix.size.strip_bytes);
    }
    return matrix;
}

/*
 * Compares the rows as floats, because rows of the last strip that the matrix does not have may
 * hold anything.
 */
static void check_same_rows(const struct matrix *a, const struct matrix *b)
{
    static float row_a[3 * 256], row_b[3 * 256];
    for (uint32_t r = 0; r < ROWS; r++) {
        matrix_unpack_row(a, r, row_a);
        matrix_unpack_row(b, r, row_b);
        ck_assert_mem_eq(row_a, row_b, a->n_columns * sizeof *row_a);
    }
}

START_TEST(strips_go_from_any_layout_to_any_other)
{
    static uint8_t bytes[MOST_BYTES];
    lckv_dtype dtype = dtypes[_i];
    random_seed = 11;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(random_bits() >> 24);
    for (size_t from = 0; from < N_LAYOUTS; from++) {
        struct matrix source = pack(dtype, layouts[from], bytes);
        for (size_t to = 0; to < N_LAYOUTS; to++) {
            struct matrix expected = pack(dtype, layouts[to], bytes), made = {0};
            ck_assert_ok(matrix_create(&made, dtype, ROWS, columns_of(dtype), layouts[to],
                                       &memory_default_allocator));
            for (uint32_t g = 0; g < made.size.n_strips; g++) {
                uint32_t first = g * made.size.strip_rows / source.size.strip_rows;
                matrix_repack_strip(&made, g, layouts[from], &source.size,
                                    source.data + first * source.size.strip_bytes, first,
                                    made.owned + g * made.size.strip_bytes);
            }
            check_same_rows(&made, &expected);
            size_t whole = (ROWS / made.size.strip_rows) * made.size.strip_bytes;
            ck_assert_mem_eq(made.data, expected.data, whole);
            matrix_release(&made, &memory_default_allocator);
            matrix_release(&expected, &memory_default_allocator);
        }
        matrix_release(&source, &memory_default_allocator);
    }
}
END_TEST

START_TEST(rows_come_back_as_they_were)
{
    static uint8_t bytes[MOST_BYTES], row[1024 * 4];
    lckv_dtype dtype = dtypes[_i];
    uint64_t row_bytes;
    random_seed = 12;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(random_bits() >> 24);
    ck_assert(dtype_bytes(dtype, columns_of(dtype), &row_bytes));
    for (size_t l = 0; l < N_LAYOUTS; l++) {
        struct matrix matrix = pack(dtype, layouts[l], bytes);
        for (uint32_t r = 0; r < ROWS; r++) {
            memset(row, 0xa5, sizeof row);
            matrix_file_row(&matrix, r, row);
            ck_assert_mem_eq(row, bytes + r * row_bytes, row_bytes);
            ck_assert_uint_eq(row[row_bytes], 0xa5); /* and nothing behind them is written */
        }
        matrix_release(&matrix, &memory_default_allocator);
    }
}
END_TEST

static uint64_t fnv1a(const uint8_t *bytes, size_t length)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* Packed files live longer than the library that wrote them. */
START_TEST(the_bytes_are_those_of_the_version)
{
    static const uint64_t expected[N_DTYPES][N_LAYOUTS] = {
        {UINT64_C(0x6a94a02d8486ad8f), UINT64_C(0x902af642e66a9e37), UINT64_C(0x902af642e66a9e37)},
        {UINT64_C(0x93e406dc0e99482f), UINT64_C(0x7116ef36719083eb), UINT64_C(0x7116ef36719083eb)},
        {UINT64_C(0x02e639ab49efc977), UINT64_C(0x400d84c86e99be57), UINT64_C(0x400d84c86e99be57)},
        {UINT64_C(0x85b818e9cb362521), UINT64_C(0x2e556931c13ddc89), UINT64_C(0xefb8bf431c835289)},
        {UINT64_C(0x8921c88521ea4a82), UINT64_C(0x24c277770cc898e2), UINT64_C(0x24c277770cc898e2)},
        {UINT64_C(0x0c31e43c8b028022), UINT64_C(0xd7aee4aabc17e1ea), UINT64_C(0xd7aee4aabc17e1ea)},
        {UINT64_C(0x9086d24ff6625a4a), UINT64_C(0xab376e59ca1d648a), UINT64_C(0xab376e59ca1d648a)},
        {UINT64_C(0x087a3f9cb15d25cf), UINT64_C(0x05d57deb58da7707), UINT64_C(0x05d57deb58da7707)},
        {UINT64_C(0xc7cc91f6a09e316a), UINT64_C(0x52c5d532e67c1d76), UINT64_C(0x52c5d532e67c1d76)},
        {UINT64_C(0x710c46056841c336), UINT64_C(0x8a1a07872865ba7e), UINT64_C(0x8a1a07872865ba7e)},
        {UINT64_C(0x4021c8440db6f68f), UINT64_C(0x94861d8e5b3d100f), UINT64_C(0x94861d8e5b3d100f)},
        {UINT64_C(0x95c867034a22f3b9), UINT64_C(0x4ad7238c83108ef5), UINT64_C(0x4ad7238c83108ef5)},
        {UINT64_C(0x239c9ffdc700d527), UINT64_C(0xaf5ce694455293b7), UINT64_C(0xaf5ce694455293b7)},
        {UINT64_C(0x8921c88521ea4a82), UINT64_C(0x24c277770cc898e2), UINT64_C(0x24c277770cc898e2)},
        {UINT64_C(0xc097e6e9fead493b), UINT64_C(0xa38666e48340bd77), UINT64_C(0xa38666e48340bd77)},
        {UINT64_C(0xdb49c37c51722e7c), UINT64_C(0x8503c2d65017954c), UINT64_C(0x8503c2d65017954c)}};
    static uint8_t bytes[MOST_BYTES];
    random_seed = 5;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(random_bits() >> 24);
    for (size_t l = 0; l < N_LAYOUTS; l++) {
        struct matrix matrix = pack(dtypes[_i], layouts[l], bytes);
        uint64_t got = fnv1a(matrix.data, matrix.size.n_bytes);
        matrix_release(&matrix, &memory_default_allocator);
        ck_assert_msg(got == expected[_i][l],
                      "the bytes of %s, layout %zu, have changed: raise PACKED_VERSION, and put "
                      "0x%016" PRIx64 " here",
                      lckv_dtype_name(dtypes[_i]), l, got);
    }
}
END_TEST

START_TEST(a_view_is_not_freed)
{
    static uint8_t bytes[MOST_BYTES];
    struct matrix owner = pack(LCKV_DTYPE_Q8_0, layouts[0], bytes), view = {0};
    ck_assert_ok(matrix_view(&view, LCKV_DTYPE_Q8_0, ROWS, columns_of(LCKV_DTYPE_Q8_0), layouts[0],
                             owner.data));
    check_same_rows(&view, &owner);
    matrix_release(&view, &memory_default_allocator);
    ck_assert_ptr_null(view.data);
    float row[3 * 256];
    matrix_unpack_row(&owner, 0, row);
    matrix_release(&owner, &memory_default_allocator);
}
END_TEST

static void add_all(Suite *suite)
{
    TCase *tcase = tcase_create("packed");
    tcase_add_loop_test(tcase, packed_matrices_take_the_bytes_of_files, 0, N_DTYPES);
    tcase_add_loop_test(tcase, blocks_have_places_of_their_own, 0, N_DTYPES);
    tcase_add_test(tcase, sizes_that_do_not_fit_are_refused);
    tcase_add_loop_test(tcase, type_numbers_come_back, 0, N_DTYPES);
    tcase_add_loop_test(tcase, strips_go_from_any_layout_to_any_other, 0, N_DTYPES);
    tcase_add_loop_test(tcase, rows_come_back_as_they_were, 0, N_DTYPES);
    tcase_add_loop_test(tcase, the_bytes_are_those_of_the_version, 0, N_DTYPES);
    tcase_add_test(tcase, a_view_is_not_freed);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("packed", add_all)
