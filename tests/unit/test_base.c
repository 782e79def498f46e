/*
 * Messages, allocation, arenas, the bounds-checked reader, input and output files.
 */
#include "base/arena.h"
#include "base/failure.h"
#include "base/file.h"
#include "base/reader.h"
#include "base/status.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support.h"

/* An allocator that counts what is out, checks sizes and alignment, and refuses after a while. */
struct counting {
    size_t out;       /* bytes not yet given back */
    size_t n_allowed; /* allocations until it refuses */
};

static void *counting_alloc(void *user, size_t size, size_t align)
{
    struct counting *counting = user;
    void *pointer;
    ck_assert_uint_gt(size, 0);
    if (counting->n_allowed == 0 || posix_memalign(&pointer, align, size) != 0)
        return NULL;
    counting->n_allowed--;
    counting->out += size;
    memset(pointer, 0xA5, size);
    return pointer;
}

static void counting_free(void *user, void *pointer, size_t size)
{
    struct counting *counting = user;
    ck_assert_ptr_nonnull(pointer);
    ck_assert_uint_ge(counting->out, size);
    counting->out -= size;
    free(pointer);
}

static lckv_allocator counting_allocator(struct counting *counting)
{
    return (lckv_allocator){sizeof(lckv_allocator), counting, counting_alloc, counting_free};
}

/* ---- Messages ---- */

START_TEST(fail_stores_the_message_and_returns_the_status)
{
    ck_assert_int_eq(fail(LCKV_IO, "%s: line %d", "a.json", 3), LCKV_IO);
    ck_assert_str_eq(status_message(), "a.json: line 3");
    ck_assert_str_eq(lckv_last_error(), "a.json: line 3");
}
END_TEST

START_TEST(fail_in_puts_the_context_before_the_message)
{
    fail(LCKV_BAD_FORMAT, "needs 4 bytes");
    ck_assert_int_eq(fail_in(LCKV_BAD_FORMAT, "tensor %d", 7), LCKV_BAD_FORMAT);
    ck_assert_str_eq(status_message(), "tensor 7: needs 4 bytes");
}
END_TEST

START_TEST(a_message_may_quote_the_last_one)
{
    fail(LCKV_IO, "inner");
    fail(LCKV_IO, "outer (%s)", status_message());
    ck_assert_str_eq(status_message(), "outer (inner)");
}
END_TEST

START_TEST(long_messages_are_cut_at_a_whole_character)
{
    char text[4000];
    for (size_t i = 0; i + 1 < sizeof text; i += 2)
        memcpy(text + i, "é", 2);
    for (size_t shift = 0; shift < 2; shift++) {
        text[sizeof text - 2] = '\0';
        fail(LCKV_IO, "%s%s", shift == 0 ? "" : "x", text);
        const char *message = status_message();
        size_t length = strlen(message);
        ck_assert_uint_ge(length, 1020);
        ck_assert_uint_le(length, 1023);
        ck_assert_str_eq(message + length - 5, "é...");
        fail_in(LCKV_IO, "file");
        length = strlen(message);
        ck_assert_uint_le(length, 1023);
        ck_assert_msg(strncmp(message, shift == 0 ? "file: éé" : "file: xé", 8) == 0, "%s",
                      message);
        ck_assert_str_eq(message + length - 3, "...");
    }
}
END_TEST

static void *fail_elsewhere(void *unused)
{
    (void)unused;
    fail(LCKV_IO, "of the other thread");
    return NULL;
}

START_TEST(each_thread_has_its_own_message)
{
    pthread_t thread;
    fail(LCKV_IO, "mine");
    ck_assert_int_eq(pthread_create(&thread, NULL, fail_elsewhere, NULL), 0);
    pthread_join(thread, NULL);
    ck_assert_str_eq(status_message(), "mine");
}
END_TEST

START_TEST(statuses_have_names)
{
    ck_assert_str_eq(status_name(LCKV_OK), "LCKV_OK");
    ck_assert_str_eq(status_name(LCKV_OUT_OF_WINDOW), "LCKV_OUT_OF_WINDOW");
    ck_assert_str_eq(status_name(LCKV_INTERNAL), "LCKV_INTERNAL");
    ck_assert_str_eq(status_name(LCKV_INTERNAL + 1), "unknown status");
    ck_assert_str_eq(status_name(-1), "unknown status");
}
END_TEST

static const struct {
    const char *text;
    size_t length;
    const char *quoted;
} quotes[] = {
    {"", 0, "\"\""},
    {"plain text", 10, "\"plain text\""},
    {"a\nb\tc\r", 6, "\"a\\nb\\tc\\r\""},
    {"\x1b[31m\x7f\0!", 8, "\"\\x1b[31m\\x7f\\x00!\""},
    {"say \"\\\"", 7, "\"say \\\"\\\\\\\"\""},
    {"naïve 語 🙂", 15, "\"naïve 語 🙂\""},
    {"\xC3", 1, "\"\\xc3\""},                            /* half a character */
    {"\xC0\xAF", 2, "\"\\xc0\\xaf\""},                   /* overlong */
    {"\xED\xA0\x80", 3, "\"\\xed\\xa0\\x80\""},          /* a surrogate */
    {"\xF4\x90\x80\x80", 4, "\"\\xf4\\x90\\x80\\x80\""}, /* above U+10FFFF */
    {"\xC2\x9B", 2, "\"\\xc2\\x9b\""},                   /* a C1 control: terminals obey it */
};

START_TEST(quoted_text_is_printable)
{
    struct quoted result = quoted(quotes[_i].text, quotes[_i].length);
    ck_assert_str_eq(result.text, quotes[_i].quoted);
}
END_TEST

START_TEST(quoted_text_is_cut_to_its_buffer)
{
    char text[300];
    memset(text, 'a', sizeof text);
    for (size_t length = 0; length < sizeof text; length++) {
        struct quoted result = quoted(text, length);
        size_t used = strlen(result.text);
        ck_assert_uint_lt(used, sizeof result.text);
        ck_assert_int_eq(result.text[used - 1], '"');
        if (length <= 93) /* two quotes and a NUL in 96 bytes */
            ck_assert_uint_eq(used, length + 2);
        else
            ck_assert_str_eq(result.text + used - 5, "a...\"");
    }
    memset(text, '\1', sizeof text);
    ck_assert_str_eq(quoted(text, sizeof text).text + 85, "\\x01...\"");
    ck_assert_str_eq(quoted_string("x").text, "\"x\"");
}
END_TEST

START_TEST(a_failure_keeps_the_message_of_a_failed_call)
{
    struct failure failure;
    char text[8];
    failure_init(&failure);
    ck_assert_uint_eq(failure_copy(&failure, text, sizeof text), 0);
    fail(LCKV_IO, "something long");
    ck_assert_int_eq(failure_keep(&failure, LCKV_IO), LCKV_IO);
    fail(LCKV_IO, "later");
    ck_assert_int_eq(failure_keep(&failure, LCKV_OK), LCKV_OK);
    ck_assert_uint_eq(failure_copy(&failure, text, sizeof text), 14);
    ck_assert_str_eq(text, "somethi");
    failure_destroy(&failure);
}
END_TEST

/* ---- Memory ---- */

START_TEST(allocations_are_zeroed_aligned_and_given_back_with_their_size)
{
    struct counting counting = {.n_allowed = 100};
    lckv_allocator allocator = counting_allocator(&counting);
    unsigned char *bytes;
    ck_assert_ok(memory_alloc(&allocator, 3, 7, "bytes", &bytes));
    ck_assert_uint_eq((uintptr_t)bytes % MEMORY_ALIGN, 0);
    for (size_t i = 0; i < 21; i++)
        ck_assert_uint_eq(bytes[i], 0);
    memory_free(&allocator, bytes, 3, 7);
    ck_assert_ok(memory_alloc(&allocator, 0, 7, "nothing", &bytes));
    ck_assert_ptr_nonnull(bytes);
    memory_free(&allocator, bytes, 0, 7);
    memory_free(&allocator, NULL, 3, 7);
    ck_assert_uint_eq(counting.out, 0);
}
END_TEST

START_TEST(refused_and_overflowing_allocations_say_for_what)
{
    struct counting counting = {.n_allowed = 0};
    lckv_allocator allocator = counting_allocator(&counting);
    void *pointer = &counting;
    ck_assert_status(memory_alloc(&allocator, 5, 10, "a vocabulary", &pointer), LCKV_OUT_OF_MEMORY);
    ck_assert_error_has("50 bytes for a vocabulary");
    ck_assert_status(memory_alloc(&allocator, SIZE_MAX / 2, 3, "a tensor", &pointer),
                     LCKV_OUT_OF_MEMORY);
    ck_assert_error_has("a tensor");
    ck_assert_ptr_eq(pointer, &counting);
}
END_TEST

START_TEST(growing_keeps_contents_and_zeroes_the_rest)
{
    struct counting counting = {.n_allowed = 2};
    lckv_allocator allocator = counting_allocator(&counting);
    uint32_t *array = NULL;
    size_t capacity = 0;
    ck_assert_ok(memory_grow(&allocator, &array, &capacity, 1, sizeof *array, "numbers"));
    ck_assert_uint_ge(capacity, 1);
    for (size_t i = 0; i < capacity; i++)
        array[i] = (uint32_t)i + 1;
    size_t before = capacity;
    ck_assert_ok(memory_grow(&allocator, &array, &capacity, before + 1, sizeof *array, "numbers"));
    ck_assert_uint_ge(capacity, 2 * before);
    for (size_t i = 0; i < capacity; i++)
        ck_assert_uint_eq(array[i], i < before ? i + 1 : 0);

    uint32_t *same = array;
    size_t same_capacity = capacity;
    ck_assert_ok(memory_grow(&allocator, &array, &capacity, capacity, sizeof *array, "numbers"));
    ck_assert_status(
        memory_grow(&allocator, &array, &capacity, capacity + 1, sizeof *array, "numbers"),
        LCKV_OUT_OF_MEMORY);
    ck_assert_status(memory_grow(&allocator, &array, &capacity, SIZE_MAX, sizeof *array, "numbers"),
                     LCKV_OUT_OF_MEMORY);
    ck_assert_ptr_eq(array, same);
    ck_assert_uint_eq(capacity, same_capacity);
    memory_free(&allocator, array, capacity, sizeof *array);
    ck_assert_uint_eq(counting.out, 0);
}
END_TEST

START_TEST(allocators_are_checked)
{
    struct {
        lckv_allocator known;
        uint64_t unknown;
    } newer = {.known = memory_default_allocator};
    lckv_allocator given = memory_default_allocator, copy;
    ck_assert_ok(memory_choose(NULL, &copy));
    ck_assert(copy.alloc == memory_default_allocator.alloc);
    given = (lckv_allocator){.size = sizeof given};
    ck_assert_ok(memory_choose(&given, &copy));
    ck_assert(copy.free == memory_default_allocator.free);
    given.alloc = counting_alloc;
    ck_assert_status(memory_choose(&given, &copy), LCKV_INVALID_ARGUMENT);
    given.size = sizeof given - 1;
    ck_assert_status(memory_choose(&given, &copy), LCKV_INVALID_ARGUMENT);
    newer.known.size = sizeof newer;
    ck_assert_ok(memory_choose(&newer.known, &copy));
    ck_assert_uint_eq(copy.size, sizeof copy);
    newer.unknown = 1;
    ck_assert_status(memory_choose(&newer.known, &copy), LCKV_INVALID_ARGUMENT);
}
END_TEST

START_TEST(checked_arithmetic_refuses_to_wrap)
{
    size_t size = 99;
    uint64_t wide = 99;
    ck_assert(!checked_multiply(SIZE_MAX / 2 + 1, 2, &size) && size == 99);
    ck_assert(!checked_add(SIZE_MAX, 1, &size) && size == 99);
    ck_assert(!checked_multiply64(1ull << 32, 1ull << 32, &wide) && wide == 99);
    ck_assert(!checked_add64(UINT64_MAX - 1, 2, &wide) && wide == 99);
    ck_assert(checked_multiply(SIZE_MAX, 1, &size) && size == SIZE_MAX);
    ck_assert(checked_multiply(SIZE_MAX, 0, &size) && size == 0);
    ck_assert(checked_add(SIZE_MAX - 1, 1, &size) && size == SIZE_MAX);
    ck_assert(checked_multiply64(UINT32_MAX, UINT32_MAX, &wide) && wide == 0xFFFFFFFE00000001u);
    ck_assert(checked_add64(UINT64_MAX, 0, &wide) && wide == UINT64_MAX);
}
END_TEST

/* ---- Arenas ---- */

START_TEST(arena_allocations_are_zeroed_aligned_and_apart)
{
    struct counting counting = {.n_allowed = 1000};
    lckv_allocator allocator = counting_allocator(&counting);
    struct arena arena;
    unsigned char *pieces[400];
    size_t sizes[400];
    arena_init(&arena, &allocator);
    for (size_t i = 0; i < 400; i++) {
        sizes[i] = i % 50 == 49 ? 30000 : i * 7 % 300;
        ck_assert_ok(arena_alloc(&arena, sizes[i], 1, "a piece", &pieces[i]));
        ck_assert_uint_eq((uintptr_t)pieces[i] % 16, 0);
        for (size_t k = 0; k < sizes[i]; k++)
            ck_assert_uint_eq(pieces[i][k], 0);
        memset(pieces[i], (int)(i % 251), sizes[i]);
    }
    for (size_t i = 0; i < 400; i++)
        for (size_t k = 0; k < sizes[i]; k++)
            ck_assert_uint_eq(pieces[i][k], i % 251);
    ck_assert_uint_eq(arena.total, counting.out);
    arena_release(&arena);
    ck_assert_uint_eq(counting.out, 0);
    ck_assert_ok(arena_alloc(&arena, 1, 8, "another life", &pieces[0]));
    arena_release(&arena);
}
END_TEST

START_TEST(arena_failures_leave_it_usable)
{
    struct counting counting = {.n_allowed = 1};
    lckv_allocator allocator = counting_allocator(&counting);
    struct arena arena;
    void *pointer;
    const char *copy;
    arena_init(&arena, &allocator);
    ck_assert_ok(arena_copy(&arena, "ab\0c", 4, &copy));
    ck_assert_mem_eq(copy, "ab\0c", 5);
    ck_assert_status(arena_alloc(&arena, 1, 1 << 20, "a big one", &pointer), LCKV_OUT_OF_MEMORY);
    ck_assert_status(arena_alloc(&arena, SIZE_MAX, 2, "a product", &pointer), LCKV_OUT_OF_MEMORY);
    ck_assert_status(arena_alloc(&arena, SIZE_MAX - 8, 1, "a rounding", &pointer),
                     LCKV_OUT_OF_MEMORY);
    ck_assert_status(arena_copy(&arena, "", SIZE_MAX, &copy), LCKV_OUT_OF_MEMORY);
    ck_assert_ok(arena_copy(&arena, NULL, 0, &copy));
    ck_assert_str_eq(copy, "");
    arena_release(&arena);
    ck_assert_uint_eq(counting.out, 0);
}
END_TEST

/* ---- The reader ---- */

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

/* ---- Files ---- */

static char directory[64];

static void make_directory(void)
{
    strcpy(directory, "/tmp/lckv-base-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
}

static void remove_directory(void)
{
    char command[96];
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    ck_assert_int_eq(system(command), 0);
}

static const char *in_directory(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

static void expect_text(const char *path, const char *expected)
{
    char *text;
    size_t length;
    ck_assert_ok(file_read_all(path, 1000, &memory_default_allocator, &text, &length));
    ck_assert_str_eq(text, expected);
    ck_assert_uint_eq(length, strlen(expected));
    memory_free(&memory_default_allocator, text, length + 1, 1);
}

static size_t files_in_directory(void)
{
    char command[96];
    snprintf(command, sizeof command, "ls -A '%s' | wc -l", directory);
    FILE *pipe = popen(command, "r");
    ck_assert_ptr_nonnull(pipe);
    size_t n = 0;
    ck_assert_int_eq(fscanf(pipe, "%zu", &n), 1);
    pclose(pipe);
    return n;
}

START_TEST(a_file_is_read_and_mapped)
{
    struct file file;
    char buffer[5] = "";
    const char *path = in_directory("a");
    write_text(path, "0123456789");
    ck_assert_ok(file_open(&file, path));
    ck_assert_uint_eq(file.length, 10);
    ck_assert_int_ne(fcntl(file.descriptor, F_GETFD) & FD_CLOEXEC, 0);
    ck_assert_ok(file_read(&file, 6, buffer, 4));
    ck_assert_str_eq(buffer, "6789");
    ck_assert_ok(file_map(&file));
    ck_assert_mem_eq(file.bytes, "0123456789", 10);
    file_unmap(&file);
    ck_assert_ptr_null(file.bytes);
    ck_assert_ok(file_read(&file, 0, buffer, 1));
    file_close(&file);
    file_close(&file);
}
END_TEST

START_TEST(memory_is_a_file_too)
{
    struct file file;
    char buffer[4] = "";
    file_open_memory(&file, "0123", 4, "GGUF in memory");
    ck_assert_ok(file_map(&file));
    ck_assert_ok(file_read(&file, 1, buffer, 3));
    ck_assert_str_eq(buffer, "123");
    ck_assert_status(file_read(&file, 2, buffer, 3), LCKV_BAD_FORMAT);
    ck_assert_error_has("GGUF in memory: truncated");
    file_unmap(&file);
    file_close(&file);
}
END_TEST

START_TEST(reads_beyond_the_end_are_truncations)
{
    struct file file;
    char buffer[8];
    const char *path = in_directory("a");
    write_text(path, "0123");
    ck_assert_ok(file_open(&file, path));
    ck_assert_ok(file_read(&file, 4, buffer, 0));
    ck_assert_status(file_read(&file, 3, buffer, 2), LCKV_BAD_FORMAT);
    ck_assert_status(file_read(&file, UINT64_MAX, buffer, 2), LCKV_BAD_FORMAT);
    ck_assert_int_eq(truncate(path, 2), 0);
    ck_assert_status(file_read(&file, 0, buffer, 4), LCKV_BAD_FORMAT);
    ck_assert_error_has("truncated at byte 2");
    file_close(&file);
}
END_TEST

START_TEST(an_empty_file_maps_as_nothing)
{
    struct file file;
    const char *path = in_directory("empty");
    write_text(path, "");
    ck_assert_ok(file_open(&file, path));
    ck_assert_ok(file_map(&file));
    ck_assert_ptr_nonnull(file.bytes);
    file_close(&file);
    expect_text(path, "");
}
END_TEST

START_TEST(only_regular_files_open)
{
    struct file file;
    ck_assert_status(file_open(&file, in_directory("missing")), LCKV_IO);
    ck_assert_error_has("missing: cannot open: No such file");
    file_close(&file);
    ck_assert_status(file_open(&file, directory), LCKV_IO);
    ck_assert_error_has("expected a regular file, found a directory");
    ck_assert_int_eq(mkfifo(in_directory("pipe"), 0600), 0);
    ck_assert_status(file_open(&file, in_directory("pipe")), LCKV_IO);
    ck_assert_error_has("expected a regular file");
}
END_TEST

START_TEST(whole_files_are_limited)
{
    struct counting counting = {.n_allowed = 0};
    lckv_allocator allocator = counting_allocator(&counting);
    char *text;
    size_t length;
    const char *path = in_directory("a");
    write_text(path, "0123");
    ck_assert_status(file_read_all(path, 3, &allocator, &text, &length), LCKV_BAD_FORMAT);
    ck_assert_error_has("4 bytes, expected at most 3");
    ck_assert_status(file_read_all(path, 4, &allocator, &text, &length), LCKV_OUT_OF_MEMORY);
    expect_text(path, "0123");
}
END_TEST

START_TEST(an_output_replaces_the_file_when_it_is_complete)
{
    struct counting counting = {.n_allowed = 1};
    lckv_allocator allocator = counting_allocator(&counting);
    struct output output;
    const char *path = in_directory("out");
    write_text(path, "old");
    ck_assert_ok(output_open(&output, path, &allocator));
    ck_assert_ok(output_write(&output, "new", 3));
    ck_assert_ok(output_pad(&output, 4));
    ck_assert_uint_eq(output.position, 4);
    ck_assert_ok(output_pad(&output, 4));
    ck_assert_ok(output_write(&output, "!", 1));
    ck_assert_ok(output_pad(&output, 1000));
    ck_assert_uint_eq(output.position, 1000);
    expect_text(path, "old");
    ck_assert_ok(output_commit(&output));
    output_discard(&output);
    struct stat facts;
    ck_assert_int_eq(stat(path, &facts), 0);
    ck_assert_int_eq(facts.st_size, 1000);
    struct file file;
    ck_assert_ok(file_open(&file, path));
    ck_assert_ok(file_map(&file));
    ck_assert_mem_eq(file.bytes, "new\0!\0\0", 7);
    file_close(&file);
    ck_assert_uint_eq(files_in_directory(), 1);
    ck_assert_uint_eq(counting.out, 0);
}
END_TEST

START_TEST(a_discarded_output_leaves_the_old_file)
{
    struct output first, second;
    const char *path = in_directory("out");
    write_text(path, "old");
    ck_assert_ok(output_open(&first, path, &memory_default_allocator));
    ck_assert_ok(output_open(&second, path, &memory_default_allocator));
    ck_assert_str_ne(first.temporary, second.temporary);
    ck_assert_ok(output_write(&first, "new", 3));
    output_discard(&first);
    output_discard(&first);
    output_discard(&second);
    expect_text(path, "old");
    ck_assert_uint_eq(files_in_directory(), 1);
}
END_TEST

START_TEST(outputs_that_cannot_be_made_fail_at_once)
{
    struct output output;
    ck_assert_status(output_open(&output, in_directory("no/such"), &memory_default_allocator),
                     LCKV_IO);
    output_discard(&output);
    ck_assert_status(output_open(&output, "/dev/null", &memory_default_allocator), LCKV_IO);
    ck_assert_error_has("/dev/null");
    output_discard(&output);
    ck_assert_status(output_open(&output, directory, &memory_default_allocator), LCKV_IO);
}
END_TEST

START_TEST(a_failed_commit_leaves_no_temporary)
{
    struct output output;
    const char *path = in_directory("out");
    ck_assert_ok(output_open(&output, path, &memory_default_allocator));
    ck_assert_int_eq(mkdir(path, 0700), 0); /* a rename cannot replace a directory */
    ck_assert_status(output_commit(&output), LCKV_IO);
    output_discard(&output);
    ck_assert_uint_eq(files_in_directory(), 1);
}
END_TEST

static void add_messages(Suite *suite)
{
    TCase *tcase = tcase_create("messages");
    tcase_add_test(tcase, fail_stores_the_message_and_returns_the_status);
    tcase_add_test(tcase, fail_in_puts_the_context_before_the_message);
    tcase_add_test(tcase, a_message_may_quote_the_last_one);
    tcase_add_test(tcase, long_messages_are_cut_at_a_whole_character);
    tcase_add_test(tcase, each_thread_has_its_own_message);
    tcase_add_test(tcase, statuses_have_names);
    tcase_add_loop_test(tcase, quoted_text_is_printable, 0, sizeof quotes / sizeof quotes[0]);
    tcase_add_test(tcase, quoted_text_is_cut_to_its_buffer);
    tcase_add_test(tcase, a_failure_keeps_the_message_of_a_failed_call);
    suite_add_tcase(suite, tcase);
}

static void add_memory(Suite *suite)
{
    TCase *tcase = tcase_create("memory");
    tcase_add_test(tcase, allocations_are_zeroed_aligned_and_given_back_with_their_size);
    tcase_add_test(tcase, refused_and_overflowing_allocations_say_for_what);
    tcase_add_test(tcase, growing_keeps_contents_and_zeroes_the_rest);
    tcase_add_test(tcase, allocators_are_checked);
    tcase_add_test(tcase, checked_arithmetic_refuses_to_wrap);
    tcase_add_test(tcase, arena_allocations_are_zeroed_aligned_and_apart);
    tcase_add_test(tcase, arena_failures_leave_it_usable);
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

static void add_files(Suite *suite)
{
    TCase *tcase = tcase_create("files");
    tcase_add_checked_fixture(tcase, make_directory, remove_directory);
    tcase_add_test(tcase, a_file_is_read_and_mapped);
    tcase_add_test(tcase, memory_is_a_file_too);
    tcase_add_test(tcase, reads_beyond_the_end_are_truncations);
    tcase_add_test(tcase, an_empty_file_maps_as_nothing);
    tcase_add_test(tcase, only_regular_files_open);
    tcase_add_test(tcase, whole_files_are_limited);
    tcase_add_test(tcase, an_output_replaces_the_file_when_it_is_complete);
    tcase_add_test(tcase, a_discarded_output_leaves_the_old_file);
    tcase_add_test(tcase, outputs_that_cannot_be_made_fail_at_once);
    tcase_add_test(tcase, a_failed_commit_leaves_no_temporary);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("base", add_messages, add_memory, add_reader, add_files)
