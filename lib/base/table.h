/*
 * A hash table from bytes to numbers. Its size is fixed when it is made. Keys are not copied.
 */
#ifndef LCKV_BASE_TABLE_H
#define LCKV_BASE_TABLE_H

#include "base/arena.h"
#include "base/checked.h"

#include <stdint.h>

struct table_bucket {
    const void *key; /* NULL: empty */
    uint32_t length;
    uint32_t value;
};

struct table {
    struct table_bucket *buckets; /* a power of two, at most half of them taken */
    size_t n_buckets;
};

/* Room for `n_keys` keys. */
CHECKED lckv_status table_init(struct table *table, struct arena *arena, size_t n_keys,
                               const char *what);

/*
 * Adds a key. If the table holds it already, nothing changes and *added is false. LCKV_BAD_FORMAT
 * for keys made to collide.
 */
CHECKED lckv_status table_add(struct table *table, const void *key, size_t length, uint32_t value,
                              bool *added);

/* Changes the value of a key that the table holds. */
void table_replace(struct table *table, const void *key, size_t length, uint32_t value);

CHECKED bool table_find(const struct table *table, const void *key, size_t length, uint32_t *value);

#endif
