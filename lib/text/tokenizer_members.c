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

lckv_status tokenizer_escape(struct tokenizer *tokenizer, struct text string, const char *what,
                             struct text *pattern)
{
    char *escaped;
    size_t length = 0;
    if (string.length > PATTERN_MAX_LENGTH)
        return fail(LCKV_UNSUPPORTED, "%s: a String of %zu bytes, expected at most %d", what,
                    string.length, PATTERN_MAX_LENGTH);
    lckv_status status = arena_text(&tokenizer->arena, string.length * 2, &escaped);
    if (status != LCKV_OK)
        return status;
    for (size_t i = 0; i < string.length; i++) {
        if (string.bytes[i] != '\0' && strchr("\\^$.|?*+()[]{}", string.bytes[i]) != NULL)
            escaped[length++] = '\\';
        escaped[length++] = string.bytes[i];
    }
    *pattern = (struct text){escaped, length};
    return LCKV_OK;
}

lckv_status tokenizer_read_pattern(struct tokenizer *tokenizer, const struct json_value *object,
                                   const char *what, struct text *pattern)
{
    const struct json_value *value = NULL;
    struct text string = {"", 0};
    bool is_regex = false, is_string = false;
    lckv_status status = json_get_object(object, what, "pattern", &value);
    if (status == LCKV_OK && value == NULL)
        return fail(LCKV_BAD_FORMAT, "%s: pattern is missing, expected an object", what);
    if (status == LCKV_OK)
        status = json_get_text(value, what, "Regex", pattern, &is_regex);
    if (status == LCKV_OK)
        status = json_get_text(value, what, "String", &string, &is_string);
    if (status == LCKV_OK && is_regex == is_string)
        return fail(LCKV_BAD_FORMAT, "%s: pattern: expected a Regex or a String", what);
    return status == LCKV_OK && is_string ? tokenizer_escape(tokenizer, string, what, pattern)
                                          : status;
}
