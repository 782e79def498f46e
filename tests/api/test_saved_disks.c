/*
 * Disks that are full at any byte, and files that were cut at any: whatever could not be saved or
 * restored, nothing is lost.
 */
#include "saved_support.h"

#include "folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <unistd.h>

/* _i of the tests: 0: an ordinary cache, 1: one with a context window, which text passes. */
static lckv_cache *make_kind(const lckv_model *model, int kind)
{
    return make_cache(model, (lckv_cache_options){.n_threads = 1,
                                                  .n_tokens = 2048,
                                                  .max_sessions = 8,
                                                  .rollback = 8,
                                                  .context_window = kind == 0 ? 0 : 40});
}

/* Both sessions go on alike. */
static void assert_go_on_alike(lckv_session *a, lckv_session *b, lckv_cache *cache)
{
    float ours[N_VOCAB], theirs[N_VOCAB];
    ck_assert_uint_eq(length_of(a), length_of(b));
    append(a, cache, 300, 320, ours);
    append(b, cache, 300, 320, theirs);
    ck_assert_mem_eq(ours, theirs, sizeof ours);
}

static void assert_unchanged(lckv_cache *cache, const lckv_cache_stats *before)
{
    const lckv_cache_stats stats = stats_of(cache);
    ck_assert_mem_eq(&stats, before, sizeof stats);
}

/* ---- Callbacks ---- */

struct disk {
    struct bytes bytes;
    size_t room;
};

/* Takes what fits, as a full disk does. */
static int32_t put_on_disk(void *user, const void *data, size_t length)
{
    struct disk *disk = user;
    const size_t left = disk->room - disk->bytes.length, n = length < left ? length : left;
    if (n > 0)
        put(&disk->bytes, data, n);
    return n == length ? 0 : ENOSPC;
}

/* The program's own file on a device that is always full. */
static int32_t put_in_file(void *user, const void *data, size_t length)
{
    const int *descriptor = user;
    return write(*descriptor, data, length) == (ssize_t)length ? 0 : errno;
}

START_TEST(a_disk_may_be_full_at_any_byte)
{
    float logits[N_VOCAB];
    lckv_model *model = open_golden(DOWNWARD, 0);
    lckv_cache *cache = make_kind(model, _i);
    lckv_session *session = make_session(cache), *restored = NULL;
    append(session, cache, 0, 100, logits);
    struct bytes whole = save(&session, 1);
    const lckv_cache_stats before = stats_of(cache);
    const size_t step = getenv("LCKV_TEST_SHORT") != NULL ? 97 : 7;
    for (size_t room = 0; room < whole.length; room += room < 40 ? 1 : step) {
        struct disk disk = {.room = room};
        ck_assert_status(lckv_sessions_save(&session, 1, put_on_disk, &disk, NULL), LCKV_IO);
        ck_assert_error_has("returned 28");
        ck_assert_uint_le(disk.bytes.length, room);
        assert_unchanged(cache, &before);
        free(disk.bytes.data);
    }
    int full = open("/dev/full", O_WRONLY);
    ck_assert_int_ge(full, 0);
    ck_assert_status(lckv_sessions_save(&session, 1, put_in_file, &full, NULL), LCKV_IO);
    close(full);
    ck_assert_status(lckv_sessions_save_file(&session, 1, "/dev/full", NULL), LCKV_IO);
    ck_assert_error_has("no regular file");
    assert_unchanged(cache, &before);
    struct disk disk = {.room = whole.length};
    ck_assert_ok(lckv_sessions_save(&session, 1, put_on_disk, &disk, NULL));
    ck_assert_uint_eq(disk.bytes.length, whole.length);
    ck_assert_mem_eq(disk.bytes.data, whole.data, whole.length);
    restore(cache, &disk.bytes, &restored, 1);
    assert_go_on_alike(session, restored, cache);
    lckv_session_release(session);
    lckv_session_release(restored);
    lckv_cache_release(cache);
    lckv_model_release(model);
    free(whole.data);
    free(disk.bytes.data);
}
END_TEST

/* ---- Files ---- */

static size_t files_in_folder(void)
{
    size_t n_files = 0;
    DIR *entries = opendir(folder);
    ck_assert_ptr_nonnull(entries);
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;)
        n_files += entry->d_name[0] != '.';
    closedir(entries);
    return n_files;
}

/* Saves while files can have at most `room` bytes, also those in which Check notes assertions. */
static lckv_status save_into(lckv_session *session, const char *path, size_t room)
{
    struct rlimit before;
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    const struct rlimit limit = {.rlim_cur = room, .rlim_max = before.rlim_max};
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    const bool is_limited = setrlimit(RLIMIT_FSIZE, &limit) == 0;
    const lckv_status status = lckv_sessions_save_file(&session, 1, path, NULL);
    const bool is_free = setrlimit(RLIMIT_FSIZE, &before) == 0;
    signal(SIGXFSZ, handler);
    ck_assert(is_limited && is_free);
    return status;
}

/* The system takes a part of the file only. The old file stays, and nothing is left beside it. */
START_TEST(a_file_may_be_full_at_any_byte)
{
    float logits[N_VOCAB];
    lckv_model *model = open_golden(UPWARD, 0);
    lckv_cache *cache = make_kind(model, _i);
    lckv_session *session = make_session(cache), *restored = NULL;
    size_t n = 0, n_old = 0, n_found = 0;
    const char *path = folder_path("saved");
    append(session, cache, 0, 20, logits);
    ck_assert_ok(lckv_sessions_save_file(&session, 1, path, NULL));
    char *old = read_whole(path, &n_old);
    append(session, cache, 20, 270, logits);
    struct bytes whole = save(&session, 1);
    const lckv_cache_stats before = stats_of(cache);
    for (size_t room = 0; room < whole.length; room += whole.length / 50 + 1) {
        ck_assert_status(save_into(session, path, room), LCKV_IO);
        ck_assert_error_has("saved: cannot write: File too large");
        ck_assert_uint_eq(files_in_folder(), 1);
        char *found = read_whole(path, &n_found);
        ck_assert_uint_eq(n_found, n_old);
        ck_assert_mem_eq(found, old, n_old);
        free(found);
        assert_unchanged(cache, &before);
    }
    ck_assert_status(save_into(session, path, whole.length - 1), LCKV_IO);
    ck_assert_ok(lckv_sessions_restore_file(cache, path, NULL, &restored, 1, &n));
    ck_assert_uint_eq(length_of(restored), 20);
    lckv_session_release(restored);
    ck_assert_ok(save_into(session, path, whole.length));
    ck_assert_ok(lckv_sessions_restore_file(cache, path, NULL, &restored, 1, &n));
    assert_go_on_alike(session, restored, cache);
    lckv_session_release(session);
    lckv_session_release(restored);
    lckv_cache_release(cache);
    lckv_model_release(model);
    free(old);
    free(whole.data);
}
END_TEST

/* The sessions that the cache has stay as they are, and so does what is left of the file. */
START_TEST(a_file_that_was_cut_is_refused)
{
    float logits[N_VOCAB];
    struct stat facts;
    lckv_model *model = open_golden(DOWNWARD, 0);
    lckv_cache *cache = make_kind(model, _i);
    lckv_session *session = make_session(cache), *restored = NULL;
    size_t n = 77;
    const char *path = folder_path("saved");
    append(session, cache, 0, 100, logits);
    struct bytes whole = save(&session, 1);
    folder_write("saved", whole.data, whole.length);
    const lckv_cache_stats before = stats_of(cache);
    for (size_t left = whole.length - 1;; left = left % 100 != 0 ? left - left % 100 : left - 100) {
        ck_assert_int_eq(truncate(path, (off_t)left), 0);
        ck_assert_status(lckv_sessions_restore_file(cache, path, NULL, &restored, 1, &n),
                         LCKV_BAD_FORMAT);
        ck_assert_error_has("/saved: ");
        ck_assert_ptr_null(restored);
        ck_assert_uint_eq(n, 77);
        assert_unchanged(cache, &before);
        ck_assert_int_eq(stat(path, &facts), 0);
        ck_assert_uint_eq((size_t)facts.st_size, left);
        if (left == 0)
            break;
    }
    restore(cache, &whole, &restored, 1);
    assert_go_on_alike(session, restored, cache);
    lckv_session_release(session);
    lckv_session_release(restored);
    lckv_cache_release(cache);
    lckv_model_release(model);
    free(whole.data);
}
END_TEST

static void add_all(Suite *suite)
{
    TCase *tcase = tcase_create("disks");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, folder_make, folder_remove);
    tcase_add_loop_test(tcase, a_disk_may_be_full_at_any_byte, 0, 2);
    tcase_add_loop_test(tcase, a_file_may_be_full_at_any_byte, 0, 2);
    tcase_add_loop_test(tcase, a_file_that_was_cut_is_refused, 0, 2);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("disks", add_all)
