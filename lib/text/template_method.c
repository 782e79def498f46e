/*
 * Methods and filters of chat templates: what they make of a text or a message. See
 * template_expression.h.
 */
#include "text/template_expression.h"

#include "base/status.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>

static lckv_status refuse(struct text name)
{
    return fail(LCKV_UNSUPPORTED, "%s is not supported here", quoted(name.bytes, name.length).text);
}

/* Gives a part of a piece. */
static lckv_status give(struct scope *scope, const struct piece *from, size_t begin, size_t end,
                        struct value *value)
{
    const struct text text = {from->text.bytes + begin, end - begin};
    return value_text(scope, text, from->is_message, value);
}

/* strip(), lstrip() and rstrip(), of white space or of the characters of an argument. */
static lckv_status strip(struct scope *scope, struct text name, const struct arguments *arguments,
                         struct value *value)
{
    bool at_start = name.bytes[0] != 'r', at_end = name.bytes[0] != 'l';
    struct text set = {"", 0};
    struct piece flat;
    if (arguments->count == 0)
        return value_trim(scope, value, at_start, at_end);
    lckv_status status = value_flat(scope, value, &flat);
    if (status == LCKV_OK)
        status = value_part(scope, &arguments->values[0], &set);
    if (status != LCKV_OK)
        return status;
    for (size_t i = 0; i < set.length; i++) {
        if ((unsigned char)set.bytes[i] >= 0x80)
            return fail(LCKV_UNSUPPORTED, "stripping characters beyond ASCII is not supported");
    }
    size_t begin = 0, end = flat.text.length;
    while (at_start && begin < end && memchr(set.bytes, flat.text.bytes[begin], set.length))
        begin++;
    while (at_end && begin < end && memchr(set.bytes, flat.text.bytes[end - 1], set.length))
        end--;
    status = scope_spend(scope, flat.text.length - (end - begin));
    return status == LCKV_OK ? give(scope, &flat, begin, end, value) : status;
}

/* startswith() and endswith(). */
static lckv_status has_edge(struct scope *scope, struct text name,
                            const struct arguments *arguments, struct value *value)
{
    struct piece flat;
    struct text edge;
    lckv_status status = value_flat(scope, value, &flat);
    if (status == LCKV_OK)
        status = value_part(scope, &arguments->values[0], &edge);
    if (status != LCKV_OK)
        return status;
    bool holds = edge.length <= flat.text.length;
    if (holds) {
        size_t at = name.bytes[0] == 's' ? 0 : flat.text.length - edge.length;
        holds = memcmp(flat.text.bytes + at, edge.bytes, edge.length) == 0;
    }
    *value = value_bool(holds);
    return LCKV_OK;
}

/* split(separator), perhaps with the most splits. The parts are looked for when one is taken. */
static lckv_status split(struct scope *scope, const struct arguments *arguments,
                         struct value *value)
{
    const struct value *most = &arguments->values[1];
    lckv_status status = value_part(scope, &arguments->values[0], &value->separator);
    if (status != LCKV_OK)
        return status;
    if (value->separator.length == 0 ||
        (arguments->count == 2 && (most->kind != VALUE_INTEGER || most->number <= 0)))
        return fail(LCKV_UNSUPPORTED, "this kind of split is not supported");
    value->kind = VALUE_PARTS;
    value->number = arguments->count == 2 ? most->number : 0;
    return LCKV_OK;
}

lckv_status expression_part_at(struct expression *e, int64_t index, struct value *value)
{
    struct piece flat;
    const struct text separator = value->separator;
    int64_t n_splits = 0, most = value->number;
    lckv_status status = value_flat(e->scope, value, &flat);
    if (status == LCKV_OK)
        status = scope_spend(e->scope, flat.text.length);
    if (status != LCKV_OK)
        return status;
    for (size_t at = 0; index < 0 && (most == 0 || n_splits < most); n_splits++) {
        at = template_find(flat.text, separator, at);
        if (at == SIZE_MAX)
            break;
        at += separator.length;
    }
    index = index < 0 ? index + n_splits + 1 : index;
    size_t begin = 0, end;
    for (int64_t i = 0;; i++) {
        bool splits = most == 0 || i < most;
        end = splits ? template_find(flat.text, separator, begin) : SIZE_MAX;
        if (i == index || end == SIZE_MAX) {
            *value = (struct value){.kind = VALUE_UNDEFINED};
            end = end == SIZE_MAX ? flat.text.length : end;
            return i == index ? give(e->scope, &flat, begin, end, value) : LCKV_OK;
        }
        begin = end + separator.length;
    }
}

/* replace(part, ''): leaves a part out. */
static lckv_status leave_out(struct scope *scope, const struct arguments *arguments,
                             struct value *value)
{
    struct text part, by;
    struct piece flat;
    char *bytes;
    size_t length = 0, at = 0;
    lckv_status status = value_part(scope, &arguments->values[0], &part);
    if (status == LCKV_OK)
        status = value_part(scope, &arguments->values[1], &by);
    if (status == LCKV_OK && (part.length == 0 || by.length > 0))
        return fail(LCKV_UNSUPPORTED, "this kind of replace is not supported");
    if (status == LCKV_OK)
        status = value_flat(scope, value, &flat);
    if (status == LCKV_OK)
        status = scope_spend(scope, flat.text.length);
    if (status == LCKV_OK)
        status = arena_alloc(&scope->arena, flat.text.length + 1, 1, "a conversation", &bytes);
    if (status != LCKV_OK)
        return status;
    while (at < flat.text.length) {
        size_t end = template_find(flat.text, part, at);
        size_t n = (end == SIZE_MAX ? flat.text.length : end) - at;
        memcpy(bytes + length, flat.text.bytes + at, n);
        length += n;
        at = end == SIZE_MAX ? flat.text.length : end + part.length;
    }
    return value_text(scope, (struct text){bytes, length}, flat.is_message, value);
}

/* get(name): a member of a message, or none. */
static lckv_status get(struct scope *scope, const struct arguments *arguments, struct value *value)
{
    struct text name;
    lckv_status status = value_part(scope, &arguments->values[0], &name);
    if (status == LCKV_OK)
        status = value_of_member(scope, value, name, value);
    if (status == LCKV_OK && value->kind == VALUE_UNDEFINED)
        *value = arguments->count == 2 ? arguments->values[1] : (struct value){.kind = VALUE_NONE};
    return status;
}

lckv_status expression_method(struct expression *e, struct text name,
                              const struct arguments *arguments, struct value *value)
{
    size_t count = arguments->count;
    if (value->kind == VALUE_MESSAGE && text_equals(name, "get") && (count == 1 || count == 2))
        return get(e->scope, arguments, value);
    if (value->kind != VALUE_TEXT)
        return refuse(name);
    if ((text_equals(name, "strip") || text_equals(name, "lstrip") ||
         text_equals(name, "rstrip")) &&
        count <= 1)
        return strip(e->scope, name, arguments, value);
    if ((text_equals(name, "startswith") || text_equals(name, "endswith")) && count == 1)
        return has_edge(e->scope, name, arguments, value);
    if (text_equals(name, "split") && (count == 1 || count == 2))
        return split(e->scope, arguments, value);
    if (text_equals(name, "replace") && count == 2)
        return leave_out(e->scope, arguments, value);
    return refuse(name);
}

/* The length of messages, or of a text in characters. */
static lckv_status measure(struct scope *scope, struct value *value)
{
    int64_t n = 0;
    size_t n_bytes = 0;
    if (value->kind != VALUE_MESSAGES && value->kind != VALUE_TEXT)
        return fail(LCKV_UNSUPPORTED, "the length of this value is not supported");
    if (value->kind == VALUE_MESSAGES)
        n = (int64_t)value_count(scope, value);
    for (size_t i = 0; value->kind == VALUE_TEXT && i < value->n_pieces; i++) {
        const struct text text = value->pieces[i].text;
        n_bytes += text.length;
        for (size_t j = 0; j < text.length; j++)
            n += ((unsigned char)text.bytes[j] & 0xC0) != 0x80;
    }
    *value = value_integer(n);
    return scope_spend(scope, n_bytes);
}

/* Writes a character of a string as JSON spells it, and gives the number of bytes. */
static size_t json_character(char c, char spelled[8])
{
    static const char letters[] = "\"\\nrtbf", characters[] = "\"\\\n\r\t\b\f";
    const char *found = memchr(characters, c, sizeof characters - 1);
    if (found != NULL)
        return (size_t)snprintf(spelled, 8, "\\%c", letters[found - characters]);
    if ((unsigned char)c < ' ')
        return (size_t)snprintf(spelled, 8, "\\u%04x", (unsigned)c);
    spelled[0] = c;
    return 1;
}

/* tojson of a text: a string of JSON. */
static lckv_status to_json(struct scope *scope, struct value *value)
{
    struct piece flat;
    char *bytes, spelled[8];
    size_t length = 2, at = 1;
    lckv_status status = value_flat(scope, value, &flat);
    if (status != LCKV_OK)
        return status;
    for (size_t i = 0; i < flat.text.length; i++)
        length += json_character(flat.text.bytes[i], spelled);
    status = scope_spend(scope, flat.text.length);
    if (status == LCKV_OK)
        status = arena_alloc(&scope->arena, length, 1, "a conversation", &bytes);
    if (status != LCKV_OK)
        return status;
    bytes[0] = bytes[length - 1] = '"';
    for (size_t i = 0; i < flat.text.length; i++) {
        size_t n = json_character(flat.text.bytes[i], spelled);
        memcpy(bytes + at, spelled, n);
        at += n;
    }
    return value_text(scope, (struct text){bytes, length}, true, value);
}

/* default(other), or default(other, true), which also stands in for what is false. */
static lckv_status stand_in(struct scope *scope, const struct arguments *arguments,
                            struct value *value)
{
    bool for_false = false, holds = true;
    lckv_status status = LCKV_OK;
    if (arguments->count == 2)
        status = value_truth(scope, &arguments->values[1], &for_false);
    if (status == LCKV_OK && for_false)
        status = value_truth(scope, value, &holds);
    if (value->kind == VALUE_UNDEFINED || !holds)
        *value = arguments->values[0];
    return status;
}

lckv_status expression_filter(struct expression *e, struct text name,
                              const struct arguments *arguments, struct value *value)
{
    size_t count = arguments->count;
    bool is_selection = text_equals(name, "selectattr") && value->kind == VALUE_MESSAGES;
    if (text_equals(name, "trim") && count == 0)
        return value_trim(e->scope, value, true, true);
    if ((text_equals(name, "length") || text_equals(name, "count")) && count == 0)
        return measure(e->scope, value);
    if ((text_equals(name, "default") || text_equals(name, "d")) && (count == 1 || count == 2))
        return stand_in(e->scope, arguments, value);
    if (text_equals(name, "string") && count == 0 && value->kind == VALUE_TEXT)
        return LCKV_OK;
    if (text_equals(name, "tojson") && count == 0 && value->kind == VALUE_TEXT)
        return to_json(e->scope, value);
    if (is_selection || (text_equals(name, "list") && value->kind == VALUE_UNKNOWN)) {
        *value = (struct value){.kind = VALUE_UNKNOWN};
        return LCKV_OK;
    }
    return refuse(name);
}
