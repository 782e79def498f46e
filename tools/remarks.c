/*
 * See remarks.h.
 */
#include "remarks.h"

#include "show.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void remarks_take(void *user, const char *text, size_t length)
{
    struct remarks *remarks = user;
    if (remarks->count == remarks->capacity) {
        size_t capacity = 2 * remarks->capacity + 16;
        char **lines = realloc(remarks->lines, capacity * sizeof *lines);
        remarks->failed |= lines == NULL;
        if (lines == NULL)
            return;
        remarks->lines = lines;
        remarks->capacity = capacity;
    }
    char *line = strndup(text, length);
    remarks->failed |= line == NULL;
    if (line != NULL)
        remarks->lines[remarks->count++] = line;
}

bool remarks_complete(const struct remarks *remarks)
{
    return !remarks->failed;
}

void remarks_print(const struct remarks *remarks, const char *heading)
{
    if (remarks->count > 0)
        fputs(heading, stdout);
    for (size_t i = 0; i < remarks->count; i++) {
        fputs("  ", stdout);
        show_line(stdout, remarks->lines[i], strlen(remarks->lines[i]));
        putchar('\n');
    }
}

void remarks_add(const struct remarks *remarks, struct json *json)
{
    for (size_t i = 0; i < remarks->count; i++)
        json_string(json, remarks->lines[i]);
}

void remarks_release(struct remarks *remarks)
{
    for (size_t i = 0; i < remarks->count; i++)
        free(remarks->lines[i]);
    free(remarks->lines);
    *remarks = (struct remarks){0};
}
