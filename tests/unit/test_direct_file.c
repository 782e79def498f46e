/*
 * Reads past the page cache: at any block, to the end of the file, and where they are refused.
 */
#include "base/direct_file.h"

#include "folder.h"
#include "reads.h"
#include "support.h"

enum { BLOCK = DIRECT_ALIGNMENT, LENGTH = 5 * BLOCK + 1000 };

static uint8_t content[LENGTH];
static _Alignas(DIRECT_ALIGNMENT) uint8_t buffer[8 * BLOCK];
static char path[FOLDER_PATH];

static void set_up(void)
{
    folder_make();
    folder_join(path, "file");
    for (size_t i = 0; i < sizeof content; i++)
        content[i] = (uint8_t)(i * 31 + i / 251);
    folder_write("file", content, sizeof content);
}

static void tear_down(void)
{
    reads_reset();
    folder_remove();
}

static struct direct_file open_direct(void)
{
    struct file file;
    struct direct_file direct;
    ck_assert_ok(file_open(&file, path));
    ck_assert_ok(direct_file_open(&direct, &file));
    file_close(&file);
    return direct;
}

static void check_reads(struct direct_file *direct)
{
    for (size_t begin = 0; begin < LENGTH; begin += BLOCK) {
        for (size_t end = begin + BLOCK; end < LENGTH + BLOCK; end += BLOCK) {
            size_t needed = (end < LENGTH ? end : LENGTH) - begin;
            memset(buffer, 0, sizeof buffer);
            ck_assert_ok(direct_file_read(direct, begin, buffer, end - begin, needed));
            ck_assert_mem_eq(buffer, content + begin, needed);
        }
    }
    ck_assert_status(direct_file_read(direct, 4 * BLOCK, buffer, 2 * BLOCK, BLOCK + 1001), LCKV_IO);
    ck_assert_error_has("ends before byte 21481 now");
    ck_assert_status(direct_file_read(direct, 8 * BLOCK, buffer, BLOCK, 1), LCKV_IO);
    ck_assert_error_has("ends before byte 32769 now");
}

START_TEST(whole_blocks_and_the_end_are_read)
{
    struct direct_file direct = open_direct();
    check_reads(&direct);
    direct_file_close(&direct);
    direct_file_close(&direct);
}
END_TEST

START_TEST(refused_direct_reads_go_through_the_page_cache)
{
    struct direct_file direct = open_direct();
    reads.no_direct = true;
    check_reads(&direct);
    ck_assert_int_gt(reads.n_buffered, 20);
    ck_assert(!direct.direct);
    direct_file_close(&direct);
}
END_TEST

/* In /dev/shm, which some systems refuse direct reads for. */
START_TEST(any_file_system_is_read)
{
    struct file file;
    struct direct_file direct;
    char elsewhere[] = "/dev/shm/lckv-direct-XXXXXX";
    int descriptor = mkstemp(elsewhere);
    if (descriptor < 0)
        return;
    ck_assert_int_eq(write(descriptor, content, LENGTH), LENGTH);
    close(descriptor);
    ck_assert_ok(file_open(&file, elsewhere));
    ck_assert_ok(direct_file_open(&direct, &file));
    file_close(&file);
    unlink(elsewhere);
    check_reads(&direct);
    direct_file_close(&direct);
}
END_TEST

START_TEST(another_file_of_that_name_is_refused)
{
    struct file file;
    struct direct_file direct;
    ck_assert_ok(file_open(&file, path));
    ck_assert_int_eq(rename(path, folder_path("old")), 0);
    ck_assert_status(direct_file_open(&direct, &file), LCKV_IO);
    ck_assert_error_has("cannot open");
    ck_assert_int_eq(direct.descriptor, -1);
    folder_write("file", content, sizeof content);
    ck_assert_status(direct_file_open(&direct, &file), LCKV_IO);
    ck_assert_error_has("another file took its place");
    ck_assert_int_eq(direct.descriptor, -1);
    file_close(&file);
}
END_TEST

START_TEST(a_failing_disk_is_reported)
{
    struct direct_file direct = open_direct();
    reads.fail_from = BLOCK;
    ck_assert_ok(direct_file_read(&direct, 0, buffer, BLOCK, BLOCK));
    ck_assert_status(direct_file_read(&direct, BLOCK, buffer, BLOCK, BLOCK), LCKV_IO);
    ck_assert_error_has("/file: cannot read: Input/output error");
    direct_file_close(&direct);
}
END_TEST

static void add_all(Suite *suite)
{
    TCase *tcase = tcase_create("direct files");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, whole_blocks_and_the_end_are_read);
    tcase_add_test(tcase, refused_direct_reads_go_through_the_page_cache);
    tcase_add_test(tcase, any_file_system_is_read);
    tcase_add_test(tcase, another_file_of_that_name_is_refused);
    tcase_add_test(tcase, a_failing_disk_is_reported);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("direct_file", add_all)
