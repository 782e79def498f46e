/*
 * How malformed GGUF files are refused, whatever is broken in a good file, and what happens to one
 * when memory runs out.
 */
#include "gguf_support.h"

#include <unistd.h>

#include "allocator.h"
#include "folder.h"
#include "format/gguf_metadata.h"

/*
 * Opens a copy of exactly the given size, so that a read beyond it is seen by the sanitizers. An
 * open that fails gives back all that it took.
 */
static lckv_status open_copy(struct checkpoint *checkpoint, const uint8_t *data, size_t length,
                             uint8_t **copy)
{
    static struct counting counting;
    counting = (struct counting){.n_allowed = SIZE_MAX};
    const lckv_allocator allocator = counting_allocator(&counting);
    *copy = malloc(length + (length == 0));
    ck_assert_ptr_nonnull(*copy);
    memcpy(*copy, data, length);
    lckv_status status = checkpoint_open_memory(checkpoint, *copy, length, &allocator);
    ck_assert(status == LCKV_OK || counting.out == 0);
    return status;
}

/* One field of the good file replaced. */
static const struct {
    enum mark field;
    size_t size;
    uint64_t number;
    lckv_status status;
    const char *message;
} broken[] = {
    {MARK_MAGIC, 1, 'g', LCKV_BAD_FORMAT, "not a GGUF file"},
    {MARK_VERSION, 4, 0, LCKV_UNSUPPORTED, "version 0"},
    {MARK_VERSION, 4, 1, LCKV_UNSUPPORTED, "version 1"},
    {MARK_VERSION, 4, 4, LCKV_UNSUPPORTED, "version 4"},
    {MARK_VERSION, 4, 0x03000000, LCKV_UNSUPPORTED, "big-endian"},
    {MARK_N_TENSORS, 8, UINT64_MAX, LCKV_BAD_FORMAT, "tensors"},
    {MARK_N_TENSORS, 8, 65537, LCKV_BAD_FORMAT, "65537 tensors"},
    {MARK_N_TENSORS, 8, 60, LCKV_BAD_FORMAT, "claims 60 tensors"},
    {MARK_N_TENSORS, 8, 3, LCKV_BAD_FORMAT, "tensor name"},
    {MARK_N_METADATA, 8, UINT64_MAX, LCKV_BAD_FORMAT, "metadata pairs"},
    {MARK_N_METADATA, 8, 65537, LCKV_BAD_FORMAT, "65537 metadata pairs"},
    {MARK_N_METADATA, 8, 7, LCKV_BAD_FORMAT, "tensor name needs"},
    {MARK_N_METADATA, 8, 5, LCKV_BAD_FORMAT, "tensor name"},
    {MARK_KEY_LENGTH, 8, 0, LCKV_BAD_FORMAT, "empty metadata key"},
    {MARK_KEY_LENGTH, 8, UINT64_MAX, LCKV_BAD_FORMAT, "metadata key"},
    {MARK_KEY, 1, 0, LCKV_BAD_FORMAT, "NUL"},
    {MARK_VALUE_TYPE, 4, 13, LCKV_BAD_FORMAT, "\"general.name\": unknown value type 13"},
    {MARK_STRING_LENGTH, 8, UINT64_MAX - 7, LCKV_BAD_FORMAT, "string value"},
    {MARK_ALIGNMENT_TYPE, 4, METADATA_F32, LCKV_BAD_FORMAT, "general.alignment"},
    {MARK_ALIGNMENT, 4, 0, LCKV_BAD_FORMAT, "general.alignment 0"},
    {MARK_ALIGNMENT, 4, 48, LCKV_BAD_FORMAT, "general.alignment 48"},
    {MARK_ALIGNMENT, 4, 131072, LCKV_BAD_FORMAT, "power of two up to 65536"},
    {MARK_BOOL, 1, 2, LCKV_BAD_FORMAT, "\"test.key1\": bool of value 2"},
    {MARK_ARRAY_TYPE, 4, METADATA_ARRAY, LCKV_UNSUPPORTED, "\"test.flags\": arrays of arrays"},
    {MARK_ARRAY_TYPE, 4, 99, LCKV_BAD_FORMAT, "\"test.flags\": unknown element type 99"},
    {MARK_ARRAY_LENGTH, 8, UINT64_MAX, LCKV_BAD_FORMAT, "\"test.flags\": array of 18446744"},
    {MARK_BOOL_ELEMENT, 1, 255, LCKV_BAD_FORMAT, "\"test.flags\": bool of value 255"},
    {MARK_STRINGS_LENGTH, 8, UINT64_MAX / 8 + 2, LCKV_BAD_FORMAT, "\"test.words\": array of"},
    {MARK_STRINGS_FIRST, 8, 4096, LCKV_BAD_FORMAT, "array of strings"},
    {MARK_NAME_LENGTH, 8, 0, LCKV_BAD_FORMAT, "empty tensor name"},
    {MARK_NAME_LENGTH, 8, 1u << 30, LCKV_BAD_FORMAT, "tensor name"},
    {MARK_NAME, 1, 0, LCKV_BAD_FORMAT, "NUL"},
    {MARK_N_DIMS, 4, 0x7fffffff, LCKV_BAD_FORMAT, "tensor dimension"},
    {MARK_ROWS, 8, UINT64_MAX / 32, LCKV_BAD_FORMAT, "product of its dimensions overflows"},
    {MARK_ROWS, 8, UINT64_MAX / 64, LCKV_BAD_FORMAT, "size in bytes overflows"},
    {MARK_ROWS, 8, 1u << 20, LCKV_BAD_FORMAT, "end beyond the file"},
    {MARK_ROWS, 8, 3, LCKV_BAD_FORMAT, "overlap"},
    {MARK_TYPE, 4, 0x4c4b8e08, LCKV_BAD_FORMAT, "end beyond the file"}, /* packed: 16 lanes */
    {MARK_OFFSET, 8, 32, LCKV_BAD_FORMAT, "\"x.weight\": offset 32"},
    {MARK_OFFSET, 8, UINT64_MAX - 63, LCKV_BAD_FORMAT, "end beyond the file"},
    {MARK_OFFSET, 8, 192, LCKV_BAD_FORMAT, "end beyond the file"},
    {MARK_SECOND_NAME, 1, 'x', LCKV_BAD_FORMAT, "duplicate tensor \"x.weight\""},
    {MARK_SECOND_OFFSET, 8, 128, LCKV_BAD_FORMAT, "\"x.weight\" and \"y.weight\" overlap"},
    {MARK_SECOND_OFFSET, 8, 0, LCKV_BAD_FORMAT, "overlap"},
    {MARK_SECOND_OFFSET, 8, 256, LCKV_BAD_FORMAT, "\"y.weight\": 12 bytes at offset 256"},
};

START_TEST(refuses_a_broken_field)
{
    static struct good good;
    make_good(&good, 3);
    uint8_t *field = good.bytes.data + good.at[broken[_i].field];
    for (size_t i = 0; i < broken[_i].size; i++)
        field[i] = (uint8_t)(broken[_i].number >> (8 * i));
    struct checkpoint checkpoint;
    uint8_t *copy;
    lckv_status status = open_copy(&checkpoint, good.bytes.data, good.bytes.length, &copy);
    ck_assert_msg(status == broken[_i].status, "field %d, number %llu: got %s, expected %s: %s",
                  (int)broken[_i].field, (unsigned long long)broken[_i].number,
                  lckv_status_name(status), lckv_status_name(broken[_i].status), lckv_last_error());
    ck_assert_error_has("GGUF in memory");
    ck_assert_error_has(broken[_i].message);
    checkpoint_close(&checkpoint);
    free(copy);
}
END_TEST

/* One field of the good file replaced, so that a tensor cannot be read. The other one can. */
static const struct {
    enum mark field;
    size_t size;
    uint64_t number;
    const char *tensor, *message;
} unreadable[] = {
    {MARK_COLUMNS, 8, 0, "x.weight", "a dimension is 0"},
    {MARK_COLUMNS, 8, 48, "x.weight", "rows of 48 elements"},
    {MARK_TYPE, 4, 16, "x.weight", "type iq2_xxs is not supported, expected f32"},
    {MARK_TYPE, 4, 34, "x.weight", "type tq1_0 is not supported"},
    {MARK_TYPE, 4, 40, "x.weight", "type nvfp4 is not supported"},
    {MARK_TYPE, 4, 12345, "x.weight", "unknown tensor type 12345"},
    {MARK_TYPE, 4, 0x4c4b8f08, "x.weight", "unknown tensor type"}, /* packed, of 24 lanes */
    {MARK_TYPE, 4, 0x4c4b8a08, "x.weight", "packed by another version of lckv"},
    {MARK_SECOND_TYPE, 4, 0x4c4b8e00, "y.weight", "expected a packed matrix"},
    {MARK_SECOND_TYPE, 4, 26, "y.weight", "type i32 is not supported"},
};

static void check_unreadable(const uint8_t *bytes, size_t length, const char *name,
                             const char *message)
{
    struct checkpoint checkpoint;
    uint8_t *copy, byte;
    ck_assert_ok(open_copy(&checkpoint, bytes, length, &copy));
    ck_assert_uint_eq(checkpoint.n_tensors, 2);
    for (size_t i = 0; i < 2; i++) {
        const struct tensor *tensor = &checkpoint.tensors[i];
        bool good = strcmp(tensor->name.bytes, name) != 0;
        ck_assert_int_eq(checkpoint_check(&checkpoint, tensor), good ? LCKV_OK : LCKV_UNSUPPORTED);
        ck_assert_int_eq(checkpoint_read(&checkpoint, tensor, 0, &byte, 1),
                         good ? LCKV_OK : LCKV_UNSUPPORTED);
        if (!good) {
            ck_assert_error_has("GGUF in memory: tensor \"");
            ck_assert_error_has(name);
            ck_assert_error_has(message);
        }
    }
    checkpoint_close(&checkpoint);
    free(copy);
}

START_TEST(a_tensor_that_cannot_be_read_does_not_stop_the_open)
{
    static struct good good;
    make_good(&good, 3);
    uint8_t *field = good.bytes.data + good.at[unreadable[_i].field];
    for (size_t i = 0; i < unreadable[_i].size; i++)
        field[i] = (uint8_t)(unreadable[_i].number >> (8 * i));
    check_unreadable(good.bytes.data, good.bytes.length, unreadable[_i].tensor,
                     unreadable[_i].message);
}
END_TEST

/* The tensor "n" has `n_dims` dimensions of 1, at an offset within the other tensor. */
START_TEST(a_tensor_of_any_number_of_dimensions_does_not_stop_the_open)
{
    static const uint32_t numbers[] = {0, 5, 40};
    struct bytes bytes = {.length = 0};
    char message[32];
    snprintf(message, sizeof message, "%u dimensions, expected 1 to 4", numbers[_i]);
    put_header(&bytes, 3, 2, 0);
    put_string(&bytes, "n");
    put_number(&bytes, numbers[_i], 4);
    for (uint32_t i = 0; i < numbers[_i]; i++)
        put_number(&bytes, 1, 8);
    put_number(&bytes, 0, 4);
    put_number(&bytes, 32, 8);
    put_string(&bytes, "f");
    put_number(&bytes, 1, 4);
    put_number(&bytes, 16, 8);
    put_number(&bytes, 0, 4);
    put_number(&bytes, 0, 8);
    pad(&bytes, 32);
    for (int i = 0; i < 16; i++)
        put_number(&bytes, 0, 4);
    check_unreadable(bytes.data, bytes.length, "n", message);
}
END_TEST

START_TEST(a_part_of_a_split_model_is_called_so)
{
    struct checkpoint checkpoint;
    struct bytes bytes = {.length = 0};
    put_header(&bytes, 3, 0, 2);
    put_key(&bytes, "split.no", METADATA_U16);
    put_number(&bytes, 2, 2);
    put_key(&bytes, "split.count", METADATA_U16);
    put_number(&bytes, _i == 0 ? 5 : 1, 2);
    lckv_status status =
        checkpoint_open_memory(&checkpoint, bytes.data, bytes.length, &memory_default_allocator);
    ck_assert_int_eq(status, _i == 0 ? LCKV_UNSUPPORTED : LCKV_OK);
    if (_i == 0)
        ck_assert_error_has("is part 3 of 5 of a split model; open the first part by its path");
    checkpoint_close(&checkpoint);
}
END_TEST

START_TEST(refuses_duplicate_keys)
{
    static struct good good;
    make_good(&good, 3);
    memcpy(good.bytes.data + good.at[MARK_SECOND_KEY], "test.key1", 9);
    struct checkpoint checkpoint;
    ck_assert_status(checkpoint_open_memory(&checkpoint, good.bytes.data, good.bytes.length,
                                            &memory_default_allocator),
                     LCKV_BAD_FORMAT);
    ck_assert_error_has("duplicate metadata key \"test.key1\"");
}
END_TEST

START_TEST(refuses_every_truncation)
{
    static struct good good;
    make_good(&good, 3);
    for (size_t length = 0; length < good.bytes.length; length++) {
        struct checkpoint checkpoint;
        uint8_t *copy;
        ck_assert_status(open_copy(&checkpoint, good.bytes.data, length, &copy), LCKV_BAD_FORMAT);
        ck_assert_error_has("GGUF in memory");
        ck_assert_uint_eq(checkpoint.n_tensors, 0);
        free(copy);
    }
}
END_TEST

/* Whatever the byte does, the answer is a status. */
START_TEST(survives_any_changed_byte)
{
    static const uint8_t values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
    static struct good good;
    make_good(&good, 3);
    for (size_t at = 0; at < good.at[MARK_DATA]; at++) {
        uint8_t before = good.bytes.data[at];
        for (size_t i = 0; i < sizeof values; i++) {
            struct checkpoint checkpoint;
            uint8_t *copy;
            good.bytes.data[at] = values[i];
            lckv_status status = open_copy(&checkpoint, good.bytes.data, good.bytes.length, &copy);
            ck_assert(status == LCKV_OK || status == LCKV_BAD_FORMAT || status == LCKV_UNSUPPORTED);
            for (size_t t = 0; status == LCKV_OK && t < checkpoint.n_tensors; t++) {
                const struct tensor *tensor = &checkpoint.tensors[t];
                ck_assert_uint_le(tensor->offset + tensor->n_bytes, good.bytes.length);
            }
            checkpoint_close(&checkpoint);
            free(copy);
        }
        good.bytes.data[at] = before;
    }
}
END_TEST

/*
 * A sparse file can be of any length without taking room, so its length allows any count. Fixed
 * limits must come first, and their messages name them.
 */
static void check_sparse(const struct bytes *bytes, uint64_t length, const char *message)
{
    struct checkpoint checkpoint;
    const char *path = folder_path("model.gguf");
    folder_write("model.gguf", bytes->data, bytes->length);
    ck_assert_int_eq(truncate(path, (off_t)length), 0);
    ck_assert_status(checkpoint_open(&checkpoint, path, &memory_default_allocator),
                     LCKV_BAD_FORMAT);
    ck_assert_error_has(path);
    ck_assert_error_has(message);
}

START_TEST(refuses_more_metadata_than_any_model_has)
{
    struct bytes bytes = {.length = 0};
    put_header(&bytes, 3, 0, 1);
    put_array(&bytes, "test.words", METADATA_STRING, GGUF_MAX_STRINGS + 1);
    check_sparse(&bytes, UINT64_C(1) << 30,
                 "\"test.words\": array of 16777217 strings, expected at most 16777216");

    bytes.length = 0;
    put_header(&bytes, 3, 0, 1);
    put_array(&bytes, "test.bytes", METADATA_U8, UINT64_C(1) << 33);
    check_sparse(&bytes, UINT64_C(1) << 34, "\"test.bytes\" takes 8589934592 bytes");
    ck_assert_error_has("at most 536870912");

    bytes.length = 0;
    put_header(&bytes, 3, 0, 1);
    put_key(&bytes, "test.text", METADATA_STRING);
    put_number(&bytes, UINT64_C(1) << 33, 8);
    check_sparse(&bytes, UINT64_C(1) << 34, "\"test.text\" takes 8589934592 bytes");

    bytes.length = 0;
    put_header(&bytes, 3, 0, 1);
    put_array(&bytes, "test.word", METADATA_STRING, 1);
    put_number(&bytes, UINT64_C(1) << 33, 8);
    check_sparse(&bytes, UINT64_C(1) << 34, "\"test.word\" takes");

    bytes.length = 0;
    put_header(&bytes, 3, 0, 1);
    put_number(&bytes, GGUF_MAX_NAME + 1, 8);
    check_sparse(&bytes, 1 << 20, "metadata key of 65536 bytes");

    bytes.length = 0;
    put_header(&bytes, 3, 1, 0);
    put_number(&bytes, GGUF_MAX_NAME + 1, 8);
    check_sparse(&bytes, 1 << 20, "tensor name of 65536 bytes");
}
END_TEST

/* Half a gigabyte is not read here; the arena only says that it was. */
START_TEST(values_count_together_with_what_came_before_them)
{
    const size_t n = (size_t)4 << 20;
    struct bytes bytes = {.length = 0};
    put_array(&bytes, "test.bytes", METADATA_U8, n);
    uint8_t *data = calloc(bytes.length + n, 1);
    ck_assert_ptr_nonnull(data);
    memcpy(data, bytes.data, bytes.length);
    for (int full = 0; full < 2; full++) {
        struct arena arena;
        struct metadata metadata;
        struct reader reader;
        arena_init(&arena, &memory_default_allocator);
        metadata_init(&metadata, &arena);
        reader_init(&reader, data, bytes.length + n, "test");
        arena.total = full ? GGUF_MAX_METADATA_BYTES - n + 1 : 0;
        ck_assert_int_eq(gguf_read_metadata(&reader, 1, &metadata),
                         full ? LCKV_BAD_FORMAT : LCKV_OK);
        if (full)
            ck_assert_error_has("\"test.bytes\" takes 4194304 bytes");
        arena_release(&arena);
    }
    free(data);
}
END_TEST

/* ---- Bytes that change while they are read ---- */

#define N_WORDS 200
#define CANARY 64

/* An allocator that spoils the input at each call, and sees writes behind what it gave. */
struct spoiler {
    struct bytes *bytes; /* NULL, or bytes whose strings grow from 8 to 200 */
    const char *path;    /* NULL, or a file that shrinks at a large allocation */
};

static void *spoiling_alloc(void *user, size_t size, size_t align)
{
    struct spoiler *spoiler = user;
    uint8_t *pointer = aligned_alloc(align, (size + CANARY + align - 1) / align * align);
    ck_assert_ptr_nonnull(pointer);
    memset(pointer + size, 0xa5, CANARY);
    for (size_t i = 0; spoiler->bytes != NULL && i + 8 <= spoiler->bytes->length; i++) {
        if (memcmp(spoiler->bytes->data + i, "\x08\0\0\0\0\0\0\0w", 9) == 0)
            spoiler->bytes->data[i] = 200;
    }
    if (spoiler->path != NULL && size > 1 << 15)
        ck_assert_int_eq(truncate(spoiler->path, 100), 0);
    return pointer;
}

static void spoiling_free(void *user, void *pointer, size_t size)
{
    (void)user;
    for (size_t i = 0; i < CANARY; i++)
        ck_assert_uint_eq(((uint8_t *)pointer)[size + i], 0xa5);
    free(pointer);
}

static void put_words(struct bytes *bytes, const char *key, size_t n)
{
    put_array(bytes, key, METADATA_STRING, n);
    for (size_t i = 0; i < n; i++)
        put_string(bytes, "wordword");
}

START_TEST(bytes_may_change_while_they_are_read)
{
    static struct bytes bytes;
    struct spoiler spoiler = {.bytes = &bytes};
    lckv_allocator allocator = {sizeof allocator, &spoiler, spoiling_alloc, spoiling_free};
    struct checkpoint checkpoint;
    bytes.length = 0;
    put_header(&bytes, 3, 0, 1);
    put_words(&bytes, "test.words", N_WORDS);
    lckv_status status = checkpoint_open_memory(&checkpoint, bytes.data, bytes.length, &allocator);
    ck_assert(status == LCKV_OK || status == LCKV_BAD_FORMAT);
    checkpoint_close(&checkpoint);
}
END_TEST

/* A mapping would end the process with SIGBUS. */
START_TEST(a_file_may_shrink_while_it_is_opened)
{
    static uint8_t zeros[1 << 16];
    struct bytes bytes = {.length = 0};
    const char *path = folder_path("model.gguf");
    struct spoiler spoiler = {.path = path};
    lckv_allocator allocator = {sizeof allocator, &spoiler, spoiling_alloc, spoiling_free};
    struct checkpoint checkpoint;
    put_header(&bytes, 3, 0, 1);
    put_array(&bytes, "test.zeros", METADATA_U8, sizeof zeros - bytes.length - 100);
    memcpy(zeros, bytes.data, bytes.length);
    folder_write("model.gguf", zeros, sizeof zeros);
    ck_assert_status(checkpoint_open(&checkpoint, path, &allocator), LCKV_BAD_FORMAT);
    ck_assert_error_has("model.gguf: truncated");
}
END_TEST

START_TEST(refuses_paths_that_are_no_checkpoint)
{
    struct checkpoint checkpoint;
    ck_assert_status(
        checkpoint_open(&checkpoint, "tests/data/does-not-exist.gguf", &memory_default_allocator),
        LCKV_IO);
    ck_assert_error_has("does-not-exist.gguf");
    ck_assert_status(checkpoint_open(&checkpoint, "/dev/null", &memory_default_allocator), LCKV_IO);
    checkpoint_close(&checkpoint);
}
END_TEST

START_TEST(survives_every_failed_allocation)
{
    static struct good good;
    make_good(&good, 3);
    lckv_status status = LCKV_OUT_OF_MEMORY;
    size_t n = 0;
    for (; status == LCKV_OUT_OF_MEMORY; n++) {
        struct counting counting = {.n_allowed = n};
        lckv_allocator allocator = counting_allocator(&counting);
        struct checkpoint checkpoint;
        status =
            checkpoint_open_memory(&checkpoint, good.bytes.data, good.bytes.length, &allocator);
        if (status == LCKV_OK)
            ck_assert_uint_gt(counting.out, 0);
        checkpoint_close(&checkpoint);
        ck_assert_uint_eq(counting.out, 0);
    }
    ck_assert_status(status, LCKV_OK);
    ck_assert_uint_gt(n, 1);
}
END_TEST

static void add_malformed(Suite *suite)
{
    TCase *tests = tcase_create("malformed");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, refuses_a_broken_field, 0, sizeof broken / sizeof broken[0]);
    tcase_add_loop_test(tests, a_tensor_that_cannot_be_read_does_not_stop_the_open, 0,
                        sizeof unreadable / sizeof unreadable[0]);
    tcase_add_loop_test(tests, a_tensor_of_any_number_of_dimensions_does_not_stop_the_open, 0, 3);
    tcase_add_loop_test(tests, a_part_of_a_split_model_is_called_so, 0, 2);
    tcase_add_test(tests, bytes_may_change_while_they_are_read);
    tcase_add_test(tests, values_count_together_with_what_came_before_them);
    tcase_add_test(tests, refuses_duplicate_keys);
    tcase_add_test(tests, refuses_every_truncation);
    tcase_add_test(tests, survives_any_changed_byte);
    tcase_add_test(tests, refuses_paths_that_are_no_checkpoint);
    tcase_add_test(tests, survives_every_failed_allocation);
    suite_add_tcase(suite, tests);
}

static void add_files(Suite *suite)
{
    TCase *tests = tcase_create("files");
    tcase_add_checked_fixture(tests, folder_make, folder_remove);
    tcase_add_test(tests, refuses_more_metadata_than_any_model_has);
    tcase_add_test(tests, a_file_may_shrink_while_it_is_opened);
    suite_add_tcase(suite, tests);
}

TEST_MAIN("gguf malformed", add_malformed, add_files)
