/*
 * Checks that an object has no name twice, in time linear in the bytes of the names: a table at
 * half load needs few probes, and names that were made to collide are refused.
 */
#include "format/json_parser.h"

#include "base/hash.h"
#include "base/status.h"

#include <string.h>

static lckv_status add_name(struct json_parser *p, const struct json_value *name, size_t n_slots)
{
    size_t position = (size_t)(name->text - p->text) - 1; /* of the opening quote */
    size_t slot = (size_t)hash_bytes(name->text, name->length);
    for (int i = 0; i < HASH_MAX_PROBES; i++, slot++) {
        uint32_t *node = &p->slots[slot & (n_slots - 1)];
        const struct json_value *other = &p->values[*node];
        if (*node == 0) {
            *node = (uint32_t)(name - p->values);
            return LCKV_OK;
        }
        if (other->length == name->length && memcmp(other->text, name->text, name->length) == 0)
            return json_at(p, position,
                           fail(LCKV_BAD_FORMAT, "not valid JSON: duplicate name %s",
                                quoted(name->text, name->length).text));
    }
    return json_at(p, position,
                   fail(LCKV_BAD_FORMAT, "too many names of one object collide, up to %s",
                        quoted(name->text, name->length).text));
}

lckv_status json_check_names(struct json_parser *p, const struct json_value *object)
{
    size_t n_slots = 4;
    while (n_slots / 2 < object->length)
        n_slots *= 2;
    lckv_status status = memory_grow(p->allocator, &p->slots, &p->n_slots, n_slots,
                                     sizeof *p->slots, "names in JSON");
    if (status == LCKV_OK)
        memset(p->slots, 0, n_slots * sizeof *p->slots);
    for (const struct json_value *value = json_first(object); status == LCKV_OK && value != NULL;
         value = json_next(object, value))
        status = add_name(p, value - 1, n_slots);
    return status;
}
