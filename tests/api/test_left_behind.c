/*
 * What stays behind after models are opened, used and released, in every kind of file and in every
 * way of holding weights: no byte of the allocator, no descriptor and no mapping of a file. It is
 * the same if any one allocation on the way is refused. Pools leave no thread.
 */
#include <dirent.h>
#include <stdbool.h>
#include <time.h>

#include "allocator.h"
#include "folder.h"
#include "sessions.h"

enum { N = 6 };

/* ---- What a process holds ---- */

static size_t count_descriptors(void)
{
    size_t n = 0;
    DIR *entries = opendir("/proc/self/fd");
    ck_assert_ptr_nonnull(entries);
    while (readdir(entries) != NULL)
        n++;
    closedir(entries);
    return n;
}

static size_t count_threads(void)
{
    size_t n = 0;
    DIR *entries = opendir("/proc/self/task");
    ck_assert_ptr_nonnull(entries);
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;)
        n += entry->d_name[0] != '.';
    closedir(entries);
    return n;
}

/* Linux may still list a thread for a moment after it was joined. */
static size_t count_threads_left(size_t n_expected)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    for (int i = 0; i < 2000 && count_threads() > n_expected; i++)
        nanosleep(&pause, NULL);
    return count_threads();
}

/* Mappings of files that models are read from. */
static size_t count_mappings(void)
{
    size_t n = 0;
    char line[4096];
    FILE *maps = fopen("/proc/self/maps", "r");
    ck_assert_ptr_nonnull(maps);
    while (fgets(line, sizeof line, maps) != NULL)
        n += strstr(line, "/tests/data/") != NULL || strstr(line, folder) != NULL;
    fclose(maps);
    return n;
}

/* ---- Ways of opening a model ---- */

static const char *const directories[] = {
    "goldens/lckv-w2",
    "architectures/gemma3",
    "architectures/gemma3n",
    "architectures/gemma4-inputs",
    "architectures/llama-longrope",
    "architectures/phi3",
    "architectures/qwen2",
};

enum file { DIRECTORY, PLAIN, PACKED, N_FILES };

/* The model in a file of this kind. False if it cannot be written so. */
static bool make_file(const char *directory, enum file kind, char path[FOLDER_PATH])
{
    char source[128];
    snprintf(source, sizeof source, "tests/data/%s", directory);
    if (kind == DIRECTORY) {
        snprintf(path, FOLDER_PATH, "%s", source);
        return true;
    }
    const lckv_convert_options options = {
        .size = sizeof options, .dtype = LCKV_DTYPE_F16, .packed = kind == PACKED};
    folder_join(path, kind == PACKED ? "packed.gguf" : "plain.gguf");
    return lckv_convert(source, path, &options, NULL) == LCKV_OK;
}

/* A session is evaluated, saved and restored. */
static lckv_status evaluate(const lckv_model *model)
{
    static const lckv_token tokens[N] = {1, 5, 9, 2, 30, 7};
    const lckv_cache_options options = {
        .size = sizeof options, .max_sessions = 2, .max_rows = 8, .n_threads = 1};
    lckv_cache *cache = NULL;
    lckv_session *session = NULL, *restored = NULL;
    size_t n_restored = 0;
    char saved[FOLDER_PATH];
    folder_join(saved, "saved");
    lckv_status status = lckv_cache_create(model, &options, &cache);
    if (status == LCKV_OK)
        status = lckv_session_create(cache, &session);
    const lckv_item item = {.session = session, .tokens = tokens, .n_tokens = N};
    if (status == LCKV_OK)
        status = lckv_evaluate(cache, &item, sizeof item, 1, NULL, NULL);
    if (status == LCKV_OK)
        status = lckv_sessions_save_file(&session, 1, saved, NULL);
    if (status == LCKV_OK)
        status = lckv_sessions_restore_file(cache, saved, NULL, &restored, 1, &n_restored);
    lckv_session_release(restored);
    lckv_session_release(session);
    lckv_cache_release(cache);
    return status;
}

/* Opens and evaluates, and releases everything. */
static lckv_status use(const char *path, lckv_weights weights, const lckv_allocator *allocator,
                       lckv_pool *pool)
{
    const lckv_model_options options = {
        .size = sizeof options, .allocator = allocator, .pool = pool, .weights = weights};
    lckv_model *model = NULL;
    lckv_status status = lckv_model_open(path, &options, &model);
    if (status == LCKV_OK && weights != LCKV_WEIGHTS_NONE)
        status = evaluate(model);
    lckv_model_release(model);
    return status;
}

static void check_nothing_is_left(const char *path, lckv_weights weights)
{
    const size_t n_descriptors = count_descriptors();
    struct counting counting = {.n_allowed = SIZE_MAX};
    const lckv_allocator allocator = counting_allocator(&counting);
    lckv_pool *pool;
    ck_assert_ok(lckv_pool_create(1, &pool));
    lckv_status status = use(path, weights, &allocator, pool);
    if (status == LCKV_UNSUPPORTED) /* cannot be streamed */
        ck_assert_int_eq(weights, LCKV_WEIGHTS_STREAMED);
    else
        ck_assert_ok(status);
    const lckv_status expected = status;
    ck_assert_uint_eq(counting.out, 0);
    for (size_t n = 0;; n++) {
        counting.n_allowed = n;
        status = use(path, weights, &allocator, pool);
        ck_assert_msg(counting.out == 0, "%s: refusing allocation %zu leaves %zu bytes", path, n,
                      (size_t)counting.out);
        ck_assert_uint_eq(count_mappings(), 0);
        ck_assert_uint_eq(count_descriptors(), n_descriptors);
        if (status == expected)
            break;
        ck_assert_status(status, LCKV_OUT_OF_MEMORY);
    }
    lckv_pool_release(pool);
}

START_TEST(nothing_is_left)
{
    char path[FOLDER_PATH];
    for (enum file kind = DIRECTORY; kind < N_FILES; kind++) {
        if (!make_file(directories[_i], kind, path))
            continue;
        check_nothing_is_left(path, LCKV_WEIGHTS_DEFAULT);
        if (kind != PACKED)
            continue;
        check_nothing_is_left(path, LCKV_WEIGHTS_COPIED);
        check_nothing_is_left(path, LCKV_WEIGHTS_STREAMED);
        check_nothing_is_left(path, LCKV_WEIGHTS_NONE);
    }
}
END_TEST

/* The last release ends the threads, which the first work begins. */
START_TEST(a_pool_ends_its_threads)
{
    const size_t n_before = count_threads();
    lckv_pool *pool;
    ck_assert_ok(lckv_pool_create(3, &pool));
    ck_assert_ok(use("tests/data/goldens/lckv-w2", LCKV_WEIGHTS_DEFAULT, NULL, pool));
    const size_t n_threads = count_threads();
    ck_assert_uint_gt(n_threads, n_before);
    lckv_pool_retain(pool);
    lckv_pool_release(pool);
    ck_assert_uint_eq(count_threads(), n_threads);
    lckv_pool_release(NULL);
    lckv_pool_release(pool);
    ck_assert_uint_eq(count_threads_left(n_before), n_before);
}
END_TEST

static void add_all(Suite *suite)
{
    TCase *tests = tcase_create("left behind");
    tcase_add_checked_fixture(tests, folder_make, folder_remove);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, nothing_is_left, 0, COUNT(directories));
    tcase_add_test(tests, a_pool_ends_its_threads);
    suite_add_tcase(suite, tests);
}

TEST_MAIN("left behind", add_all)
