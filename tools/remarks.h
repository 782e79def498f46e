/*
 * The remarks of an open, kept to be shown with other facts.
 */
#ifndef TOOLS_REMARKS_H
#define TOOLS_REMARKS_H

#include "json.h"

#include <stdbool.h>
#include <stddef.h>

struct remarks {
    char **lines; /* [count], from malloc */
    size_t count, capacity;
    bool failed; /* memory ran out */
};

/* An lckv_log_callback whose user is a struct remarks. */
void remarks_take(void *user, const char *text, size_t length);

/* Whether all of them have been kept. */
bool remarks_complete(const struct remarks *remarks);

/* Prints the heading and a line for each remark; nothing if there are none. */
void remarks_print(const struct remarks *remarks, const char *heading);

/* Adds them to an array, as strings. */
void remarks_add(const struct remarks *remarks, struct json *json);

void remarks_release(struct remarks *remarks);

#endif
