/*
 * Blocks of files: values equal those of the PyPI package gguf in every bit, and so do the blocks
 * that we quantise, where it has a quantiser. The search for k-quants beats plain rounding.
 */
#include "kernels/blocks.h"

#include <math.h>

#include "random.h"
#include "safetensors.h"
#include "support.h"

static struct safetensors golden;

static void set_up(void)
{
    safetensors_open(&golden, "tests/data/blocks/blocks.safetensors");
}

static void tear_down(void)
{
    safetensors_close(&golden);
}

static const void *array(const char *prefix, lckv_dtype dtype, size_t *n_elements)
{
    char name[64];
    snprintf(name, sizeof name, "%s.%s", prefix, lckv_dtype_name(dtype));
    const struct safetensors_array *found = safetensors_find(&golden, name);
    if (n_elements != NULL)
        *n_elements = found->n_elements;
    return found->data;
}

START_TEST(values_are_those_of_gguf)
{
    const lckv_dtype dtype = _i;
    if (dtype_info(dtype)->block_elements == 1 && dtype != LCKV_DTYPE_F8_E4M3)
        return;
    size_t n;
    const float *expected = array("values", dtype, &n);
    float *values = malloc(n * sizeof *values);
    blocks_dequantize(dtype, array("bytes", dtype, NULL), n, values);
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(memcmp(&values[i], &expected[i], 4) == 0, "%s, value %zu: %.9g, not %.9g",
                      lckv_dtype_name(dtype), i, (double)values[i], (double)expected[i]);
    free(values);
}
END_TEST

START_TEST(quantised_blocks_are_those_of_gguf)
{
    static const lckv_dtype dtypes[] = {LCKV_DTYPE_Q8_0, LCKV_DTYPE_Q4_0, LCKV_DTYPE_Q4_1,
                                        LCKV_DTYPE_Q5_0, LCKV_DTYPE_Q5_1};
    const struct safetensors_array *floats = safetensors_find(&golden, "floats");
    size_t n = floats->n_elements;
    for (size_t d = 0; d < COUNT(dtypes); d++) {
        uint64_t n_bytes;
        ck_assert(dtype_bytes(dtypes[d], n, &n_bytes));
        uint8_t *bytes = malloc(n_bytes);
        const uint8_t *expected = array("quantized", dtypes[d], NULL);
        blocks_quantize(dtypes[d], floats->data, n, bytes);
        for (size_t i = 0; i < n_bytes; i++)
            ck_assert_msg(bytes[i] == expected[i], "%s, byte %zu: %u, not %u",
                          lckv_dtype_name(dtypes[d]), i, bytes[i], expected[i]);
        free(bytes);
    }
}
END_TEST

/* A sign, four bits of exponent and three of mantissa; all ones are no number. */
START_TEST(bytes_of_f8_are_numbers)
{
    for (int byte = 0; byte < 256; byte++) {
        const int exponent = byte >> 3 & 15, mantissa = byte & 7;
        const double magnitude =
            exponent == 0 ? ldexp(mantissa, -9) : ldexp(1 + mantissa / 8.0, exponent - 7);
        float value = 77;
        blocks_dequantize(LCKV_DTYPE_F8_E4M3, (const uint8_t[]){(uint8_t)byte}, 1, &value);
        if ((byte & 127) == 127)
            ck_assert(isnan(value));
        else
            ck_assert_double_eq((double)value, byte > 127 ? -magnitude : magnitude);
    }
}
END_TEST

enum { N = 256 * 40 };

/* Sums of four uniform numbers: nearly normal. `shift` moves them. */
static void random_values(float *values, float shift)
{
    random_seed = 3;
    for (size_t i = 0; i < N; i++) {
        double sum = 0;
        for (int k = 0; k < 4; k++)
            sum += random_uniform();
        values[i] = (float)(sum * (i % 53 == 0 ? 0.1 : 0.02)) + shift;
    }
}

static double error_of(lckv_dtype dtype, const float *values)
{
    static uint8_t bytes[N * 4];
    static float back[N];
    double error = 0;
    blocks_quantize(dtype, values, N, bytes);
    blocks_dequantize(dtype, bytes, N, back);
    for (size_t i = 0; i < N; i++)
        error += ((double)back[i] - values[i]) * ((double)back[i] - values[i]);
    return sqrt(error / N);
}

/*
 * q4_1 and q5_1 have as many bits for a number, and exact scales for every 32 columns, but do not
 * search. Nobody's q6_K is bound by that, so it is compared with the bits that it has more than
 * q5_0: its steps are half as long.
 */
START_TEST(k_quants_lose_less_than_plain_rounding)
{
    static float values[N];
    static const float shifts[] = {0, 0.02f, -0.3f};
    for (size_t s = 0; s < COUNT(shifts); s++) {
        random_values(values, shifts[s]);
        ck_assert_double_lt(error_of(LCKV_DTYPE_Q5_K, values),
                            error_of(LCKV_DTYPE_Q5_1, values) * (s == 0 ? 0.97 : 1.05));
        ck_assert_double_lt(error_of(LCKV_DTYPE_Q6_K, values),
                            error_of(LCKV_DTYPE_Q5_0, values) * 0.5);
    }
    random_values(values, 0);
    ck_assert_double_lt(error_of(LCKV_DTYPE_Q4_K, values),
                        error_of(LCKV_DTYPE_Q4_1, values) * 0.97);
}
END_TEST

/* Nothing overflows, and the values of a block that needs no search come back. */
START_TEST(odd_values_are_quantised)
{
    static const lckv_dtype dtypes[] = {LCKV_DTYPE_Q8_0, LCKV_DTYPE_Q4_0, LCKV_DTYPE_Q4_1,
                                        LCKV_DTYPE_Q5_0, LCKV_DTYPE_Q5_1, LCKV_DTYPE_Q4_K,
                                        LCKV_DTYPE_Q5_K, LCKV_DTYPE_Q6_K};
    static const float odd[] = {0, -0.0f, 1e-45f, 3e38f, -3e38f, INFINITY, -INFINITY, NAN};
    float values[256], back[256];
    uint8_t bytes[1024];
    for (size_t d = 0; d < COUNT(dtypes); d++) {
        for (size_t k = 0; k < COUNT(odd); k++) {
            for (size_t i = 0; i < 256; i++)
                values[i] = i % 7 == 0 ? odd[k] : k % 2 == 0 ? 1 : odd[(k + i) % COUNT(odd)];
            blocks_quantize(dtypes[d], values, 256, bytes);
        }
        for (size_t i = 0; i < 256; i++)
            values[i] = i % 3 == 0 ? -0.5f : 0;
        blocks_quantize(dtypes[d], values, 256, bytes);
        blocks_dequantize(dtypes[d], bytes, 256, back);
        for (size_t i = 0; i < 256; i++)
            ck_assert_msg(fabsf(back[i] - values[i]) < 1e-3f, "%s [%zu]: %g",
                          lckv_dtype_name(dtypes[d]), i, (double)back[i]);
    }
}
END_TEST

static void add_all(Suite *suite)
{
    TCase *tcase = tcase_create("blocks");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, values_are_those_of_gguf, LCKV_DTYPE_F32, DTYPE_COUNT);
    tcase_add_test(tcase, bytes_of_f8_are_numbers);
    tcase_add_test(tcase, quantised_blocks_are_those_of_gguf);
    tcase_add_test(tcase, k_quants_lose_less_than_plain_rounding);
    tcase_add_test(tcase, odd_values_are_quantised);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("blocks", add_all)
