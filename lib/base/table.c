/*
 * The hash table: open addressing, linear probing.
 */
#include "base/table.h"

#include "base/hash.h"
#include "base/status.h"

#include <string.h>

lckv_status table_init(struct table *table, struct arena *arena, size_t n_keys, const char *what)
{
    size_t n_buckets = 16;
    while (n_buckets / 2 < n_keys) {
        if (!checked_multiply(n_buckets, 2, &n_buckets))
            return fail(LCKV_OUT_OF_MEMORY, "out of memory for %s", what);
    }
    lckv_status status =
        arena_alloc(arena, n_buckets, sizeof table->buckets[0], what, &table->buckets);
    if (status == LCKV_OK)
        table->n_buckets = n_buckets;
    return status;
}

/* The bucket that holds the key, or the empty one where it belongs; NULL after too many probes. */
static struct table_bucket *probe(const struct table *table, const void *key, size_t length)
{
    size_t mask = table->n_buckets - 1;
    size_t index = (size_t)hash_bytes(key, length) & mask;
    for (int i = 0; i < HASH_MAX_PROBES; i++) {
        struct table_bucket *bucket = &table->buckets[(index + (size_t)i) & mask];
        if (bucket->key == NULL ||
            (bucket->length == length && memcmp(bucket->key, key, length) == 0))
            return bucket;
    }
    return NULL;
}

lckv_status table_add(struct table *table, const void *key, size_t length, uint32_t value,
                      bool *added)
{
    if (length > UINT32_MAX)
        return fail(LCKV_BAD_FORMAT, "a key of %zu bytes, expected less than 4 GiB", length);
    struct table_bucket *bucket = probe(table, key, length);
    if (bucket == NULL)
        return fail(LCKV_BAD_FORMAT, "too many colliding keys, at %s", quoted(key, length).text);
    *added = bucket->key == NULL;
    if (*added)
        *bucket = (struct table_bucket){key, (uint32_t)length, value};
    return LCKV_OK;
}

void table_replace(struct table *table, const void *key, size_t length, uint32_t value)
{
    struct table_bucket *bucket = probe(table, key, length);
    if (bucket != NULL && bucket->key != NULL)
        bucket->value = value;
}

bool table_find(const struct table *table, const void *key, size_t length, uint32_t *value)
{
    if (table->n_buckets == 0)
        return false;
    const struct table_bucket *bucket = probe(table, key, length);
    if (bucket == NULL || bucket->key == NULL)
        return false;
    *value = bucket->value;
    return true;
}
