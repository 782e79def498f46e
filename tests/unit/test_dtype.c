/*
 * Element types: their names and sizes.
 */
#include "format/dtype.h"

#include "support.h"

START_TEST(dtypes_have_names_and_sizes)
{
    uint64_t bytes = 7;
    ck_assert(dtype_bytes(LCKV_DTYPE_Q6_K, 512, &bytes));
    ck_assert_uint_eq(bytes, 420);
    ck_assert(!dtype_bytes(LCKV_DTYPE_Q4_0, 33, &bytes));
    ck_assert(!dtype_bytes(LCKV_DTYPE_F32, UINT64_MAX / 2, &bytes));
    ck_assert(!dtype_bytes(LCKV_DTYPE_DEFAULT, 1, &bytes));
    ck_assert_uint_eq(bytes, 420);
    ck_assert_ptr_nonnull(dtype_from_name("Q6_k"));
    ck_assert_int_eq(dtype_from_name("BF16")->dtype, LCKV_DTYPE_BF16);
    ck_assert_ptr_null(dtype_from_name("q4"));
    ck_assert_ptr_null(dtype_from_name("q4_01"));
    ck_assert_ptr_null(dtype_from_gguf(16));
    ck_assert_str_eq(dtype_gguf_name(16), "iq2_xxs");
    ck_assert_ptr_null(dtype_gguf_name(100000));
    for (lckv_dtype dtype = LCKV_DTYPE_F32; dtype <= LCKV_DTYPE_MXFP4; dtype++) {
        const struct dtype_info *info = dtype_info(dtype);
        ck_assert_ptr_nonnull(info);
        ck_assert_ptr_eq(dtype_from_gguf(info->gguf_type), info);
        ck_assert_str_eq(dtype_gguf_name(info->gguf_type), info->name);
    }
}
END_TEST

static void add_dtypes(Suite *suite)
{
    TCase *tests = tcase_create("dtypes");
    tcase_add_test(tests, dtypes_have_names_and_sizes);
    suite_add_tcase(suite, tests);
}

TEST_MAIN("dtype", add_dtypes)
