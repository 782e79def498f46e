/*
 * Values of JSON: walking over them, and typed look-ups.
 */
#include "format/json.h"

#include "base/status.h"
#include "base/text.h"

#include <string.h>

struct text json_text(const struct json_value *value)
{
    if (value == NULL || value->type >= JSON_ARRAY)
        return (struct text){"", 0};
    return (struct text){value->text, value->length};
}

size_t json_count(const struct json_value *container)
{
    return container != NULL && container->type >= JSON_ARRAY ? container->length : 0;
}

const struct json_value *json_first(const struct json_value *container)
{
    if (json_count(container) == 0)
        return NULL;
    return container + (container->type == JSON_OBJECT ? 2 : 1);
}

const struct json_value *json_next(const struct json_value *container,
                                   const struct json_value *value)
{
    const struct json_value *end = container + container->nodes;
    const struct json_value *next = value + value->nodes;
    if (next == end)
        return NULL;
    return container->type == JSON_OBJECT ? next + 1 : next;
}

struct text json_name(const struct json_value *value)
{
    return json_text(value - 1);
}

const struct json_value *json_find_text(const struct json_value *object, struct text name)
{
    if (!json_is(object, JSON_OBJECT))
        return NULL;
    const struct json_value *value = json_first(object);
    while (value != NULL && text_compare(json_name(value), name) != 0)
        value = json_next(object, value);
    return value;
}

const struct json_value *json_find(const struct json_value *object, const char *name)
{
    return json_find_text(object, (struct text){name, strlen(name)});
}

/* ---- Making objects ---- */

/* Appends a member, which are the node of its name and those of its value. */
static void add_member(struct json_value *object, const struct json_value *value)
{
    memcpy(object + object->nodes, value - 1, (value->nodes + 1) * sizeof *object);
    object->nodes += value->nodes + 1;
    object->length++;
}

lckv_status json_complete(const struct json_value *object, const struct json_value *others,
                          const lckv_allocator *allocator, struct json_value **nodes,
                          size_t *n_nodes)
{
    if (!json_is(object, JSON_OBJECT) || !json_is(others, JSON_OBJECT))
        return fail(LCKV_INTERNAL, "only objects can be completed");
    *n_nodes = (size_t)object->nodes + others->nodes;
    lckv_status status = memory_alloc(allocator, *n_nodes, sizeof **nodes, "JSON", nodes);
    if (status != LCKV_OK)
        return status;
    memcpy(*nodes, object, object->nodes * sizeof *object);
    for (const struct json_value *other = json_first(others); other != NULL;
         other = json_next(others, other)) {
        if (json_find_text(object, json_name(other)) == NULL)
            add_member(*nodes, other);
    }
    return LCKV_OK;
}

/* ---- Members by name and type ---- */

static lckv_status expected(const char *what, const char *name, const char *type)
{
    return fail(LCKV_BAD_FORMAT, "%s: %s: expected %s", what, name, type);
}

/* Finds the member; *value is NULL if it is missing or null. */
static lckv_status member(const struct json_value *object, const char *what, const char *name,
                          const struct json_value **value, bool *found)
{
    if (!json_is(object, JSON_OBJECT))
        return fail(LCKV_BAD_FORMAT, "%s: expected an object with the member %s", what, name);
    *value = json_find(object, name);
    if (json_is(*value, JSON_NULL))
        *value = NULL;
    if (found != NULL)
        *found = *value != NULL;
    return LCKV_OK;
}

static lckv_status take_u32(const struct json_value *item, const char *what, const char *name,
                            uint32_t *value)
{
    int64_t integer;
    if (!json_integer(item, &integer) || integer < 0 || integer > UINT32_MAX)
        return expected(what, name, "an integer from 0 to 4294967295");
    *value = (uint32_t)integer;
    return LCKV_OK;
}

lckv_status json_get_u32(const struct json_value *object, const char *what, const char *name,
                         uint32_t *value, bool *found)
{
    const struct json_value *item = NULL;
    lckv_status status = member(object, what, name, &item, found);
    return status == LCKV_OK && item != NULL ? take_u32(item, what, name, value) : status;
}

lckv_status json_get_u32s(const struct json_value *object, const char *what, const char *name,
                          uint32_t *values, size_t n, bool *found)
{
    const struct json_value *item = NULL;
    lckv_status status = member(object, what, name, &item, found);
    if (status != LCKV_OK || item == NULL)
        return status;
    const bool is_array = json_is(item, JSON_ARRAY);
    if (is_array && json_count(item) != n)
        return fail(LCKV_BAD_FORMAT, "%s: %s has %zu elements; expected %zu", what, name,
                    json_count(item), n);
    const struct json_value *element = is_array ? json_first(item) : item;
    for (size_t i = 0; status == LCKV_OK && i < n; i++) {
        status = take_u32(element, what, name, &values[i]);
        element = is_array ? json_next(item, element) : element;
    }
    return status;
}

lckv_status json_get_f64(const struct json_value *object, const char *what, const char *name,
                         double *value, bool *found)
{
    const struct json_value *item = NULL;
    lckv_status status = member(object, what, name, &item, found);
    if (status != LCKV_OK || item == NULL)
        return status;
    return json_number(item, value) ? LCKV_OK : expected(what, name, "a finite number");
}

lckv_status json_get_bool(const struct json_value *object, const char *what, const char *name,
                          bool *value, bool *found)
{
    const struct json_value *item = NULL;
    lckv_status status = member(object, what, name, &item, found);
    if (status != LCKV_OK || item == NULL)
        return status;
    if (item->type != JSON_TRUE && item->type != JSON_FALSE)
        return expected(what, name, "true or false");
    *value = item->type == JSON_TRUE;
    return LCKV_OK;
}

/* Finds a member of one type; *value is NULL if it is missing or null. */
static lckv_status get(const struct json_value *object, const char *what, const char *name,
                       enum json_type type, const char *type_name, const struct json_value **value)
{
    lckv_status status = member(object, what, name, value, NULL);
    if (status == LCKV_OK && *value != NULL && (*value)->type != type)
        return expected(what, name, type_name);
    return status;
}

lckv_status json_get_text(const struct json_value *object, const char *what, const char *name,
                          struct text *value, bool *found)
{
    const struct json_value *item = NULL;
    lckv_status status = get(object, what, name, JSON_STRING, "a string", &item);
    if (status != LCKV_OK)
        return status;
    if (item != NULL)
        *value = json_text(item);
    if (found != NULL)
        *found = item != NULL;
    return LCKV_OK;
}

lckv_status json_get_object(const struct json_value *object, const char *what, const char *name,
                            const struct json_value **value)
{
    return get(object, what, name, JSON_OBJECT, "an object", value);
}

lckv_status json_get_array(const struct json_value *object, const char *what, const char *name,
                           const struct json_value **value)
{
    return get(object, what, name, JSON_ARRAY, "an array", value);
}
