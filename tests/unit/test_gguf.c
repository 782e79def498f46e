/*
 * GGUF: what a good file reads as, and what the writer makes of it. test_gguf_malformed.c has
 * malformed files.
 */
#include "gguf_support.h"

#include <stdio.h>

#include "folder.h"

/* ---- Reading ---- */

START_TEST(reads_tensors_outermost_first)
{
    static struct good good;
    make_good(&good, _i == 0 ? 2 : 3);
    struct checkpoint checkpoint;
    ck_assert_ok(checkpoint_open_memory(&checkpoint, good.bytes.data, good.bytes.length,
                                        &memory_default_allocator));
    ck_assert_int_eq(checkpoint.kind, CHECKPOINT_GGUF);
    ck_assert_str_eq(checkpoint.name, "GGUF in memory");
    ck_assert_uint_eq(checkpoint.n_tensors, 2);
    const struct tensor *x = checkpoint_find(&checkpoint, "x.weight");
    ck_assert_ptr_nonnull(x);
    ck_assert_int_eq(x->dtype, LCKV_DTYPE_Q8_0);
    ck_assert_uint_eq(x->n_dims, 2);
    ck_assert_uint_eq(x->shape[0], 2);
    ck_assert_uint_eq(x->shape[1], 64);
    ck_assert_uint_eq(x->shape[2], 1);
    ck_assert_uint_eq(x->shape[3], 1);
    ck_assert_uint_eq(x->n_bytes, 136);
    ck_assert_uint_eq(x->offset, good.at[MARK_DATA]);
    const struct tensor *y = checkpoint_find(&checkpoint, "y.weight");
    ck_assert_ptr_nonnull(y);
    char letters[4];
    ck_assert_ok(checkpoint_read(&checkpoint, y, 8, letters, sizeof letters));
    ck_assert_mem_eq(letters, "ijkl", 4);
    ck_assert_status(checkpoint_read(&checkpoint, y, 9, letters, sizeof letters), LCKV_INTERNAL);
    ck_assert_ptr_null(checkpoint_find(&checkpoint, "x"));
    ck_assert_ptr_null(checkpoint_find(&checkpoint, "z.weight"));
    checkpoint_close(&checkpoint);
}
END_TEST

START_TEST(reads_metadata)
{
    static struct good good;
    make_good(&good, 3);
    struct checkpoint checkpoint;
    ck_assert_ok(checkpoint_open_memory(&checkpoint, good.bytes.data, good.bytes.length,
                                        &memory_default_allocator));
    struct text name;
    bool found;
    ck_assert_ok(metadata_get_text(&checkpoint.metadata, "general.name", &name, &found));
    ck_assert(found);
    ck_assert_uint_eq(name.length, 5);
    ck_assert_str_eq(name.bytes, "small");
    const struct metadata_value *words = metadata_find(&checkpoint.metadata, "test.words");
    ck_assert_ptr_nonnull(words);
    ck_assert_uint_eq(words->count, 2);
    ck_assert_str_eq(words->as.strings[0].bytes, "one");
    ck_assert_uint_eq(words->as.strings[1].length, 0);
    ck_assert_str_eq(words->as.strings[1].bytes, "");
    const struct metadata_value *flags = metadata_find(&checkpoint.metadata, "test.flags");
    ck_assert_ptr_nonnull(flags);
    ck_assert_mem_eq(flags->as.elements, "\0\1\1", 3);
    checkpoint_close(&checkpoint);
}
END_TEST

/* -2 in the bytes of every integer type, and what each makes of them. */
START_TEST(numbers_keep_their_signs)
{
    static const struct {
        uint32_t type;
        const char *expected;
    } numbers[] = {
        {METADATA_U8, "254"},
        {METADATA_I8, "-2"},
        {METADATA_U16, "65534"},
        {METADATA_I16, "-2"},
        {METADATA_U32, "4294967294"},
        {METADATA_I32, "-2"},
        {METADATA_U64, "18446744073709551614"},
        {METADATA_I64, "-2"},
    };
    const size_t n = sizeof numbers / sizeof numbers[0];
    struct bytes bytes = {.length = 0};
    put_header(&bytes, 3, 0, n);
    for (size_t i = 0; i < n; i++) {
        put_key(&bytes, metadata_type_name(numbers[i].type), numbers[i].type);
        put_number(&bytes, (uint64_t)-2, metadata_type_size(numbers[i].type));
    }
    struct checkpoint checkpoint;
    ck_assert_ok(
        checkpoint_open_memory(&checkpoint, bytes.data, bytes.length, &memory_default_allocator));
    for (size_t i = 0; i < n; i++) {
        char text[32];
        size_t length;
        ck_assert_ok(metadata_text(&checkpoint.metadata.values[i], text, sizeof text, &length));
        ck_assert_str_eq(text, numbers[i].expected);
    }
    checkpoint_close(&checkpoint);
}
END_TEST

START_TEST(a_vocabulary_without_tensors_is_fine)
{
    struct bytes bytes = {.length = 0};
    put_header(&bytes, 3, 0, 1);
    put_key(&bytes, "general.name", METADATA_STRING);
    put_string(&bytes, "");
    struct checkpoint checkpoint;
    ck_assert_ok(
        checkpoint_open_memory(&checkpoint, bytes.data, bytes.length, &memory_default_allocator));
    ck_assert_uint_eq(checkpoint.n_tensors, 0);
    ck_assert_ptr_null(checkpoint_find(&checkpoint, "x"));
    checkpoint_close(&checkpoint);
}
END_TEST

/* ---- Writing ---- */

/* Makes every value type, alone and in an array, and tensors of every dtype, through the writer. */
static void make_all_types(struct bytes *bytes)
{
    static const struct {
        const char *name;
        uint64_t columns;
        uint32_t gguf_type;
        uint64_t n_bytes;
    } tensors[] = {{"t.f32", 3, 0, 24},     {"t.f16", 5, 1, 20},   {"t.bf16", 1, 30, 4},
                   {"t.q8_0", 64, 8, 136},  {"t.q4_0", 32, 2, 36}, {"t.q4_1", 32, 3, 40},
                   {"t.q6_K", 256, 14, 420}};
    const size_t n_tensors = sizeof tensors / sizeof tensors[0];
    bytes->length = 0;
    put_header(bytes, 3, n_tensors, 26);
    for (uint32_t type = METADATA_U8; type <= METADATA_F64; type++) {
        static const uint8_t number[16] = {0x80, 0xff, 0x20, 0xc1, 5, 6, 7, 0xc8,
                                           1,    2,    3,    0x42, 5, 6, 7, 0x40};
        char key[32];
        size_t size = metadata_type_size(type);
        snprintf(key, sizeof key, "one.%s", metadata_type_name(type));
        if (type == METADATA_ARRAY) {
            put_array(bytes, key, METADATA_U8, 0);
        } else {
            put_key(bytes, key, type);
            if (type == METADATA_STRING) {
                put_number(bytes, 3, 8);
                put(bytes, "a\0\xff", 3);
            } else {
                put(bytes, type == METADATA_BOOL ? (const uint8_t *)"\1" : number, size);
            }
        }
        snprintf(key, sizeof key, "two.%s", metadata_type_name(type));
        if (type == METADATA_ARRAY) {
            put_array(bytes, key, METADATA_STRING, 0);
        } else {
            put_array(bytes, key, type, 2);
            if (type == METADATA_STRING) {
                put_string(bytes, "");
                put_string(bytes, "zwei");
            } else {
                put(bytes, type == METADATA_BOOL ? (const uint8_t *)"\0\1" : number, 2 * size);
            }
        }
    }
    uint64_t offset = 0;
    for (size_t i = 0; i < n_tensors; i++) {
        put_string(bytes, tensors[i].name);
        put_number(bytes, 4, 4);
        put_number(bytes, tensors[i].columns, 8);
        put_number(bytes, 1, 8);
        put_number(bytes, 2, 8);
        put_number(bytes, 1, 8);
        put_number(bytes, tensors[i].gguf_type, 4);
        put_number(bytes, offset, 8);
        offset += (tensors[i].n_bytes + 31) / 32 * 32;
    }
    pad(bytes, 32);
    for (size_t i = 0; i < n_tensors; i++) {
        for (uint64_t byte = 0; byte < tensors[i].n_bytes; byte++)
            put_number(bytes, 31 * i + byte, 1);
        pad(bytes, 32);
    }
}

static int by_offset(const void *a, const void *b)
{
    const struct tensor *x = a;
    const struct tensor *y = b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

/* Writes the checkpoint's tensors in the order of the file, in pieces of `piece` bytes. */
static void write_checkpoint(const struct checkpoint *checkpoint, const char *path, size_t piece)
{
    static struct tensor sorted[16];
    static struct gguf_tensor declared[16];
    static uint8_t data[4096];
    size_t n = checkpoint->n_tensors;
    size_t length = 0;
    memcpy(sorted, checkpoint->tensors, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_offset);
    for (size_t i = 0; i < n; i++) {
        declared[i] = (struct gguf_tensor){
            .name = sorted[i].name.bytes, .dtype = sorted[i].dtype, .n_dims = sorted[i].n_dims};
        memcpy(declared[i].shape, sorted[i].shape, sizeof declared[i].shape);
        ck_assert_ok(
            checkpoint_read(checkpoint, &sorted[i], 0, data + length, (size_t)sorted[i].n_bytes));
        length += (size_t)sorted[i].n_bytes;
    }
    struct output output;
    struct gguf_writer writer;
    ck_assert_ok(output_open(&output, path, &memory_default_allocator));
    ck_assert_ok(gguf_writer_begin(&writer, &output, &checkpoint->metadata, declared, n));
    for (size_t at = 0; at < length; at += piece) {
        ck_assert_status(gguf_writer_end(&writer), LCKV_INTERNAL);
        ck_assert_ok(
            gguf_writer_data(&writer, data + at, length - at < piece ? length - at : piece));
    }
    ck_assert_ok(gguf_writer_end(&writer));
    ck_assert_status(gguf_writer_data(&writer, data, 1), LCKV_INTERNAL);
    ck_assert_ok(output_commit(&output));
    output_discard(&output);
}

START_TEST(writes_back_the_same_bytes)
{
    static struct bytes bytes;
    static const size_t pieces[] = {1, 7, 64, 4096};
    make_all_types(&bytes);
    struct checkpoint checkpoint;
    ck_assert_ok(
        checkpoint_open_memory(&checkpoint, bytes.data, bytes.length, &memory_default_allocator));
    const char *path = folder_path("model.gguf");
    write_checkpoint(&checkpoint, path, pieces[_i]);
    checkpoint_close(&checkpoint);

    size_t length;
    char *written = read_whole(path, &length);
    ck_assert_uint_eq(length, bytes.length);
    ck_assert_mem_eq(written, bytes.data, length);
    free(written);

    ck_assert_ok(checkpoint_open(&checkpoint, path, &memory_default_allocator));
    ck_assert_str_eq(checkpoint.name, path);
    ck_assert_ptr_null(checkpoint.files[0].bytes);
    const struct tensor *tensor = checkpoint_find(&checkpoint, "t.q4_1");
    ck_assert_ptr_nonnull(tensor);
    uint8_t last;
    ck_assert_ok(checkpoint_read(&checkpoint, tensor, 39, &last, 1));
    ck_assert_uint_eq(last, (31 * 5 + 39) % 256);
    checkpoint_close(&checkpoint);
}
END_TEST

START_TEST(writes_its_own_alignment)
{
    static struct good good;
    make_good(&good, 3);
    struct checkpoint checkpoint;
    ck_assert_ok(checkpoint_open_memory(&checkpoint, good.bytes.data, good.bytes.length,
                                        &memory_default_allocator));
    const char *path = folder_path("model.gguf");
    write_checkpoint(&checkpoint, path, 100);
    checkpoint_close(&checkpoint);
    ck_assert_ok(checkpoint_open(&checkpoint, path, &memory_default_allocator));
    ck_assert_ptr_null(metadata_find(&checkpoint.metadata, "general.alignment"));
    const struct tensor *y = checkpoint_find(&checkpoint, "y.weight");
    ck_assert_ptr_nonnull(y);
    char letters[12];
    ck_assert_ok(checkpoint_read(&checkpoint, y, 0, letters, sizeof letters));
    ck_assert_mem_eq(letters, "abcdefghijkl", 12);
    checkpoint_close(&checkpoint);
}
END_TEST

static void add_reading(Suite *suite)
{
    TCase *tests = tcase_create("reading");
    tcase_add_loop_test(tests, reads_tensors_outermost_first, 0, 2);
    tcase_add_test(tests, reads_metadata);
    tcase_add_test(tests, numbers_keep_their_signs);
    tcase_add_test(tests, a_vocabulary_without_tensors_is_fine);
    suite_add_tcase(suite, tests);
}

static void add_writing(Suite *suite)
{
    TCase *tests = tcase_create("writing");
    tcase_add_checked_fixture(tests, folder_make, folder_remove);
    tcase_add_loop_test(tests, writes_back_the_same_bytes, 0, 4);
    tcase_add_test(tests, writes_its_own_alignment);
    suite_add_tcase(suite, tests);
}

TEST_MAIN("gguf", add_reading, add_writing)
