/*
 * The hash table: open addressing, linear probing.
 */
#include "base/table.h"

#include "base/hash.h"
#include "base/status.h"

#include <string.h>

lckv_status table_init(struct table *table, struct arena *arena, size_t n_keys, const char *what)
{
    size_t n_slots = 16;
    while (n_slots / 2 < n_keys) {
        if (!checked_multiply(n_slots, 2, &n_slots))
            return fail(LCKV_OUT_OF_MEMORY, "out of memory for %s", what);
    }
    lckv_status status = arena_alloc(arena, n_slots, sizeof table->slots[0], what, &table->slots);
    if (status == LCKV_OK)
        table->n_slots = n_slots;
    return status;
}

/* The slot that holds the key, or the empty one where it belongs, or NULL: too far. */
static struct table_slot *probe(const struct table *table, const void *key, size_t length)
{
    size_t mask = table->n_slots - 1;
    size_t index = (size_t)hash_bytes(key, length) & mask;
    for (int i = 0; i < HASH_MAX_PROBES; i++) {
        struct table_slot *slot = &table->slots[(index + (size_t)i) & mask];
        if (slot->key == NULL || (slot->length == length && memcmp(slot->key, key, length) == 0))
            return slot;
    }
    return NULL;
}

lckv_status table_add(struct table *table, const void *key, size_t length, uint32_t value,
                      bool *added)
{
    if (length > UINT32_MAX)
        return fail(LCKV_BAD_FORMAT, "a key of %zu bytes, expected less than 4 GiB", length);
    struct table_slot *slot = probe(table, key, length);
    if (slot == NULL)
        return fail(LCKV_BAD_FORMAT, "too many colliding keys, at %s", quoted(key, length).text);
    *added = slot->key == NULL;
    if (*added)
        *slot = (struct table_slot){key, (uint32_t)length, value};
    return LCKV_OK;
}

void table_replace(struct table *table, const void *key, size_t length, uint32_t value)
{
    struct table_slot *slot = probe(table, key, length);
    if (slot != NULL && slot->key != NULL)
        slot->value = value;
}

bool table_find(const struct table *table, const void *key, size_t length, uint32_t *value)
{
    if (table->n_slots == 0)
        return false;
    const struct table_slot *slot = probe(table, key, length);
    if (slot == NULL || slot->key == NULL)
        return false;
    *value = slot->value;
    return true;
}
