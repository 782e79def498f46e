/*
 * Split GGUF files: the first part opens the model, parts that are missing or belong to another
 * model are refused by name, and nothing of a model depends on how it is split.
 */
#include "gguf_support.h"
#include "small_model.h"

#include <stdio.h>
#include <unistd.h>

/* ---- Parts of one tensor each, made byte by byte ---- */

struct part {
    uint32_t number, count, total; /* as the file says */
    const char *tensor;            /* NULL: none */
};

/* The tensor is f32 [2]: the part's number, and 7. Parts are aligned differently. */
static void write_part(const char *name, struct part part)
{
    static struct bytes bytes;
    const float values[] = {(float)part.number, 7};
    const uint32_t alignment = part.number == 1 ? 128 : 32;
    bytes.length = 0;
    put_header(&bytes, 3, part.tensor != NULL, part.number == 0 ? 6 : 4);
    put_key(&bytes, "split.no", METADATA_U16);
    put_number(&bytes, part.number, 2);
    put_key(&bytes, "split.count", METADATA_U16);
    put_number(&bytes, part.count, 2);
    put_key(&bytes, "split.tensors.count", METADATA_I32);
    put_number(&bytes, part.total, 4);
    put_key(&bytes, "general.alignment", METADATA_U32);
    put_number(&bytes, alignment, 4);
    if (part.number == 0) {
        put_key(&bytes, "general.architecture", METADATA_STRING);
        put_string(&bytes, "llama");
        put_key(&bytes, "general.name", METADATA_STRING);
        put_string(&bytes, "in parts");
    }
    if (part.tensor != NULL) {
        put_string(&bytes, part.tensor);
        put_number(&bytes, 1, 4);
        put_number(&bytes, 2, 8);
        put_number(&bytes, 0, 4);
        put_number(&bytes, 0, 8);
        pad(&bytes, alignment);
        put(&bytes, values, sizeof values);
    }
    folder_write(name, bytes.data, bytes.length);
}

#define FIRST "m-00001-of-00003.gguf"
#define SECOND "m-00002-of-00003.gguf"
#define THIRD "m-00003-of-00003.gguf"

/* Three parts, of which the first has metadata only. */
static void write_three(void)
{
    write_part(FIRST, (struct part){0, 3, 2, NULL});
    write_part(SECOND, (struct part){1, 3, 2, "b"});
    write_part(THIRD, (struct part){2, 3, 2, "a"});
}

START_TEST(the_first_part_opens_all)
{
    struct checkpoint checkpoint;
    write_three();
    ck_assert_ok(checkpoint_open(&checkpoint, folder_path(FIRST), &memory_default_allocator));
    ck_assert_uint_eq(checkpoint.n_files, 3);
    ck_assert_uint_eq(checkpoint.n_tensors, 2);
    struct text name;
    ck_assert_ok(metadata_get_text(&checkpoint.metadata, "general.name", &name, NULL));
    ck_assert_str_eq(name.bytes, "in parts");
    for (int i = 0; i < 2; i++) {
        const struct tensor *tensor = checkpoint_find(&checkpoint, i == 0 ? "b" : "a");
        const uint8_t *mapped;
        float values[2];
        ck_assert_ptr_nonnull(tensor);
        ck_assert_uint_eq(tensor->file, (uint32_t)i + 1);
        ck_assert_ok(checkpoint_read(&checkpoint, tensor, 0, values, sizeof values));
        ck_assert_float_eq(values[0], (float)(i + 1));
        ck_assert_float_eq(values[1], 7);
        ck_assert_ok(checkpoint_map(&checkpoint, tensor, &mapped));
        ck_assert_mem_eq(mapped, values, sizeof values);
    }
    checkpoint_close(&checkpoint);
}
END_TEST

/* Files whose parts have been merged may still say that there is one part, or none. */
START_TEST(one_part_is_a_whole_model)
{
    struct checkpoint checkpoint;
    write_part("m.gguf", (struct part){0, (uint32_t)_i, 5, "a"});
    ck_assert_ok(checkpoint_open(&checkpoint, folder_path("m.gguf"), &memory_default_allocator));
    ck_assert_uint_eq(checkpoint.n_files, 1);
    ck_assert_uint_eq(checkpoint.n_tensors, 1);
    checkpoint_close(&checkpoint);
}
END_TEST

/* One part of three good ones is replaced (or removed, without a count); then `open` is opened. */
static const struct {
    const char *open, *replaced;
    struct part part;
    lckv_status status;
    const char *message, *file;
} refused[] = {
    {SECOND,
     NULL,
     {0},
     LCKV_INVALID_ARGUMENT,
     "part 2 of 3 of a split model; open the first",
     FIRST},
    {FIRST, SECOND, {0}, LCKV_IO, "part 2 of 3 is missing", SECOND},
    {FIRST, THIRD, {0}, LCKV_IO, "part 3 of 3 is missing", THIRD},
    {FIRST, THIRD, {1, 3, 2, "a"}, LCKV_MISMATCH, "is part 2 of 3", THIRD},
    {FIRST, THIRD, {2, 4, 2, "a"}, LCKV_MISMATCH, "is part 3 of 4", THIRD},
    {FIRST, THIRD, {2, 3, 9, "a"}, LCKV_MISMATCH, "of a model of 9 tensors", THIRD},
    {FIRST, THIRD, {2, 1, 2, "a"}, LCKV_MISMATCH, "of 1 of a model", THIRD},
    {FIRST, THIRD, {2, 3, 2, "b"}, LCKV_BAD_FORMAT, "duplicate tensor \"b\"", THIRD},
    {FIRST, THIRD, {2, 3, 2, NULL}, LCKV_BAD_FORMAT, "have 1 tensors; expected 2", FIRST},
    {FIRST, THIRD, {3, 3, 2, "a"}, LCKV_BAD_FORMAT, "split.no is 3, expected less", THIRD},
    {FIRST, FIRST, {0, 3, 1, NULL}, LCKV_MISMATCH, "expected part 2 of 3 of a model of 1", SECOND},
    {FIRST, FIRST, {0, 2000, 2, NULL}, LCKV_BAD_FORMAT, "split.count is 2000", FIRST},
    {FIRST,
     FIRST,
     {0, 4, 2, NULL},
     LCKV_BAD_FORMAT,
     "does not end with -00001-of-00004.gguf",
     FIRST},
};

START_TEST(refuses_missing_and_foreign_parts_by_name)
{
    struct checkpoint checkpoint;
    write_three();
    if (refused[_i].replaced != NULL && refused[_i].part.count == 0)
        ck_assert_int_eq(unlink(folder_path(refused[_i].replaced)), 0);
    else if (refused[_i].replaced != NULL)
        write_part(refused[_i].replaced, refused[_i].part);
    ck_assert_status(
        checkpoint_open(&checkpoint, folder_path(refused[_i].open), &memory_default_allocator),
        refused[_i].status);
    ck_assert_error_has(refused[_i].message);
    ck_assert_error_has(folder_path(refused[_i].file));
    ck_assert_uint_eq(checkpoint.n_files, 0);
}
END_TEST

START_TEST(refuses_every_truncation_of_a_part)
{
    size_t length;
    write_three();
    char *part = read_whole(folder_path(THIRD), &length);
    for (size_t n = 0; n < length; n++) {
        struct checkpoint checkpoint;
        folder_write(THIRD, part, n);
        ck_assert_status(
            checkpoint_open(&checkpoint, folder_path(FIRST), &memory_default_allocator),
            LCKV_BAD_FORMAT);
        ck_assert_error_has(folder_path(THIRD));
    }
    free(part);
}
END_TEST

START_TEST(refuses_parts_of_another_architecture)
{
    struct checkpoint checkpoint;
    struct bytes bytes = {.length = 0};
    write_three();
    put_header(&bytes, 3, 0, 4);
    put_key(&bytes, "split.no", METADATA_U16);
    put_number(&bytes, 1, 2);
    put_key(&bytes, "split.count", METADATA_U16);
    put_number(&bytes, 3, 2);
    put_key(&bytes, "split.tensors.count", METADATA_I32);
    put_number(&bytes, 2, 4);
    put_key(&bytes, "general.architecture", METADATA_STRING);
    put_string(&bytes, "mamba");
    folder_write(SECOND, bytes.data, bytes.length);
    ck_assert_status(checkpoint_open(&checkpoint, folder_path(FIRST), &memory_default_allocator),
                     LCKV_MISMATCH);
    ck_assert_error_has(folder_path(SECOND));
    ck_assert_error_has("general.architecture");
}
END_TEST

/* ---- A small model, whole and in parts ---- */

enum { N_PARTS = 4 };

/* Writes the small model into one file, and into parts with a quarter of the tensors each. */
static void write_model(void)
{
    struct small_model model;
    small_begin(&model);
    small_write(&model, folder_path("whole.gguf"));
    size_t begin = 0;
    for (uint32_t p = 0; p < N_PARTS; p++) {
        char name[64];
        snprintf(name, sizeof name, "small-%05u-of-%05u.gguf", (unsigned)p + 1, (unsigned)N_PARTS);
        small_begin(&model);
        const size_t all = model.n_tensors, end = all * (p + 1) / N_PARTS;
        if (p > 0)
            metadata_init(&model.metadata, &model.arena);
        if (p == 0)
            ck_assert_ok(metadata_set_u32(&model.metadata, "llama.vocab_size", SMALL_VOCAB));
        ck_assert_ok(metadata_set_u32(&model.metadata, "split.no", p));
        ck_assert_ok(metadata_set_u32(&model.metadata, "split.count", N_PARTS));
        ck_assert_ok(metadata_set_u32(&model.metadata, "split.tensors.count", (uint32_t)all));
        model.n_tensors = end - begin;
        memmove(model.tensors, model.tensors + begin, model.n_tensors * sizeof *model.tensors);
        begin = end;
        small_write(&model, folder_path(name));
    }
}

#define SMALL "small-00001-of-00004.gguf"

static uint64_t fingerprint_of(const char *path, const lckv_model_options *options)
{
    lckv_model *model;
    uint64_t fingerprint;
    ck_assert_ok(lckv_model_open(path, options, &model));
    ck_assert_ok(lckv_model_fingerprint(model, &fingerprint));
    lckv_model_release(model);
    return fingerprint;
}

START_TEST(a_model_in_parts_is_the_same_model)
{
    write_model();
    ck_assert_uint_eq(fingerprint_of(folder_path(SMALL), NULL),
                      fingerprint_of(folder_path("whole.gguf"), NULL));
}
END_TEST

/* As it is, in another type, and packed; the packed file can be streamed. */
START_TEST(conversions_do_not_depend_on_parts)
{
    static const lckv_convert_options conversions[] = {
        {.size = sizeof conversions[0]},
        {.size = sizeof conversions[0], .dtype = LCKV_DTYPE_Q8_0},
        {.size = sizeof conversions[0], .packed = 1},
    };
    write_model();
    ck_assert_ok(
        lckv_convert(folder_path("whole.gguf"), folder_path("a.gguf"), &conversions[_i], NULL));
    ck_assert_ok(lckv_convert(folder_path(SMALL), folder_path("b.gguf"), &conversions[_i], NULL));
    size_t a_length, b_length;
    char *a = read_whole(folder_path("a.gguf"), &a_length);
    char *b = read_whole(folder_path("b.gguf"), &b_length);
    ck_assert_uint_eq(a_length, b_length);
    ck_assert_mem_eq(a, b, a_length);
    free(a);
    free(b);
    const lckv_model_options streamed = {.size = sizeof streamed, .weights = LCKV_WEIGHTS_STREAMED};
    if (conversions[_i].packed)
        ck_assert_uint_eq(fingerprint_of(folder_path("b.gguf"), &streamed),
                          fingerprint_of(folder_path("whole.gguf"), NULL));
}
END_TEST

START_TEST(parts_are_packed_before_they_are_streamed)
{
    const lckv_model_options options = {.size = sizeof options, .weights = LCKV_WEIGHTS_STREAMED};
    lckv_model *model;
    write_model();
    ck_assert_status(lckv_model_open(folder_path(SMALL), &options, &model), LCKV_UNSUPPORTED);
    ck_assert_error_has("not packed");
    ck_assert_error_has(folder_path(SMALL));
}
END_TEST

/* Of a split model the first part suffices for all but the weights. */
START_TEST(without_weights_parts_may_be_missing)
{
    const lckv_model_options none = {.size = sizeof none, .weights = LCKV_WEIGHTS_NONE};
    lckv_model_info info = {.size = sizeof info};
    lckv_model *model;
    write_model();
    ck_assert_int_eq(unlink(folder_path("small-00003-of-00004.gguf")), 0);
    ck_assert_status(lckv_model_open(folder_path(SMALL), NULL, &model), LCKV_IO);
    ck_assert_ok(lckv_model_open(folder_path(SMALL), &none, &model));
    ck_assert_ok(lckv_model_get_info(model, &info));
    ck_assert_ptr_nonnull(strstr(info.problem, "part 3 of 4 is missing"));
    ck_assert_uint_eq(info.n_layers, SMALL_LAYERS);
    lckv_model_release(model);
}
END_TEST

static void add_parts(Suite *suite)
{
    TCase *tests = tcase_create("parts");
    tcase_add_checked_fixture(tests, folder_make, folder_remove);
    tcase_add_test(tests, the_first_part_opens_all);
    tcase_add_loop_test(tests, one_part_is_a_whole_model, 0, 2);
    tcase_add_loop_test(tests, refuses_missing_and_foreign_parts_by_name, 0, COUNT(refused));
    tcase_add_test(tests, refuses_every_truncation_of_a_part);
    tcase_add_test(tests, refuses_parts_of_another_architecture);
    suite_add_tcase(suite, tests);
}

static void add_models(Suite *suite)
{
    TCase *tests = tcase_create("models");
    tcase_add_checked_fixture(tests, folder_make, folder_remove);
    tcase_add_test(tests, a_model_in_parts_is_the_same_model);
    tcase_add_loop_test(tests, conversions_do_not_depend_on_parts, 0, 3);
    tcase_add_test(tests, parts_are_packed_before_they_are_streamed);
    tcase_add_test(tests, without_weights_parts_may_be_missing);
    suite_add_tcase(suite, tests);
}

TEST_MAIN("gguf parts", add_parts, add_models)
