/*
 * Files are opened, read and mapped. Outputs replace a file when they are complete.
 */
#include "base/file.h"
#include "base/status.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "allocator.h"
#include "folder.h"
#include "support.h"

static void expect_text(const char *path, const char *expected)
{
    char *text;
    size_t length;
    ck_assert_ok(file_read_all(path, 1000, &memory_default_allocator, &text, &length));
    ck_assert_str_eq(text, expected);
    ck_assert_uint_eq(length, strlen(expected));
    memory_free(&memory_default_allocator, text, length + 1, 1);
}

static size_t files_in_folder(void)
{
    DIR *entries = opendir(folder);
    ck_assert_ptr_nonnull(entries);
    size_t n = 0;
    while (readdir(entries) != NULL)
        n++;
    closedir(entries);
    return n - 2; /* "." and ".." */
}

START_TEST(a_file_is_read_and_mapped)
{
    struct file file;
    char buffer[5] = "";
    const char *path = folder_path("a");
    folder_write_text("a", "0123456789");
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
    const char *path = folder_path("a");
    folder_write_text("a", "0123");
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
    const char *path = folder_path("empty");
    folder_write_text("empty", "");
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
    ck_assert_status(file_open(&file, folder_path("missing")), LCKV_IO);
    ck_assert_error_has("missing: cannot open: No such file");
    file_close(&file);
    ck_assert_status(file_open(&file, folder), LCKV_IO);
    ck_assert_error_has("expected a regular file, found a directory");
    ck_assert_int_eq(mkfifo(folder_path("pipe"), 0600), 0);
    ck_assert_status(file_open(&file, folder_path("pipe")), LCKV_IO);
    ck_assert_error_has("expected a regular file");
}
END_TEST

START_TEST(a_link_that_leads_nowhere_is_called_so)
{
    struct file file;
    ck_assert_int_eq(symlink("../blobs/gone", folder_path("link")), 0);
    ck_assert_status(file_open(&file, folder_path("link")), LCKV_IO);
    ck_assert_error_has(
        "/link: cannot open: the symbolic link leads to \"../blobs/gone\", which does "
        "not exist");
}
END_TEST

START_TEST(whole_files_are_limited)
{
    struct counting counting = {.n_allowed = 0};
    lckv_allocator allocator = counting_allocator(&counting);
    char *text;
    size_t length;
    const char *path = folder_path("a");
    folder_write_text("a", "0123");
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
    const char *path = folder_path("out");
    folder_write_text("out", "old");
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
    ck_assert_uint_eq(files_in_folder(), 1);
    ck_assert_uint_eq(counting.out, 0);
}
END_TEST

START_TEST(a_discarded_output_leaves_the_old_file)
{
    struct output first, second;
    const char *path = folder_path("out");
    folder_write_text("out", "old");
    ck_assert_ok(output_open(&first, path, &memory_default_allocator));
    ck_assert_ok(output_open(&second, path, &memory_default_allocator));
    ck_assert_str_ne(first.temporary, second.temporary);
    ck_assert_ok(output_write(&first, "new", 3));
    output_discard(&first);
    output_discard(&first);
    output_discard(&second);
    expect_text(path, "old");
    ck_assert_uint_eq(files_in_folder(), 1);
}
END_TEST

START_TEST(outputs_that_cannot_be_made_fail_at_once)
{
    struct output output;
    ck_assert_status(output_open(&output, folder_path("no/such"), &memory_default_allocator),
                     LCKV_IO);
    output_discard(&output);
    ck_assert_status(output_open(&output, "/dev/null", &memory_default_allocator), LCKV_IO);
    ck_assert_error_has("/dev/null");
    output_discard(&output);
    ck_assert_status(output_open(&output, folder, &memory_default_allocator), LCKV_IO);
}
END_TEST

static void write_output(const char *path, const char *text)
{
    struct output output;
    ck_assert_ok(output_open(&output, path, &memory_default_allocator));
    ck_assert_ok(output_write(&output, text, strlen(text)));
    ck_assert_ok(output_commit(&output));
}

static mode_t permissions(const char *path)
{
    struct stat facts;
    ck_assert_int_eq(stat(path, &facts), 0);
    return facts.st_mode & 07777;
}

/* They hold from the first byte on: the temporary file has them, too. */
START_TEST(an_output_keeps_the_permissions_of_the_file_that_it_replaces)
{
    static const mode_t modes[] = {0600, 0644, 0666, 0640, 0444};
    struct output output;
    const char *path = folder_path("out");
    mode_t mask = umask(022);
    folder_write_text("out", "old");
    ck_assert_int_eq(chmod(path, modes[_i]), 0);
    ck_assert_ok(output_open(&output, path, &memory_default_allocator));
    ck_assert_int_eq(permissions(output.temporary), modes[_i]);
    output_discard(&output);
    write_output(path, "new");
    ck_assert_int_eq(permissions(path), modes[_i]);
    expect_text(path, "new");
    write_output(folder_path("fresh"), "new");
    ck_assert_int_eq(permissions(folder_path("fresh")), 0644);
    umask(mask);
}
END_TEST

START_TEST(an_output_replaces_what_a_link_leads_to)
{
    static const char *const links[] = {"there/out", "there/second", "there/absolute"};
    struct stat facts;
    const char *link = folder_path("link"), *absolute = folder_path("there/absolute");
    ck_assert_int_eq(mkdir(folder_path("there"), 0700), 0);
    ck_assert_int_eq(symlink("out", folder_path("there/second")), 0);
    ck_assert_int_eq(symlink(folder_path("there/out"), absolute), 0);
    ck_assert_int_eq(symlink(links[_i], link), 0);
    write_output(link, "first"); /* there is no target yet */
    expect_text(folder_path("there/out"), "first");
    ck_assert_int_eq(chmod(folder_path("there/out"), 0600), 0);
    write_output(link, "second");
    expect_text(folder_path("there/out"), "second");
    ck_assert_int_eq(permissions(folder_path("there/out")), 0600);
    ck_assert_int_eq(lstat(link, &facts), 0);
    ck_assert(S_ISLNK(facts.st_mode));
    ck_assert_uint_eq(files_in_folder(), 2);
}
END_TEST

START_TEST(outputs_through_links_in_a_circle_fail)
{
    struct output output;
    ck_assert_int_eq(symlink("b", folder_path("a")), 0);
    ck_assert_int_eq(symlink("a", folder_path("b")), 0);
    ck_assert_status(output_open(&output, folder_path("a"), &memory_default_allocator), LCKV_IO);
    ck_assert_error_has("/a: cannot write: Too many levels of symbolic links");
    output_discard(&output);
}
END_TEST

/* The temporary name is not what the caller gave. */
START_TEST(messages_name_the_path_that_was_given)
{
    struct output output;
    const char *path = folder_path("no/out"), *out = folder_path("out");
    ck_assert_status(output_open(&output, path, &memory_default_allocator), LCKV_IO);
    ck_assert_error_has("/no/out: cannot create a file beside it: No such file or directory");
    ck_assert_ok(output_open(&output, out, &memory_default_allocator));
    close(output.descriptor);
    output.descriptor = open("/dev/full", O_WRONLY | O_CLOEXEC);
    ck_assert_status(output_write(&output, "new", 3), LCKV_IO);
    ck_assert_error_has("/out: cannot write: No space left on device");
    output_discard(&output);
    ck_assert_uint_eq(files_in_folder(), 0);
}
END_TEST

START_TEST(a_failed_commit_leaves_no_temporary)
{
    struct output output;
    const char *path = folder_path("out");
    ck_assert_ok(output_open(&output, path, &memory_default_allocator));
    ck_assert_int_eq(mkdir(path, 0700), 0); /* a rename cannot replace a directory */
    ck_assert_status(output_commit(&output), LCKV_IO);
    output_discard(&output);
    ck_assert_uint_eq(files_in_folder(), 1);
}
END_TEST

static void add_files(Suite *suite)
{
    TCase *tcase = tcase_create("files");
    tcase_add_checked_fixture(tcase, folder_make, folder_remove);
    tcase_add_test(tcase, a_file_is_read_and_mapped);
    tcase_add_test(tcase, memory_is_a_file_too);
    tcase_add_test(tcase, reads_beyond_the_end_are_truncations);
    tcase_add_test(tcase, an_empty_file_maps_as_nothing);
    tcase_add_test(tcase, only_regular_files_open);
    tcase_add_test(tcase, a_link_that_leads_nowhere_is_called_so);
    tcase_add_test(tcase, whole_files_are_limited);
    tcase_add_test(tcase, an_output_replaces_the_file_when_it_is_complete);
    tcase_add_test(tcase, a_discarded_output_leaves_the_old_file);
    tcase_add_test(tcase, outputs_that_cannot_be_made_fail_at_once);
    tcase_add_test(tcase, a_failed_commit_leaves_no_temporary);
    tcase_add_loop_test(tcase, an_output_keeps_the_permissions_of_the_file_that_it_replaces, 0, 5);
    tcase_add_loop_test(tcase, an_output_replaces_what_a_link_leads_to, 0, 3);
    tcase_add_test(tcase, outputs_through_links_in_a_circle_fail);
    tcase_add_test(tcase, messages_name_the_path_that_was_given);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("file", add_files)
