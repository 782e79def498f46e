/*
 * What the readers of tokenizer.json share: an object's members and type, and arrays of objects.
 */
#include "text/tokenizer_parts.h"

#include "base/status.h"

#include <string.h>

lckv_status tokenizer_check_members(const struct json_value *object, const char *what,
                                    const char *known)
{
    if (!json_is(object, JSON_OBJECT))
        return LCKV_OK;
    for (const struct json_value *value = json_first(object); value != NULL;
         value = json_next(object, value)) {
        struct text name = json_name(value);
        bool found = false;
        for (const char *word = known; *word != '\0' && !found;) {
            size_t length = strcspn(word, " ");
            found = name.length == length && memcmp(name.bytes, word, length) == 0;
            word += length + (word[length] == ' ');
        }
        if (!found)
            return fail(LCKV_UNSUPPORTED, "%s: member %s is not supported", what,
                        quoted(name.bytes, name.length).text);
    }
    return LCKV_OK;
}

lckv_status tokenizer_get_type(const struct json_value *object, const char *what, struct text *type)
{
    bool found;
    lckv_status status = json_get_text(object, what, "type", type, &found);
    if (status == LCKV_OK && !found)
        return fail(LCKV_BAD_FORMAT, "%s: type is missing, expected a string", what);
    return status;
}

lckv_status tokenizer_refuse_kind(const char *what, struct text kind)
{
    return fail(LCKV_UNSUPPORTED, "%s: %s is not supported", what,
                quoted(kind.bytes, kind.length).text);
}

lckv_status tokenizer_read_sequence(struct tokenizer *tokenizer, const struct json_value *object,
                                    const char *what, const char *key, tokenizer_read_function read)
{
    const struct json_value *items = NULL;
    lckv_status status = json_get_array(object, what, key, &items);
    if (status == LCKV_OK && items == NULL)
        return fail(LCKV_BAD_FORMAT, "%s: %s is missing, expected an array", what, key);
    for (const struct json_value *item = json_first(items); status == LCKV_OK && item != NULL;
         item = json_next(items, item))
        status = read(tokenizer, item);
    return status;
}
