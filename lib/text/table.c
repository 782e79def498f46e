/*
 * The hash table: open addressing, linear probing.
 */
#include "text/table.h"

#include "base/status.h"

#include <string.h>

/* A well-mixed hash at half load never probes that far; keys from a file may be made to. */
#define MAX_PROBES 512

static uint64_t mix(uint64_t value)
{
    value ^= value >> 32;
    value *= UINT64_C(0xD6E8FEB86659FD93);
    value ^= value >> 32;
    value *= UINT64_C(0xD6E8FEB86659FD93);
    return value ^ value >> 32;
}

static uint64_t hash(const unsigned char *key, size_t length)
{
    uint64_t state = UINT64_C(0x9E3779B97F4A7C15) ^ length;
    uint64_t word = 0;
    for (; length >= sizeof word; key += sizeof word, length -= sizeof word) {
        memcpy(&word, key, sizeof word);
        state = mix(state ^ word);
    }
    word = 0;
    memcpy(&word, key, length);
    return mix(state ^ word);
}

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
    size_t index = (size_t)hash(key, length) & mask;
    for (int i = 0; i < MAX_PROBES; i++) {
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
