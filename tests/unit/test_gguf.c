/*
 * GGUF: what a good file reads as, what the writer makes of it, and how malformed ones are refused.
 * Files are made here, byte by byte, so that every field can be broken.
 */
#include "base/reader.h"
#include "base/status.h"
#include "format/gguf.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "support.h"

/* ---- Making files ---- */

struct bytes {
    uint8_t data[4096];
    size_t length;
};

static void put(struct bytes *bytes, const void *data, size_t length)
{
    ck_assert_uint_le(bytes->length + length, sizeof bytes->data);
    memcpy(bytes->data + bytes->length, data, length);
    bytes->length += length;
}

static void put_number(struct bytes *bytes, uint64_t number, size_t size)
{
    uint8_t little[8];
    for (size_t i = 0; i < 8; i++)
        little[i] = (uint8_t)(number >> (8 * i));
    put(bytes, little, size);
}

static void put_string(struct bytes *bytes, const char *string)
{
    put_number(bytes, strlen(string), 8);
    put(bytes, string, strlen(string));
}

static void put_key(struct bytes *bytes, const char *key, uint32_t type)
{
    put_string(bytes, key);
    put_number(bytes, type, 4);
}

static void put_array(struct bytes *bytes, const char *key, uint32_t type, uint64_t count)
{
    put_key(bytes, key, METADATA_ARRAY);
    put_number(bytes, type, 4);
    put_number(bytes, count, 8);
}

static void pad(struct bytes *bytes, size_t alignment)
{
    while (bytes->length % alignment != 0)
        put(bytes, "", 1);
}

static void put_header(struct bytes *bytes, uint32_t version, uint64_t n_tensors,
                       uint64_t n_metadata)
{
    put(bytes, "GGUF", 4);
    put_number(bytes, version, 4);
    put_number(bytes, n_tensors, 8);
    put_number(bytes, n_metadata, 8);
}

/* The fields of the good file that tests break. */
enum mark {
    MARK_MAGIC,
    MARK_VERSION,
    MARK_N_TENSORS,
    MARK_N_METADATA,
    MARK_KEY_LENGTH,
    MARK_KEY,
    MARK_VALUE_TYPE,
    MARK_STRING_LENGTH,
    MARK_ALIGNMENT_TYPE,
    MARK_ALIGNMENT,
    MARK_BOOL,
    MARK_ARRAY_TYPE,
    MARK_ARRAY_LENGTH,
    MARK_BOOL_ELEMENT,
    MARK_STRINGS_LENGTH,
    MARK_STRINGS_FIRST,
    MARK_SECOND_KEY,
    MARK_NAME_LENGTH,
    MARK_NAME,
    MARK_N_DIMS,
    MARK_COLUMNS,
    MARK_ROWS,
    MARK_TYPE,
    MARK_OFFSET,
    MARK_SECOND_NAME,
    MARK_SECOND_TYPE,
    MARK_SECOND_OFFSET,
    MARK_DATA,
    MARK_COUNT
};

struct good {
    struct bytes bytes;
    size_t at[MARK_COUNT];
};

static void mark(struct good *good, enum mark mark)
{
    good->at[mark] = good->bytes.length;
}

/* Two tensors at an alignment of 64: "x.weight", q8_0, two rows of 64; "y.weight", f32, three. */
static void make_good(struct good *good, uint32_t version)
{
    struct bytes *bytes = &good->bytes;
    bytes->length = 0;
    mark(good, MARK_MAGIC);
    put(bytes, "GGUF", 4);
    mark(good, MARK_VERSION);
    put_number(bytes, version, 4);
    mark(good, MARK_N_TENSORS);
    put_number(bytes, 2, 8);
    mark(good, MARK_N_METADATA);
    put_number(bytes, 6, 8);

    mark(good, MARK_KEY_LENGTH);
    put_number(bytes, 12, 8);
    mark(good, MARK_KEY);
    put(bytes, "general.name", 12);
    mark(good, MARK_VALUE_TYPE);
    put_number(bytes, METADATA_STRING, 4);
    mark(good, MARK_STRING_LENGTH);
    put_string(bytes, "small");
    put_string(bytes, "general.alignment");
    mark(good, MARK_ALIGNMENT_TYPE);
    put_number(bytes, METADATA_U32, 4);
    mark(good, MARK_ALIGNMENT);
    put_number(bytes, 64, 4);
    put_key(bytes, "test.key1", METADATA_BOOL);
    mark(good, MARK_BOOL);
    put_number(bytes, 1, 1);
    put_key(bytes, "test.flags", METADATA_ARRAY);
    mark(good, MARK_ARRAY_TYPE);
    put_number(bytes, METADATA_BOOL, 4);
    mark(good, MARK_ARRAY_LENGTH);
    put_number(bytes, 3, 8);
    mark(good, MARK_BOOL_ELEMENT);
    put(bytes, "\0\1\1", 3);
    put_key(bytes, "test.words", METADATA_ARRAY);
    put_number(bytes, METADATA_STRING, 4);
    mark(good, MARK_STRINGS_LENGTH);
    put_number(bytes, 2, 8);
    mark(good, MARK_STRINGS_FIRST);
    put_string(bytes, "one");
    put_string(bytes, "");
    put_number(bytes, 9, 8);
    mark(good, MARK_SECOND_KEY);
    put(bytes, "test.key2", 9);
    put_number(bytes, METADATA_U8, 4);
    put_number(bytes, 7, 1);

    mark(good, MARK_NAME_LENGTH);
    put_number(bytes, 8, 8);
    mark(good, MARK_NAME);
    put(bytes, "x.weight", 8);
    mark(good, MARK_N_DIMS);
    put_number(bytes, 2, 4);
    mark(good, MARK_COLUMNS);
    put_number(bytes, 64, 8);
    mark(good, MARK_ROWS);
    put_number(bytes, 2, 8);
    mark(good, MARK_TYPE);
    put_number(bytes, 8, 4);
    mark(good, MARK_OFFSET);
    put_number(bytes, 0, 8);
    put_number(bytes, 8, 8);
    mark(good, MARK_SECOND_NAME);
    put(bytes, "y.weight", 8);
    put_number(bytes, 1, 4);
    put_number(bytes, 3, 8);
    mark(good, MARK_SECOND_TYPE);
    put_number(bytes, 0, 4);
    mark(good, MARK_SECOND_OFFSET);
    put_number(bytes, 192, 8);
    pad(bytes, 64);
    mark(good, MARK_DATA);
    for (int i = 0; i < 136; i++)
        put_number(bytes, (uint64_t)i, 1);
    pad(bytes, 64);
    put(bytes, "abcdefghijkl", 12);
}

/* Opens a copy of exactly the given size, so that a read beyond it is seen by the sanitizers. */
static lckv_status open_copy(struct checkpoint *checkpoint, const uint8_t *data, size_t length,
                             uint8_t **copy)
{
    *copy = malloc(length + (length == 0));
    ck_assert_ptr_nonnull(*copy);
    memcpy(*copy, data, length);
    return checkpoint_open_memory(checkpoint, *copy, length, &memory_default_allocator);
}

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

/* Every value type, alone and in an array, and tensors of every dtype, as the writer has them. */
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

static char directory[64];

static void make_directory(void)
{
    snprintf(directory, sizeof directory, "/tmp/lckv-gguf-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
}

static void remove_directory(void)
{
    char path[96];
    snprintf(path, sizeof path, "%s/model.gguf", directory);
    unlink(path);
    ck_assert_int_eq(rmdir(directory), 0);
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
    char path[96];
    snprintf(path, sizeof path, "%s/model.gguf", directory);
    write_checkpoint(&checkpoint, path, pieces[_i]);
    checkpoint_close(&checkpoint);

    char *written;
    size_t length;
    ck_assert_ok(file_read_all(path, 1 << 20, &memory_default_allocator, &written, &length));
    ck_assert_uint_eq(length, bytes.length);
    ck_assert_mem_eq(written, bytes.data, length);
    memory_free(&memory_default_allocator, written, length + 1, 1);

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
    char path[96];
    snprintf(path, sizeof path, "%s/model.gguf", directory);
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

/* ---- Malformed files: one field of the good one replaced ---- */

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
    {MARK_N_METADATA, 8, 5, LCKV_UNSUPPORTED, "dimensions"},
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
    {MARK_N_DIMS, 4, 0, LCKV_UNSUPPORTED, "\"x.weight\": 0 dimensions"},
    {MARK_N_DIMS, 4, 5, LCKV_UNSUPPORTED, "\"x.weight\": 5 dimensions"},
    {MARK_COLUMNS, 8, 0, LCKV_BAD_FORMAT, "\"x.weight\": a dimension is 0"},
    {MARK_COLUMNS, 8, 48, LCKV_BAD_FORMAT, "rows of 48 elements"},
    {MARK_ROWS, 8, UINT64_MAX / 32, LCKV_BAD_FORMAT, "product of its dimensions overflows"},
    {MARK_ROWS, 8, UINT64_MAX / 64, LCKV_BAD_FORMAT, "size in bytes overflows"},
    {MARK_ROWS, 8, 1u << 20, LCKV_BAD_FORMAT, "end beyond the file"},
    {MARK_ROWS, 8, 3, LCKV_BAD_FORMAT, "overlap"},
    {MARK_TYPE, 4, 11, LCKV_UNSUPPORTED, "\"x.weight\": type q3_K is not supported"},
    {MARK_TYPE, 4, 16, LCKV_UNSUPPORTED, "type iq2_xxs"},
    {MARK_TYPE, 4, 34, LCKV_UNSUPPORTED, "type tq1_0"},
    {MARK_TYPE, 4, 39, LCKV_UNSUPPORTED, "type mxfp4"},
    {MARK_TYPE, 4, 40, LCKV_UNSUPPORTED, "type nvfp4"},
    {MARK_TYPE, 4, 12345, LCKV_UNSUPPORTED, "unknown tensor type 12345"},
    {MARK_OFFSET, 8, 32, LCKV_BAD_FORMAT, "\"x.weight\": offset 32"},
    {MARK_OFFSET, 8, UINT64_MAX - 63, LCKV_BAD_FORMAT, "end beyond the file"},
    {MARK_OFFSET, 8, 192, LCKV_BAD_FORMAT, "end beyond the file"},
    {MARK_SECOND_NAME, 1, 'x', LCKV_BAD_FORMAT, "duplicate tensor \"x.weight\""},
    {MARK_SECOND_TYPE, 4, 26, LCKV_UNSUPPORTED, "\"y.weight\": type i32"},
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

/* Whatever comes of it, it comes as a status. */
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
 * A file of holes is as long as it likes, so it pays for any count: fixed limits come first, and
 * their message says them.
 */
static void check_sparse(const struct bytes *bytes, uint64_t length, const char *message)
{
    char path[96];
    struct checkpoint checkpoint;
    snprintf(path, sizeof path, "%s/model.gguf", directory);
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes->data, 1, bytes->length, file), bytes->length);
    ck_assert_int_eq(fclose(file), 0);
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

/* ---- Out of memory ---- */

struct failing {
    size_t allowed; /* allocations until one fails */
    size_t held;    /* bytes not given back */
};

static void *failing_alloc(void *user, size_t size, size_t align)
{
    struct failing *failing = user;
    if (failing->allowed == 0)
        return NULL;
    failing->allowed--;
    failing->held += size;
    return aligned_alloc(align, (size + align - 1) / align * align);
}

static void failing_free(void *user, void *pointer, size_t size)
{
    struct failing *failing = user;
    if (pointer != NULL)
        failing->held -= size;
    free(pointer);
}

START_TEST(survives_every_failed_allocation)
{
    static struct good good;
    make_good(&good, 3);
    lckv_status status = LCKV_OUT_OF_MEMORY;
    size_t n = 0;
    for (; status == LCKV_OUT_OF_MEMORY; n++) {
        struct failing failing = {n, 0};
        lckv_allocator allocator = {sizeof allocator, &failing, failing_alloc, failing_free};
        struct checkpoint checkpoint;
        status =
            checkpoint_open_memory(&checkpoint, good.bytes.data, good.bytes.length, &allocator);
        if (status == LCKV_OK)
            ck_assert_uint_gt(failing.held, 0);
        checkpoint_close(&checkpoint);
        ck_assert_uint_eq(failing.held, 0);
    }
    ck_assert_status(status, LCKV_OK);
    ck_assert_uint_gt(n, 1);
}
END_TEST

/* ---- Element types ---- */

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
    ck_assert_ptr_null(dtype_from_gguf(11));
    ck_assert_str_eq(dtype_gguf_name(11), "q3_K");
    ck_assert_ptr_null(dtype_gguf_name(100000));
    for (lckv_dtype dtype = LCKV_DTYPE_F32; dtype <= LCKV_DTYPE_Q6_K; dtype++) {
        const struct dtype_info *info = dtype_info(dtype);
        ck_assert_ptr_nonnull(info);
        ck_assert_ptr_eq(dtype_from_gguf(info->gguf_type), info);
        ck_assert_str_eq(dtype_gguf_name(info->gguf_type), info->name);
    }
}
END_TEST

static void add_reading(Suite *suite)
{
    TCase *tests = tcase_create("reading");
    tcase_add_loop_test(tests, reads_tensors_outermost_first, 0, 2);
    tcase_add_test(tests, reads_metadata);
    tcase_add_test(tests, a_vocabulary_without_tensors_is_fine);
    tcase_add_test(tests, dtypes_have_names_and_sizes);
    suite_add_tcase(suite, tests);
}

static void add_writing(Suite *suite)
{
    TCase *tests = tcase_create("writing");
    tcase_add_checked_fixture(tests, make_directory, remove_directory);
    tcase_add_loop_test(tests, writes_back_the_same_bytes, 0, 4);
    tcase_add_test(tests, writes_its_own_alignment);
    tcase_add_test(tests, refuses_more_metadata_than_any_model_has);
    suite_add_tcase(suite, tests);
}

static void add_malformed(Suite *suite)
{
    TCase *tests = tcase_create("malformed");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, refuses_a_broken_field, 0, sizeof broken / sizeof broken[0]);
    tcase_add_test(tests, refuses_duplicate_keys);
    tcase_add_test(tests, refuses_every_truncation);
    tcase_add_test(tests, survives_any_changed_byte);
    tcase_add_test(tests, refuses_paths_that_are_no_checkpoint);
    tcase_add_test(tests, survives_every_failed_allocation);
    suite_add_tcase(suite, tests);
}

TEST_MAIN("gguf", add_reading, add_writing, add_malformed)
