/*
 * CPU quotas of control groups. See quota.h.
 *
 * /proc/self/cgroup names the process's group in each hierarchy. /proc/self/mountinfo tells where
 * the hierarchies are mounted, and which group is at the root of each mount. The quota of a group
 * is a file in its directory, and the groups above it limit it too. A quota that cannot be read
 * counts as no limit.
 */
#include "base/quota.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PATH_BYTES 1024
#define LINE_BYTES 4096

/* Lines of a file of /proc; longer ones than LINE_BYTES are passed over. */
struct lines {
    int descriptor;
    size_t begin, end; /* of the bytes that were read, but not given out yet */
    char bytes[LINE_BYTES];
};

static bool lines_open(struct lines *lines, const char *directory, const char *name)
{
    char path[PATH_BYTES];
    int length = snprintf(path, sizeof path, "%s/%s", directory, name);
    lines->begin = lines->end = 0;
    lines->descriptor =
        length > 0 && (size_t)length < sizeof path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    return lines->descriptor >= 0;
}

/* The next line without its newline, NUL-terminated; NULL at the end, which closes the file. */
static char *lines_next(struct lines *lines)
{
    bool too_long = false;
    for (;;) {
        char *line = lines->bytes + lines->begin;
        char *newline = memchr(line, '\n', lines->end - lines->begin);
        if (newline != NULL) {
            *newline = '\0';
            lines->begin = (size_t)(newline - lines->bytes) + 1;
            if (!too_long)
                return line;
            too_long = false;
            continue;
        }
        if (lines->begin == 0 && lines->end == sizeof lines->bytes) {
            too_long = true;
            lines->end = 0;
        }
        memmove(lines->bytes, line, lines->end - lines->begin);
        lines->end -= lines->begin;
        lines->begin = 0;
        ssize_t n =
            read(lines->descriptor, lines->bytes + lines->end, sizeof lines->bytes - lines->end);
        if (n <= 0) {
            close(lines->descriptor);
            return NULL;
        }
        lines->end += (size_t)n;
    }
}

/* Cuts off the next word, which `separator` or the end of the text ends; NULL if there is none. */
static char *next_word(char **rest, char separator)
{
    char *word = *rest;
    if (word == NULL)
        return NULL;
    char *end = strchr(word, separator);
    if (end != NULL)
        *end++ = '\0';
    *rest = end;
    return word;
}

/* Whether `name` is one of the words of a list with commas. */
static bool lists(const char *list, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = list; at != NULL; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, name, length) == 0 && (at[length] == ',' || at[length] == '\0'))
            return true;
    }
    return false;
}

/* The group of this process, "/...". Lines are "hierarchy:controllers:path", in v2 "0::path". */
static bool find_group(const char *proc, bool v2, char *group)
{
    struct lines lines;
    bool found = false;
    if (!lines_open(&lines, proc, "cgroup"))
        return false;
    for (char *line = lines_next(&lines); line != NULL; line = lines_next(&lines)) {
        char *hierarchy = next_word(&line, ':'), *controllers = next_word(&line, ':');
        if (hierarchy == NULL || controllers == NULL || line == NULL || line[0] != '/')
            continue;
        bool wanted =
            v2 ? strcmp(hierarchy, "0") == 0 && controllers[0] == '\0' : lists(controllers, "cpu");
        if (wanted && !found && strlen(line) < PATH_BYTES) {
            memcpy(group, line, strlen(line) + 1);
            found = true;
        }
    }
    return found;
}

/*
 * Finds where the hierarchy is mounted, and the group at the root of that mount. A line is "id
 * parent device root mount options tags... - type source options".
 */
static bool find_mount(const char *proc, bool v2, char *root, char *mount)
{
    struct lines lines;
    bool found = false;
    if (!lines_open(&lines, proc, "mountinfo"))
        return false;
    for (char *line = lines_next(&lines); line != NULL; line = lines_next(&lines)) {
        char *words[5] = {NULL}, *rest = line, *tail = strstr(line, " - ");
        for (size_t i = 0; i < 5; i++)
            words[i] = next_word(&rest, ' ');
        if (words[4] == NULL || tail == NULL)
            continue;
        tail += 3;
        char *type = next_word(&tail, ' ');
        next_word(&tail, ' '); /* the source */
        bool wanted = v2 ? strcmp(type, "cgroup2") == 0
                         : strcmp(type, "cgroup") == 0 && tail != NULL && lists(tail, "cpu");
        if (wanted && !found && strlen(words[3]) < PATH_BYTES && strlen(words[4]) < PATH_BYTES) {
            memcpy(root, words[3], strlen(words[3]) + 1);
            memcpy(mount, words[4], strlen(words[4]) + 1);
            found = true;
        }
    }
    return found;
}

/* The first `n` whole numbers of a small file; "max" is -1. False if they are not there. */
static bool read_numbers(const char *directory, const char *name, int64_t *numbers, size_t n)
{
    char path[2 * PATH_BYTES + 32], text[64];
    int length = snprintf(path, sizeof path, "%s/%s", directory, name);
    if (length < 0 || (size_t)length >= sizeof path)
        return false;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return false;
    ssize_t n_read = read(descriptor, text, sizeof text - 1);
    close(descriptor);
    text[n_read > 0 ? n_read : 0] = '\0';
    char *rest = text;
    for (size_t k = 0; k < n; k++) {
        const char *word = next_word(&rest, ' ');
        bool unlimited = word != NULL && (strncmp(word, "max", 3) == 0 || word[0] == '-');
        if (word == NULL || (!unlimited && (word[0] < '0' || word[0] > '9')))
            return false;
        numbers[k] = unlimited ? -1 : 0;
        for (size_t i = 0; word[i] >= '0' && word[i] <= '9' && i < 15; i++)
            numbers[k] = numbers[k] * 10 + (word[i] - '0');
    }
    return true;
}

/* The number of whole processors that a group's own quota allows. */
static uint32_t quota_of(const char *directory, bool v2)
{
    int64_t quota_period[2];
    bool there = v2 ? read_numbers(directory, "cpu.max", quota_period, 2)
                    : read_numbers(directory, "cpu.cfs_quota_us", &quota_period[0], 1) &&
                          read_numbers(directory, "cpu.cfs_period_us", &quota_period[1], 1);
    if (!there || quota_period[0] < 0 || quota_period[1] <= 0)
        return UINT32_MAX;
    int64_t whole = quota_period[0] / quota_period[1];
    return whole < 1 ? 1 : whole < UINT32_MAX ? (uint32_t)whole : UINT32_MAX;
}

/* The least quota of the process's group and of those above it, as far as they are mounted. */
static uint32_t least_quota(const char *proc, bool v2)
{
    char group[PATH_BYTES], root[PATH_BYTES], directory[2 * PATH_BYTES];
    if (!find_group(proc, v2, group) || !find_mount(proc, v2, root, directory))
        return UINT32_MAX;
    const size_t mount_length = strlen(directory);
    size_t root_length = strcmp(root, "/") == 0 ? 0 : strlen(root);
    const char *below = group;
    /* In a container the group may lie outside of the mount: then its root is all there is. */
    if (strncmp(group, root, root_length) == 0 &&
        (group[root_length] == '/' || group[root_length] == '\0'))
        below += root_length;
    else
        below = "";
    memcpy(directory + mount_length, below, strlen(below) + 1);
    uint32_t least = UINT32_MAX;
    for (size_t length = strlen(directory); length >= mount_length;) {
        directory[length] = '\0';
        uint32_t quota = quota_of(directory, v2);
        least = quota < least ? quota : least;
        if (length == mount_length)
            break;
        while (length > mount_length && directory[--length] != '/')
            ;
    }
    return least;
}

uint32_t quota_processors(const char *proc)
{
    uint32_t v1 = least_quota(proc, false), v2 = least_quota(proc, true);
    return v1 < v2 ? v1 : v2;
}
