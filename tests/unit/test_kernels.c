/*
 * Products, for every kernel set that this machine runs: packing keeps every bit; products agree
 * with plain sums over dequantised weights; results do not depend on the shape of the tile. Also
 * tests the choice of a set.
 */
#include "kernel_sets.h"
#include "random.h"
#include "support.h"

#include "kernels/blocks.h"
#include "kernels/halves.h"

#include <math.h>
#include <string.h>

static const lckv_dtype dtypes[] = {
    LCKV_DTYPE_F32,  LCKV_DTYPE_F16,    LCKV_DTYPE_BF16,   LCKV_DTYPE_Q8_0,
    LCKV_DTYPE_Q4_0, LCKV_DTYPE_Q4_1,   LCKV_DTYPE_Q4_K,   LCKV_DTYPE_Q5_K,
    LCKV_DTYPE_Q6_K, LCKV_DTYPE_Q5_0,   LCKV_DTYPE_Q5_1,   LCKV_DTYPE_Q2_K,
    LCKV_DTYPE_Q3_K, LCKV_DTYPE_IQ4_NL, LCKV_DTYPE_IQ4_XS, LCKV_DTYPE_MXFP4};
#define N_DTYPES ((int)(sizeof dtypes / sizeof dtypes[0]))
#define FIRST_INTEGER 3 /* q8_0 and all behind it are integers */

static lckv_allocator plain_allocator(void)
{
    return memory_default_allocator;
}

enum { RANDOM = -1 };

/*
 * Makes file bytes of a type with sane scales. All other bytes are `byte`, unless that is RANDOM.
 */
static void random_row(lckv_dtype dtype, size_t n, int byte, uint8_t *bytes)
{
    const struct dtype_info *info = dtype_info(dtype);
    size_t n_blocks = n / info->block_elements;
    for (size_t b = 0; b < n_blocks; b++) {
        uint8_t *block = bytes + b * info->block_bytes;
        float value = (float)random_uniform();
        uint16_t half = f32_to_f16(value);
        for (size_t i = 0; i < info->block_bytes; i++)
            block[i] = (uint8_t)(byte != RANDOM ? byte : (int)(128 + 127 * random_uniform()));
        switch (dtype) {
        case LCKV_DTYPE_F32:
            memcpy(block, &value, 4);
            break;
        case LCKV_DTYPE_F16:
            memcpy(block, &half, 2);
            break;
        case LCKV_DTYPE_BF16:
            half = f32_to_bf16(value);
            memcpy(block, &half, 2);
            break;
        case LCKV_DTYPE_Q6_K:
            memcpy(block + 208, &half, 2);
            break;
        case LCKV_DTYPE_Q3_K:
            memcpy(block + 108, &half, 2);
            break;
        case LCKV_DTYPE_Q2_K:
            memcpy(block + 80, &half, 2);
            half = f32_to_f16((float)random_uniform());
            memcpy(block + 82, &half, 2);
            break;
        case LCKV_DTYPE_MXFP4: /* 2^-5 to 2^2 */
            block[0] = (uint8_t)(127 + 4 * random_uniform());
            break;
        case LCKV_DTYPE_Q4_1:
        case LCKV_DTYPE_Q5_1:
        case LCKV_DTYPE_Q4_K:
        case LCKV_DTYPE_Q5_K:
            memcpy(block, &half, 2);
            half = f32_to_f16((float)random_uniform());
            memcpy(block + 2, &half, 2);
            break;
        default:
            memcpy(block, &half, 2);
        }
    }
}

/*
 * Sizes beyond a tile, a stretch and a part in every direction, and not multiples of a vector:
 * after whole strips, ROWS leaves more than a vector and FEWER_ROWS less. TOKENS ends in a tile of
 * its own.
 */
enum { ROWS = 157, FEWER_ROWS = 133, COLUMNS = 1280, TOKENS = 150, PADDED_ROWS = 160 };

struct fixture {
    struct matrix matrix;
    uint8_t *bytes;
    size_t row_bytes;
    float weights[ROWS][COLUMNS];
};

static void make(struct fixture *f, lckv_dtype dtype, struct matrix_layout layout, uint32_t rows,
                 uint32_t columns, int byte)
{
    lckv_allocator allocator = plain_allocator();
    uint64_t row_bytes;
    random_seed = 7;
    ck_assert(dtype_bytes(dtype, columns, &row_bytes));
    f->row_bytes = row_bytes;
    f->bytes = malloc(rows * row_bytes);
    ck_assert_ok(matrix_create(&f->matrix, dtype, rows, columns, layout, &allocator));
    for (uint32_t r = 0; r < rows; r++) {
        random_row(dtype, columns, byte, f->bytes + r * row_bytes);
        blocks_dequantize(dtype, f->bytes + r * row_bytes, columns, f->weights[r]);
    }
    for (uint32_t g = 0; g < f->matrix.size.n_strips; g++) {
        const uint8_t *at[PACKED_MAX_STRIP];
        for (uint32_t lane = 0; lane < f->matrix.size.strip_rows; lane++) {
            uint32_t row = g * f->matrix.size.strip_rows + lane;
            at[lane] = row < rows ? f->bytes + row * row_bytes : NULL;
        }
        matrix_pack_strip(&f->matrix, at, f->matrix.owned + g * f->matrix.size.strip_bytes);
    }
}

static void unmake(struct fixture *f)
{
    lckv_allocator allocator = plain_allocator();
    matrix_release(&f->matrix, &allocator);
    free(f->bytes);
}

START_TEST(packing_keeps_every_value)
{
    static struct fixture f;
    float row[COLUMNS];
    for (int layout = 0; layout < 4; layout++) {
        make(&f, dtypes[_i], (struct matrix_layout){layout < 2 ? 8 : 16, layout % 2 == 1}, ROWS,
             COLUMNS, RANDOM);
        for (uint32_t r = 0; r < ROWS; r++) {
            matrix_unpack_row(&f.matrix, r, row);
            ck_assert_msg(memcmp(row, f.weights[r], sizeof row) == 0, "%s row %u differs",
                          lckv_dtype_name(dtypes[_i]), r);
        }
        unmake(&f);
    }
}
END_TEST

struct inputs {
    float values[TOKENS][COLUMNS];
    uint8_t int8[TOKENS * COLUMNS / 32 * INT8_BLOCK_BYTES] __attribute__((aligned(64)));
    uint8_t bf16[TOKENS * COLUMNS / 32 * BF16_BLOCK_BYTES] __attribute__((aligned(64)));
};

static struct activations fill(const struct kernels *kernels, struct inputs *in, size_t columns)
{
    struct activations x = {.n_rows = TOKENS,
                            .values = in->values[0],
                            .stride = COLUMNS,
                            .columns = COLUMNS,
                            .int8 = in->int8,
                            .bf16 = kernels->round_bf16 != NULL ? in->bf16 : NULL};
    for (size_t m = 0; m < TOKENS; m++) {
        for (size_t c = 0; c < COLUMNS; c++)
            in->values[m][c] = c < columns ? (float)random_uniform() : 0;
        /* Prepares in two parts, as workers do. */
        kernels_prepare(kernels, &x, m, 0, 96);
        kernels_prepare(kernels, &x, m, 96, COLUMNS);
    }
    return x;
}

/* The activation [m, c] as a product sees it. */
static double seen(const struct activations *x, enum input_form form, size_t m, size_t c)
{
    if (form == INPUT_INT8) {
        struct panel_row at = panel_row(x->int8, INT8_BLOCK_BYTES, x->columns, x->n_rows, m);
        struct int8_block block = int8_block(at, c / 32);
        return (double)block.quants[c % 32] * block.scales[0];
    }
    float value = x->values[m * x->stride + c];
    return form == INPUT_BF16 ? bf16_to_f32(f32_to_bf16(value)) : value;
}

static double plain_product(const struct fixture *f, const struct activations *x, size_t m,
                            uint32_t row, enum input_form form, double *magnitude)
{
    double sum = 0;
    *magnitude = 0;
    for (size_t c = 0; c < f->matrix.n_columns; c++) {
        double value = seen(x, form, m, c);
        sum += value * f->weights[row][c];
        *magnitude += fabs(value * f->weights[row][c]);
    }
    return sum;
}

static void check_products(const struct kernels *kernels, lckv_dtype dtype, bool fast,
                           uint32_t n_rows, uint32_t columns)
{
    static struct fixture f;
    static struct inputs in, alone;
    static float out[TOKENS][PADDED_ROWS], tiled[TOKENS][PADDED_ROWS];
    make(&f, dtype, kernels->layout, n_rows, columns, RANDOM);
    struct activations x = fill(kernels, &in, columns);
    multiply_function multiply = kernels_multiply(kernels, dtype, fast);
    multiply(&f.matrix, &x, 0, n_rows, out[0], PADDED_ROWS);
    enum input_form form = kernels_input(kernels, dtype, fast);
    for (size_t m = 0; m < TOKENS; m += 12) {
        for (uint32_t r = 0; r < n_rows; r++) {
            double magnitude;
            double expected = plain_product(&f, &x, m, r, form, &magnitude);
            ck_assert_msg(fabs(out[m][r] - expected) <= 3e-6 * magnitude + 1e-7,
                          "%s %s %s [%zu][%u]: %g, expected %g", kernels->name,
                          lckv_dtype_name(dtype), fast ? "fast" : "full", m, r, (double)out[m][r],
                          expected);
        }
    }
    /* Any number of rows at once, on either side, give the same bits. */
    static const size_t counts[] = {1, 2, 3, 4, 5, 7, 8, 16, 31, 137};
    static const size_t steps[] = {1, 2, 3, 7, 4, 1, 2, 5, 3, 4};
    for (size_t i = 0; i < COUNT(counts); i++) {
        size_t n = counts[i];
        struct activations some = x;
        some.n_rows = n;
        some.int8 = alone.int8;
        some.bf16 = x.bf16 != NULL ? alone.bf16 : NULL;
        some.values = x.values + (TOKENS - n) * COLUMNS;
        for (size_t m = 0; m < n; m++)
            kernels_prepare(kernels, &some, m, 0, COLUMNS);
        for (size_t k = 0; k < 2; k++) {
            size_t step = steps[(i + k * 4) % COUNT(steps)] * packed_row_step(kernels->layout);
            memset(tiled, 0xff, sizeof tiled); /* so that nothing of the round before is left */
            for (size_t r = 0, end; r < n_rows; r = end) {
                end = r + step < n_rows ? r + step : n_rows;
                multiply(&f.matrix, &some, r, end, tiled[0] + r, PADDED_ROWS);
            }
            for (size_t m = 0; m < n; m++)
                ck_assert_msg(memcmp(tiled[m], out[TOKENS - n + m], n_rows * sizeof(float)) == 0,
                              "%s %s %s: row %zu of %zu differs, %zu weight rows at a time",
                              kernels->name, lckv_dtype_name(dtype), fast ? "fast" : "full", m, n,
                              step);
        }
    }
    /* NaN stays NaN, in its row only. */
    const size_t odd = 13;
    in.values[odd][columns / 2] = NAN;
    kernels_prepare(kernels, &x, odd, 0, COLUMNS);
    multiply(&f.matrix, &x, 0, n_rows, tiled[0], PADDED_ROWS);
    for (size_t m = 0; m < TOKENS; m++) {
        for (uint32_t r = 0; r < n_rows; r++)
            ck_assert_msg(m == odd ? isnan(tiled[m][r]) : tiled[m][r] == out[m][r],
                          "%s %s %s [%zu][%u]: %g", kernels->name, lckv_dtype_name(dtype),
                          fast ? "fast" : "full", m, r, (double)tiled[m][r]);
    }
    unmake(&f);
}

START_TEST(products_agree_with_plain_sums)
{
    FOR_KERNEL_SETS(kernels)
    {
        check_products(kernels, dtypes[_i], false, ROWS, COLUMNS);
        check_products(kernels, dtypes[_i], true, ROWS, COLUMNS);
        /* The last bundle, stretch and pair of columns are not full. */
        size_t elements = dtype_info(dtypes[_i])->block_elements;
        uint32_t columns = elements == 1 ? 331 : (uint32_t)elements * (elements == 32 ? 11 : 1);
        check_products(kernels, dtypes[_i], false, FEWER_ROWS, columns);
        check_products(kernels, dtypes[_i], true, FEWER_ROWS, columns);
        if (elements == 1) { /* less than a block of activations */
            check_products(kernels, dtypes[_i], false, ROWS, 24);
            check_products(kernels, dtypes[_i], true, ROWS, 24);
        }
    }
}
END_TEST

/* Sets without better instructions sum bytes in few bits; the farthest from 0 must fit. */
START_TEST(the_largest_numbers_fit)
{
    static struct fixture f;
    static struct inputs in;
    static float out[TOKENS][PADDED_ROWS];
    lckv_dtype dtype = dtypes[_i];
    FOR_KERNEL_SETS(kernels)
    {
        make(&f, dtype, kernels->layout, ROWS, 256, dtype == LCKV_DTYPE_Q8_0 ? 0x80 : 0xff);
        struct activations x = fill(kernels, &in, 256);
        for (size_t m = 0; m < TOKENS; m++) {
            for (size_t c = 0; c < 256; c++)
                in.values[m][c] = m % 2 == 0 ? 1 : -1;
            kernels_prepare(kernels, &x, m, 0, COLUMNS);
        }
        kernels_multiply(kernels, dtype, true)(&f.matrix, &x, 0, ROWS, out[0], PADDED_ROWS);
        for (size_t m = 0; m < TOKENS; m++) {
            for (uint32_t r = 0; r < ROWS; r++) {
                double magnitude, expected = plain_product(&f, &x, m, r, INPUT_FLOAT, &magnitude);
                ck_assert_msg(fabs(out[m][r] - expected) <= 1e-4 * magnitude, "%s %s [%zu][%u]: %g",
                              kernels->name, lckv_dtype_name(dtype), m, r, (double)out[m][r]);
            }
        }
        unmake(&f);
    }
}
END_TEST

START_TEST(quantised_activations_are_within_half_a_step)
{
    static struct inputs in;
    FOR_KERNEL_SETS(kernels)
    {
        struct activations x = fill(kernels, &in, COLUMNS);
        for (size_t m = 0; m < TOKENS; m++) {
            struct panel_row at = panel_row(x.int8, INT8_BLOCK_BYTES, x.columns, x.n_rows, m);
            for (size_t b = 0; b < COLUMNS / 32; b++) {
                struct int8_block block = int8_block(at, b);
                const int8_t *quants = block.quants;
                float scale = block.scales[0];
                int32_t sum = 0, half = 0;
                for (size_t i = 0; i < 32; i++) {
                    ck_assert(fabsf(scale * (float)quants[i] - in.values[m][32 * b + i]) <=
                              0.501f * scale);
                    sum += quants[i];
                    half += i < 16 ? quants[i] : 0;
                }
                ck_assert_int_eq(block.offsets[0], -128 * sum);
                ck_assert_int_eq(block.half_offsets[0], -128 * half);
                ck_assert(block.sums[0] == scale * (float)sum);
            }
        }
        float denormal[32] = {[3] = 1e-42f};
        uint8_t bytes[INT8_BLOCK_BYTES] __attribute__((aligned(64)));
        kernels->quantize(denormal, 32, (struct panel_row){bytes, 1, 0});
        ck_assert(int8_block((struct panel_row){bytes, 1, 0}, 0).scales[0] == 0);
        ck_assert_int_eq(int8_block((struct panel_row){bytes, 1, 0}, 0).offsets[0], 0);
    }
}
END_TEST

START_TEST(kernel_sets_are_chosen_by_name)
{
    const struct kernels *kernels;
    ck_assert_ok(kernels_choose("portable", &kernels));
    ck_assert_str_eq(kernels->name, "portable");
    ck_assert_status(kernels_choose("sse7", &kernels), LCKV_UNSUPPORTED);
    ck_assert_error_has("is not available here; expected one of");
    ck_assert_error_has("portable");
    ck_assert_status(kernels_find("sse7", &kernels), LCKV_UNSUPPORTED);
    ck_assert_error_has("is unknown; expected one of");
    size_t count;
    const struct kernels *const *sets = kernels_all(&count);
    for (size_t s = 0; s < count; s++) { /* whether they run here or not */
        ck_assert_ok(kernels_find(sets[s]->name, &kernels));
        ck_assert_ptr_eq(kernels, sets[s]);
    }
    ck_assert_int_eq(setenv("LCKV_CPU", "portable", 1), 0);
    ck_assert_ok(kernels_choose(NULL, &kernels));
    ck_assert_str_eq(kernels->name, "portable");
    ck_assert_int_eq(setenv("LCKV_CPU", "nonsense", 1), 0);
    ck_assert_status(kernels_choose(NULL, &kernels), LCKV_UNSUPPORTED);
    ck_assert_error_has("LCKV_CPU");
    ck_assert_int_eq(unsetenv("LCKV_CPU"), 0);
}
END_TEST

/* A set says of the types for which it has other products than the set without tiles. */
START_TEST(types_in_tiles_have_products_of_their_own)
{
    const struct kernels *vectors;
    size_t count, n_in_tiles = 0;
    const struct kernels *const *sets = kernels_all(&count);
    if (kernels_find("avx512bf16", &vectors) != LCKV_OK)
        return; /* no tiles on this architecture */
    for (size_t s = 0; s < count; s++) {
        const bool has_tiles = strncmp(sets[s]->name, "amx", 3) == 0;
        for (size_t d = 0; d < DTYPE_COUNT; d++) {
            const bool differs = sets[s]->multiply_int8[d] != vectors->multiply_int8[d] ||
                                 (d == LCKV_DTYPE_BF16 && sets[s]->multiply_bf16 != NULL &&
                                  sets[s]->multiply_bf16 != vectors->multiply_bf16);
            ck_assert_int_eq(sets[s]->in_tiles[d], has_tiles && differs);
            n_in_tiles += sets[s]->in_tiles[d];
        }
    }
    ck_assert_uint_ge(n_in_tiles, 13);
}
END_TEST

static void add_all(Suite *suite)
{
    TCase *tcase = tcase_create("kernels");
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, packing_keeps_every_value, 0, N_DTYPES);
    tcase_add_loop_test(tcase, products_agree_with_plain_sums, 0, N_DTYPES);
    tcase_add_loop_test(tcase, the_largest_numbers_fit, FIRST_INTEGER, N_DTYPES);
    tcase_add_test(tcase, quantised_activations_are_within_half_a_step);
    tcase_add_test(tcase, kernel_sets_are_chosen_by_name);
    tcase_add_test(tcase, types_in_tiles_have_products_of_their_own);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("kernels", add_all)
