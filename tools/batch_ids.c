/*
 * See batch_ids.h.
 */
#include "batch_ids.h"

#include <stdlib.h>

static bool is_used(const struct batch_entry *entry)
{
    return (entry->fingerprint.high | entry->fingerprint.low) != 0;
}

static struct batch_entry *find(const struct batch_ids *ids, struct fingerprint fingerprint)
{
    size_t at = (size_t)fingerprint.low;
    for (;; at++) {
        struct batch_entry *entry = &ids->entries[at & (ids->capacity - 1)];
        if (!is_used(entry) || fingerprint_equal(entry->fingerprint, fingerprint))
            return entry;
    }
}

static bool grow(struct batch_ids *ids)
{
    struct batch_ids larger = {.capacity = ids->capacity == 0 ? 1024 : ids->capacity * 2};
    larger.entries = calloc(larger.capacity, sizeof *larger.entries);
    if (larger.entries == NULL)
        return false;
    for (size_t i = 0; i < ids->capacity; i++) {
        if (is_used(&ids->entries[i]))
            *find(&larger, ids->entries[i].fingerprint) = ids->entries[i];
    }
    larger.count = ids->count;
    free(ids->entries);
    *ids = larger;
    return true;
}

struct batch_entry *batch_ids_entry(struct batch_ids *ids, struct fingerprint fingerprint)
{
    if (ids->count >= ids->capacity / 3 * 2 && !grow(ids))
        return NULL;
    struct batch_entry *entry = find(ids, fingerprint);
    if (!is_used(entry)) {
        *entry = (struct batch_entry){.fingerprint = fingerprint};
        ids->count++;
    }
    return entry;
}

void batch_ids_free(struct batch_ids *ids)
{
    free(ids->entries);
    *ids = (struct batch_ids){0};
}
