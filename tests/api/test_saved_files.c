/*
 * How saved sessions are written and read: callbacks, notes, progress, cancelling, arguments, and
 * files that replace others only when they are whole.
 */
#include "saved_support.h"

#include "folder.h"

#include <stdbool.h>
#include <sys/stat.h>

/* ---- Callbacks, notes, files ---- */

static int32_t collect(void *user, const void *data, size_t length)
{
    return put(user, data, length);
}

static int32_t refuse_note(void *user, const void *data, size_t length)
{
    (void)user, (void)data, (void)length;
    return 1;
}

struct watch {
    lckv_cache *cache;
    lckv_session *session;
    uint64_t calls, last, total, stop_at;
    bool cancels;
};

static int32_t watch_progress(void *user, uint64_t done, uint64_t total)
{
    struct watch *watch = user;
    uint64_t length;
    ck_assert_uint_gt(done, watch->last);
    ck_assert_uint_le(done, total);
    watch->calls++;
    watch->last = done;
    watch->total = total;
    /* The cache is busy, but answers questions. */
    ck_assert_status(lckv_session_truncate(watch->session, 0), LCKV_BUSY);
    ck_assert_ok(lckv_session_length(watch->session, &length));
    if (watch->cancels)
        lckv_cache_cancel(watch->cache);
    return watch->stop_at != 0 && watch->calls >= watch->stop_at;
}

START_TEST(progress_and_cancel)
{
    float logits[N_VOCAB];
    lckv_model *model = open_golden(DOWNWARD, 0);
    lckv_cache *cache = make_paged(model, 64);
    lckv_session *session = make_session(cache), *restored = NULL;
    size_t n = 0;
    append(session, cache, 0, 500, logits);
    struct watch watch = {.cache = cache, .session = session};
    lckv_save_options saving = {
        .size = sizeof saving, .progress = watch_progress, .progress_user = &watch};
    struct bytes bytes = {0}, other = {0};
    ck_assert_ok(lckv_sessions_save(&session, 1, put, &bytes, &saving));
    uint64_t per_token = stats_of(cache).bytes_per_token;
    ck_assert_uint_eq(watch.total, 500 * per_token);
    ck_assert_uint_eq(watch.last, watch.total);
    ck_assert_uint_gt(watch.calls, 2);
    lckv_restore_options restoring = {
        .size = sizeof restoring, .progress = watch_progress, .progress_user = &watch};
    for (int way = 0; way < 5; way++) {
        lckv_cache_stats before = stats_of(cache);
        watch = (struct watch){.cache = cache,
                               .session = session,
                               .stop_at = way == 1 || way == 2 ? 2 : 0,
                               .cancels = way >= 3};
        bytes.at = 0;
        lckv_status status =
            way % 2 == 0 && way > 0
                ? lckv_sessions_save(&session, 1, put, &other, &saving)
                : lckv_sessions_restore(cache, get, &bytes, &restoring, &restored, 1, &n);
        if (way == 0) {
            ck_assert_ok(status);
            ck_assert_uint_eq(watch.last, watch.total);
            lckv_session_release(restored);
            continue;
        }
        ck_assert_status(status, LCKV_CANCELLED);
        lckv_cache_stats after = stats_of(cache);
        ck_assert_uint_eq(before.n_pages_free, after.n_pages_free);
        ck_assert_uint_eq(before.n_sessions, after.n_sessions);
    }
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
    free(bytes.data);
    free(other.data);
}
END_TEST

/* What sessions share is written once, and the progress counts it once. */
START_TEST(progress_ends_at_its_total)
{
    float logits[N_VOCAB];
    lckv_model *model = open_golden(DOWNWARD, 0);
    lckv_cache *cache = make_paged(model, 64);
    lckv_session *pair[2] = {make_session(cache)};
    append(pair[0], cache, 0, 100, logits);
    ck_assert_ok(lckv_session_fork(pair[0], &pair[1]));
    append(pair[1], cache, 100, 130, logits);
    struct watch watch = {.cache = cache, .session = pair[0]};
    const lckv_save_options saving = {
        .size = sizeof saving, .progress = watch_progress, .progress_user = &watch};
    struct bytes bytes = {0};
    ck_assert_ok(lckv_sessions_save(pair, 2, put, &bytes, &saving));
    ck_assert_uint_gt(watch.calls, 0);
    ck_assert_uint_eq(watch.last, watch.total);
    release_all(pair, 2);
    lckv_cache_release(cache);
    lckv_model_release(model);
    free(bytes.data);
}
END_TEST

static int32_t stop_reading(void *user, void *data, size_t length, size_t *n_read)
{
    (void)user, (void)data, (void)length, (void)n_read;
    return -3;
}

static int32_t lie_about_reading(void *user, void *data, size_t length, size_t *n_read)
{
    (void)user, (void)data;
    *n_read = length + 1;
    return 0;
}

START_TEST(callbacks_may_fail_and_give_little)
{
    float logits[N_VOCAB];
    char note[100000];
    lckv_model *model = open_golden(UPWARD, 0);
    lckv_cache *cache = make_paged(model, 64);
    lckv_session *session = make_session(cache), *restored = NULL;
    size_t n = 0;
    for (size_t i = 0; i < sizeof note; i++)
        note[i] = (char)(i * 7);
    append(session, cache, 0, 100, logits);
    lckv_save_options saving = {.size = sizeof saving, .note = note, .note_length = sizeof note};
    struct bytes bytes = {0}, noted = {0}, full = {.fails_from = 70000};
    ck_assert_ok(lckv_sessions_save(&session, 1, put, &bytes, &saving));
    ck_assert_status(lckv_sessions_save(&session, 1, put, &full, &saving), LCKV_IO);
    ck_assert_error_has("returned 28");
    lckv_restore_options restoring = {
        .size = sizeof restoring, .note = collect, .note_user = &noted};
    put(&bytes, "more", 4); /* other things may follow */
    bytes.piece = 7;
    ck_assert_ok(lckv_sessions_restore(cache, get, &bytes, &restoring, &restored, 1, &n));
    ck_assert_uint_eq(bytes.length - bytes.at, 4);
    ck_assert_uint_eq(noted.length, sizeof note);
    ck_assert_mem_eq(noted.data, note, sizeof note);
    assert_alike(session, cache, restored, cache);
    lckv_session_release(restored);
    restore(cache, &bytes, &restored, 1); /* the note is skipped */
    lckv_session_release(restored);
    bytes.at = 0;
    restoring.note = refuse_note;
    ck_assert_status(lckv_sessions_restore(cache, get, &bytes, &restoring, &restored, 1, &n),
                     LCKV_CANCELLED);
    ck_assert_status(lckv_sessions_restore(cache, stop_reading, NULL, NULL, &restored, 1, &n),
                     LCKV_IO);
    ck_assert_error_has("returned -3");
    ck_assert_status(lckv_sessions_restore(cache, lie_about_reading, NULL, NULL, &restored, 1, &n),
                     LCKV_INVALID_ARGUMENT);
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
    free(bytes.data);
    free(noted.data);
    free(full.data);
}
END_TEST

START_TEST(arguments_are_checked)
{
    lckv_model *model = open_golden(UPWARD, 0);
    lckv_cache *cache = make_paged(model, 64), *elsewhere = make_paged(model, 64);
    lckv_session *session = make_session(cache), *pair[] = {session, make_session(elsewhere)};
    lckv_session *with_null[] = {session, NULL}, *restored[2];
    struct bytes bytes = {0};
    size_t n = 0;
    ck_assert_status(lckv_sessions_save(NULL, 1, put, &bytes, NULL), LCKV_INVALID_ARGUMENT);
    ck_assert_status(lckv_sessions_save(&session, 0, put, &bytes, NULL), LCKV_INVALID_ARGUMENT);
    ck_assert_status(lckv_sessions_save(&session, 1, NULL, NULL, NULL), LCKV_INVALID_ARGUMENT);
    ck_assert_status(lckv_sessions_save(with_null, 2, put, &bytes, NULL), LCKV_INVALID_ARGUMENT);
    ck_assert_status(lckv_sessions_save(pair, 2, put, &bytes, NULL), LCKV_INVALID_ARGUMENT);
    ck_assert_error_has("session 1 belongs to another cache");
    ck_assert_status(lckv_sessions_save_file(&session, 1, NULL, NULL), LCKV_INVALID_ARGUMENT);
    lckv_save_options saving = {.size = sizeof saving, .note_length = 5};
    ck_assert_status(lckv_sessions_save(&session, 1, put, &bytes, &saving), LCKV_INVALID_ARGUMENT);
    bytes = save(&session, 1);
    ck_assert_status(lckv_sessions_restore(NULL, get, &bytes, NULL, restored, 1, &n),
                     LCKV_INVALID_ARGUMENT);
    ck_assert_status(lckv_sessions_restore(cache, NULL, &bytes, NULL, restored, 1, &n),
                     LCKV_INVALID_ARGUMENT);
    ck_assert_status(lckv_sessions_restore(cache, get, &bytes, NULL, NULL, 1, &n),
                     LCKV_INVALID_ARGUMENT);
    ck_assert_status(lckv_sessions_restore(cache, get, &bytes, NULL, restored, 1, NULL),
                     LCKV_INVALID_ARGUMENT);
    ck_assert_status(lckv_sessions_restore_file(cache, NULL, NULL, restored, 1, &n),
                     LCKV_INVALID_ARGUMENT);
    lckv_restore_options restoring = {.size = sizeof restoring, .any_kernels = 2};
    ck_assert_status(lckv_sessions_restore(cache, get, &bytes, &restoring, restored, 1, &n),
                     LCKV_INVALID_ARGUMENT);
    restoring = (lckv_restore_options){.size = sizeof restoring, .reserved = 1};
    ck_assert_status(lckv_sessions_restore(cache, get, &bytes, &restoring, restored, 1, &n),
                     LCKV_INVALID_ARGUMENT);
    ck_assert_ok(lckv_save_options_init(&saving, sizeof saving));
    ck_assert_ok(lckv_restore_options_init(&restoring, sizeof restoring));
    ck_assert_status(restore_some(cache, &bytes, NULL, 0, &n), LCKV_BUFFER_TOO_SMALL);
    ck_assert_uint_eq(n, 1);
    lckv_session *others[7];
    for (size_t i = 0; i < COUNT(others); i++)
        others[i] = make_session(cache);
    ck_assert_status(restore_some(cache, &bytes, restored, 1, &n), LCKV_CACHE_FULL);
    ck_assert_error_has("8 of its 8");
    lckv_session_release(pair[0]);
    lckv_session_release(pair[1]);
    release_all(others, COUNT(others));
    lckv_cache_release(cache);
    lckv_cache_release(elsewhere);
    lckv_model_release(model);
    free(bytes.data);
}
END_TEST

START_TEST(files_replace_each_other_only_when_whole)
{
    float logits[N_VOCAB];
    struct stat facts;
    lckv_model *model = open_golden(UPWARD, 0);
    lckv_cache *cache = make_paged(model, 64);
    lckv_session *session = make_session(cache), *restored = NULL;
    size_t n = 0, length, length_after;
    const char *path = folder_path("saved");
    append(session, cache, 0, 100, logits);
    ck_assert_ok(lckv_sessions_save_file(&session, 1, path, NULL));
    ck_assert_ok(lckv_sessions_restore_file(cache, path, NULL, &restored, 1, &n));
    assert_alike(session, cache, restored, cache);
    lckv_session_release(restored);
    ck_assert_int_eq(chmod(path, 0600), 0);
    char *before = read_whole(path, &length);
    /* A save that fails leaves the old file, and nothing beside it. */
    struct watch watch = {.cache = cache, .session = session, .stop_at = 1};
    lckv_save_options saving = {
        .size = sizeof saving, .progress = watch_progress, .progress_user = &watch};
    append(session, cache, 100, 200, logits);
    ck_assert_status(lckv_sessions_save_file(&session, 1, path, &saving), LCKV_CANCELLED);
    char *after = read_whole(path, &length_after);
    ck_assert_uint_eq(length, length_after);
    ck_assert_mem_eq(before, after, length);
    free(after);
    ck_assert_int_eq(stat(folder, &facts), 0);
    ck_assert_ok(lckv_sessions_save_file(&session, 1, path, NULL));
    ck_assert_int_eq(stat(path, &facts), 0);
    ck_assert_int_eq(facts.st_mode & 0777, 0600);
    ck_assert_ok(lckv_sessions_restore_file(cache, path, NULL, &restored, 1, &n));
    ck_assert_uint_eq(length_of(restored), 200);
    lckv_session_release(restored);
    /* Nothing may follow in a file. */
    FILE *file = fopen(path, "ab");
    ck_assert_ptr_nonnull(file);
    fputc(0, file);
    fclose(file);
    ck_assert_status(lckv_sessions_restore_file(cache, path, NULL, &restored, 1, &n),
                     LCKV_BAD_FORMAT);
    ck_assert_error_has("1 bytes follow");
    ck_assert_error_has("/saved: ");
    ck_assert_status(lckv_sessions_restore_file(cache, folder_path("none"), NULL, &restored, 1, &n),
                     LCKV_IO);
    ck_assert_status(lckv_sessions_restore_file(cache, "README.md", NULL, &restored, 1, &n),
                     LCKV_BAD_FORMAT);
    ck_assert_error_has("no saved sessions");
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
    free(before);
}
END_TEST

static void add_all(Suite *suite)
{
    TCase *tcase = tcase_create("callbacks");
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, progress_and_cancel);
    tcase_add_test(tcase, progress_ends_at_its_total);
    tcase_add_test(tcase, callbacks_may_fail_and_give_little);
    tcase_add_test(tcase, arguments_are_checked);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("files");
    tcase_add_checked_fixture(tcase, folder_make, folder_remove);
    tcase_add_test(tcase, files_replace_each_other_only_when_whole);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("saved files", add_all)
