/*
 * What the tests of GGUF share: files that are made byte by byte, and a good file of which every
 * field can be broken.
 */
#ifndef LCKV_TESTS_GGUF_SUPPORT_H
#define LCKV_TESTS_GGUF_SUPPORT_H

#include "format/checkpoint_open.h"
#include "format/gguf.h"

#include "support.h"

struct bytes {
    uint8_t data[4096];
    size_t length;
};

static inline void put(struct bytes *bytes, const void *data, size_t length)
{
    ck_assert_uint_le(bytes->length + length, sizeof bytes->data);
    memcpy(bytes->data + bytes->length, data, length);
    bytes->length += length;
}

static inline void put_number(struct bytes *bytes, uint64_t number, size_t size)
{
    uint8_t little[8];
    for (size_t i = 0; i < 8; i++)
        little[i] = (uint8_t)(number >> (8 * i));
    put(bytes, little, size);
}

static inline void put_string(struct bytes *bytes, const char *string)
{
    put_number(bytes, strlen(string), 8);
    put(bytes, string, strlen(string));
}

static inline void put_key(struct bytes *bytes, const char *key, uint32_t type)
{
    put_string(bytes, key);
    put_number(bytes, type, 4);
}

static inline void put_array(struct bytes *bytes, const char *key, uint32_t type, uint64_t count)
{
    put_key(bytes, key, METADATA_ARRAY);
    put_number(bytes, type, 4);
    put_number(bytes, count, 8);
}

static inline void pad(struct bytes *bytes, size_t alignment)
{
    while (bytes->length % alignment != 0)
        put(bytes, "", 1);
}

static inline void put_header(struct bytes *bytes, uint32_t version, uint64_t n_tensors,
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

static inline void mark(struct good *good, enum mark mark)
{
    good->at[mark] = good->bytes.length;
}

/*
 * Makes two tensors at an alignment of 64: "x.weight", q8_0, two rows of 64, and "y.weight", f32,
 * three numbers.
 */
static inline void make_good(struct good *good, uint32_t version)
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

#endif
