/*
 * The bounds-checked reader of bytes from files.
 */
#include "base/reader.h"
#include "base/status.h"

#include <unistd.h>

#include "folder.h"
#include "support.h"

START_TEST(reader_is_little_endian)
{
    static const uint8_t bytes[] = {0x01, 0x02, 0x03, 0x07, 0x06, 0x05, 0x04, 0x0F, 0x0E,
                                    0x0D, 0x0C, 0x0B, 0x0A, 0x09, 0x08, 0,    0,    0x80,
                                    0xBF, 0,    0,    0,    0,    0,    0,    4,    0x40};
    struct reader reader;
    reader_init(&reader, bytes, sizeof bytes, "test");
    ck_assert_uint_eq(reader_u8(&reader, "a"), 0x01);
    ck_assert_uint_eq(reader_u16(&reader, "b"), 0x0302);
    ck_assert_uint_eq(reader_u32(&reader, "c"), 0x04050607);
    ck_assert_uint_eq(reader_u64(&reader, "d"), 0x08090A0B0C0D0E0F);
    ck_assert(reader_f32(&reader, "e") == -1.0f);
    ck_assert_uint_eq(reader_left(&reader), 8);
    ck_assert(reader_f64(&reader, "f") == 2.5);
    ck_assert_uint_eq(reader_left(&reader), 0);
    ck_assert_ok(reader_status(&reader));
}
END_TEST

START_TEST(reader_fails_once_and_stays_there)
{
    static const uint8_t bytes[] = {1, 2, 3, 4, 5};
    struct reader reader;
    reader_init(&reader, bytes, sizeof bytes, "m.gguf");
    ck_assert_uint_eq(reader_u16(&reader, "version"), 0x0201);
    ck_assert_uint_eq(reader_u32(&reader, "tensor count"), 0);
    ck_assert_uint_eq(reader_u8(&reader, "padding"), 0);
    ck_assert_ptr_null(reader_bytes(&reader, 1, "name"));
    ck_assert_ptr_null(reader_bytes(&reader, 0, "nothing"));
    ck_assert_uint_eq(reader_left(&reader), 3);
    ck_assert_status(reader_status(&reader), LCKV_BAD_FORMAT);
    ck_assert_str_eq(status_message(), "m.gguf: truncated at byte 2: tensor count needs 4 bytes, "
                                       "3 are left");
}
END_TEST

START_TEST(reader_refuses_lengths_beyond_the_end)
{
    static const uint64_t lengths[] = {5, SIZE_MAX - 1, UINT64_MAX};
    struct reader reader;
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        reader_init(&reader, "abcd", 4, "test");
        ck_assert_ptr_null(reader_bytes(&reader, lengths[i], "text"));
        ck_assert_status(reader_status(&reader), LCKV_BAD_FORMAT);
    }
    reader_init(&reader, "abcd", 4, "test");
    ck_assert_mem_eq(reader_bytes(&reader, 4, "text"), "abcd", 4);
    ck_assert_ptr_nonnull(reader_bytes(&reader, 0, "end"));
    reader_init(&reader, NULL, 0, "test");
    ck_assert_ptr_nonnull(reader_bytes(&reader, 0, "nothing"));
    ck_assert_ok(reader_status(&reader));
}
END_TEST

#define FILE_BYTES (3 * READER_WINDOW_BYTES + 100)

/* Byte i of the file. */
static uint8_t byte_at(size_t i)
{
    return (uint8_t)(i * 7 + i / 256);
}

static void write_file(struct file *file, const char *path)
{
    static uint8_t bytes[FILE_BYTES];
    for (size_t i = 0; i < FILE_BYTES; i++)
        bytes[i] = byte_at(i);
    folder_write("file", bytes, FILE_BYTES);
    ck_assert_ok(file_open(file, path));
}

static void expect_bytes(const uint8_t *bytes, size_t at, size_t length)
{
    for (size_t i = 0; i < length; i++)
        ck_assert_uint_eq(bytes[i], byte_at(at + i));
}

/* Reads pieces of every kind of length: short ones, in turn with copies of _i bytes. */
START_TEST(reader_reads_files_through_a_window)
{
    static const size_t copies[] = {0,
                                    1,
                                    100,
                                    READER_WINDOW_BYTES - 8,
                                    READER_WINDOW_BYTES,
                                    READER_WINDOW_BYTES + 1,
                                    2 * READER_WINDOW_BYTES};
    static uint8_t buffer[FILE_BYTES];
    struct file file;
    struct reader reader;
    struct reader_window window;
    write_file(&file, folder_path("file"));
    ck_assert_ok(reader_init_file(&reader, &window, &file));
    size_t at = 0;
    for (size_t n = 1; reader_left(&reader) >= n + copies[_i]; n = n % 11 + 1) {
        const uint8_t *piece = reader_bytes(&reader, n, "piece");
        ck_assert_ptr_nonnull(piece);
        expect_bytes(piece, at, n);
        at += n;
        ck_assert(reader_copy(&reader, buffer, copies[_i], "copy"));
        expect_bytes(buffer, at, copies[_i]);
        at += copies[_i];
        ck_assert_uint_eq(reader.position, at);
    }
    size_t rest = reader_left(&reader);
    ck_assert(reader_copy(&reader, buffer, rest, "rest"));
    expect_bytes(buffer, at, rest);
    ck_assert_ptr_nonnull(reader_bytes(&reader, 0, "nothing"));
    ck_assert(!reader_copy(&reader, buffer, 1, "more"));
    ck_assert_status(reader_status(&reader), LCKV_BAD_FORMAT);
    ck_assert_error_has("/file: truncated at byte 12388: more needs 1 bytes, 0 are left");
    file_close(&file);
}
END_TEST

START_TEST(reader_passes_on_why_a_file_cannot_be_read)
{
    struct file file;
    struct reader reader;
    struct reader_window window;
    uint8_t buffer[8];
    write_file(&file, folder_path("file"));
    ck_assert_ok(reader_init_file(&reader, &window, &file));
    ck_assert_ptr_nonnull(reader_bytes(&reader, READER_WINDOW_BYTES, "first"));
    ck_assert_int_eq(truncate(file.name, 5000), 0);
    ck_assert(!reader_copy(&reader, buffer, 8, "second"));
    ck_assert_status(reader_status(&reader), LCKV_BAD_FORMAT);
    ck_assert_error_has("/file: truncated at byte 5000 while it was read");
    ck_assert_uint_eq(reader_u32(&reader, "third"), 0);
    ck_assert_ok(reader_init_file(&reader, &window, &file));
    ck_assert_ptr_null(reader_bytes(&reader, READER_WINDOW_BYTES + 1, "long"));
    ck_assert_status(reader_status(&reader), LCKV_INTERNAL);
    file_close(&file);
}
END_TEST

static void add_files(Suite *suite)
{
    TCase *tcase = tcase_create("files");
    tcase_add_checked_fixture(tcase, folder_make, folder_remove);
    tcase_add_loop_test(tcase, reader_reads_files_through_a_window, 0, 7);
    tcase_add_test(tcase, reader_passes_on_why_a_file_cannot_be_read);
    suite_add_tcase(suite, tcase);
}

static void add_reader(Suite *suite)
{
    TCase *tcase = tcase_create("reader");
    tcase_add_test(tcase, reader_is_little_endian);
    tcase_add_test(tcase, reader_fails_once_and_stays_there);
    tcase_add_test(tcase, reader_refuses_lengths_beyond_the_end);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("reader", add_reader, add_files)
