/*
 * Files for tests: reads whole files, and makes a temporary folder under TMPDIR or /tmp for files
 * that a test writes. There is one folder at a time; folder_make and folder_remove are a checked
 * fixture, which may run several times in one process.
 */
#ifndef LCKV_TESTS_FOLDER_H
#define LCKV_TESTS_FOLDER_H

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FOLDER_PATH 512 /* bytes of a path in the folder */

static char folder[FOLDER_PATH / 2];

static inline void folder_make(void)
{
    const char *parent = getenv("TMPDIR");
    int length = snprintf(folder, sizeof folder, "%s/lckv-test-XXXXXX",
                          parent != NULL && parent[0] != '\0' ? parent : "/tmp");
    ck_assert_int_lt(length, (int)sizeof folder);
    ck_assert_msg(mkdtemp(folder) != NULL, "cannot make %s", folder);
}

static inline int folder_remove_entry(const char *path, const struct stat *facts, int type,
                                      struct FTW *place)
{
    (void)facts, (void)type, (void)place;
    return remove(path);
}

/* Removes the folder with everything in it, links and folders too. */
static inline void folder_remove(void)
{
    ck_assert_int_eq(nftw(folder, folder_remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* The path of a file in the folder. It is valid to the end of the block in which this is called. */
#define folder_path(name) folder_join((char[FOLDER_PATH]){""}, (name))
static inline const char *folder_join(char path[FOLDER_PATH], const char *name)
{
    ck_assert_int_lt(snprintf(path, FOLDER_PATH, "%s/%s", folder, name), FOLDER_PATH);
    return path;
}

static inline void folder_write(const char *name, const void *bytes, size_t length)
{
    FILE *file = fopen(folder_path(name), "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, length, file), length);
    ck_assert_int_eq(fclose(file), 0);
}

static inline void folder_write_text(const char *name, const char *text)
{
    folder_write(name, text, strlen(text));
}

/*
 * Reads all bytes of a file and puts a NUL behind them. The caller frees them; `length` may be
 * NULL.
 */
static inline char *read_whole(const char *path, size_t *length)
{
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "cannot open %s; tests run from the root of the repository", path);
    ck_assert_int_eq(fseek(file, 0, SEEK_END), 0);
    size_t size = (size_t)ftell(file);
    rewind(file);
    char *bytes = calloc(size + 1, 1);
    ck_assert_ptr_nonnull(bytes);
    ck_assert_uint_eq(fread(bytes, 1, size, file), size);
    fclose(file);
    if (length != NULL)
        *length = size;
    return bytes;
}

#endif
