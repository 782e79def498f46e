/*
 * CPU quotas of control groups, from files as Linux writes them.
 */
#include "base/quota.h"

#include <stdio.h>
#include <sys/stat.h>

#include "folder.h"
#include "support.h"

/* Writes a file of the folder, with the folder's path for %s. */
static void put(const char *name, const char *format)
{
    char path[FOLDER_PATH];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fprintf(file, format, folder, folder);
    ck_assert_int_eq(fclose(file), 0);
}

static void put_folder(const char *name)
{
    char path[FOLDER_PATH];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    ck_assert_int_eq(mkdir(path, 0700), 0);
}

START_TEST(version_2)
{
    static const struct {
        const char *own, *above;
        uint32_t expected;
    } cases[] = {
        {"max 100000\n", "max 100000\n", UINT32_MAX},
        {"100000 100000\n", "max 100000\n", 1},
        {"50000 100000\n", "max 100000\n", 1}, /* less than one counts as one */
        {"250000 100000\n", "max 100000\n", 2},
        {"800000 100000\n", "300000 100000\n", 3}, /* the group above limits it, too */
        {"300000 100000\n", "800000 100000\n", 3},
        {"", "400000 100000\n", 4}, /* junk is no limit */
        {"x\n", "400000\n", UINT32_MAX},
        {"100000 0\n", "max 100000\n", UINT32_MAX},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        folder_make();
        put_folder("above");
        put_folder("above/own");
        put("cgroup", "0::/above/own\n");
        put("mountinfo", "24 1 0:22 / /proc rw - proc proc rw\n"
                         "41 31 0:38 / %s rw,relatime shared:9 - cgroup2 cgroup2 rw\n");
        put("above/own/cpu.max", cases[i].own);
        put("above/cpu.max", cases[i].above);
        ck_assert_uint_eq(quota_processors(folder), cases[i].expected);
        folder_remove();
    }
}
END_TEST

START_TEST(version_1)
{
    folder_make();
    put_folder("cpu");
    put_folder("cpu/job");
    put("cgroup", "3:cpuset:/\n2:cpu,cpuacct:/docker/box/job\n1:name=systemd:/x\n0::/\n");
    /* A container: its group is what is mounted. */
    put("mountinfo", "30 1 0:28 /docker/box %s/cpuset rw - cgroup cgroup rw,cpuset\n"
                     "32 1 0:29 /docker/box %s/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct\n");
    ck_assert_uint_eq(quota_processors(folder), UINT32_MAX);
    put("cpu/job/cpu.cfs_quota_us", "-1\n");
    put("cpu/job/cpu.cfs_period_us", "100000\n");
    ck_assert_uint_eq(quota_processors(folder), UINT32_MAX);
    put("cpu/job/cpu.cfs_quota_us", "350000\n");
    ck_assert_uint_eq(quota_processors(folder), 3);
    put("cpu/cpu.cfs_quota_us", "200000\n");
    put("cpu/cpu.cfs_period_us", "100000\n");
    ck_assert_uint_eq(quota_processors(folder), 2);
    /* The group is not below what is mounted: only the quota of the mount is known. */
    put("cgroup", "2:cpu,cpuacct:/docker/boxes/job\n");
    ck_assert_uint_eq(quota_processors(folder), 2);
    folder_remove();
}
END_TEST

START_TEST(what_is_not_there_is_no_limit)
{
    folder_make();
    ck_assert_uint_eq(quota_processors(folder), UINT32_MAX);
    put("cgroup", "0::/\n");
    ck_assert_uint_eq(quota_processors(folder), UINT32_MAX);
    put("mountinfo", "\n41 31\n41 31 0:38 / %s rw - \n41 31 0:38 / %s rw\n");
    ck_assert_uint_eq(quota_processors(folder), UINT32_MAX);
    folder_remove();
    ck_assert_uint_ge(quota_processors(QUOTA_PROC), 1);
}
END_TEST

/* A line longer than the buffer is passed over, its end, too; the next one is read. */
START_TEST(long_lines)
{
    static char text[20000];
    folder_make();
    put("cpu.max", "500000 100000\n");
    put_folder("other");
    put("other/cpu.max", "200000 100000\n");
    put("mountinfo", "41 31 0:38 / %s rw - cgroup2 cgroup2 rw\n");
    for (size_t length = 4080; length < 4100; length++) {
        for (size_t more = 0; more <= 8192; more += 4096) {
            memset(text, 'x', length + more);
            strcpy(text + length + more, "0::/other\n0::/\n");
            put("cgroup", text);
            ck_assert_uint_eq(quota_processors(folder), 5);
        }
    }
    folder_remove();
}
END_TEST

static void add_all(Suite *suite)
{
    const TTest *const tests[] = {version_2, version_1, what_is_not_there_is_no_limit, long_lines};
    add_tests(suite, "quota", tests, COUNT(tests));
}

TEST_MAIN("quota", add_all)
