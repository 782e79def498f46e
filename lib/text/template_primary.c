/*
 * Reads what expressions of chat templates begin with: names, strings, numbers and calls. See
 * template_expression.h.
 */
#include "text/template_expression.h"

#include "base/status.h"
#include "base/text.h"

#include <string.h>

#define MAX_ELEMENTS 8 /* of a list */

/* Replaces the escapes of a string by the characters that they stand for. */
static lckv_status unescape(struct scope *scope, struct text source, struct text *text)
{
    static const char letters[] = "ntr\\'\"", characters[] = "\n\t\r\\'\"";
    char *bytes;
    lckv_status status =
        arena_alloc(&scope->arena, source.length + 1, 1, "a string of a chat template", &bytes);
    if (status != LCKV_OK)
        return status;
    *text = (struct text){bytes, 0};
    for (size_t i = 0; i < source.length; i++) {
        char c = source.bytes[i];
        if (c == '\\' && i + 1 < source.length) {
            const char *letter = memchr(letters, source.bytes[++i], sizeof letters - 1);
            if (letter == NULL)
                return fail(LCKV_UNSUPPORTED, "escape %s is not supported",
                            quoted(source.bytes + i - 1, 2).text);
            c = characters[letter - letters];
        }
        bytes[text->length++] = c;
    }
    return LCKV_OK;
}

static lckv_status string_value(struct expression *e, struct value *value)
{
    struct text text = e->token;
    if (e->skipping > 0)
        return LCKV_OK;
    lckv_status status = LCKV_OK;
    if (memchr(text.bytes, '\\', text.length) != NULL)
        status = unescape(e->scope, text, &text);
    return status == LCKV_OK ? value_text(e->scope, text, false, value) : status;
}

static lckv_status integer_value(const struct expression *e, struct value *value)
{
    int64_t number = 0;
    for (size_t i = 0; i < e->token.length; i++) {
        number = number * 10 + (e->token.bytes[i] - '0');
        if (number > TEMPLATE_MAX_INTEGER)
            return fail(LCKV_UNSUPPORTED, "a number above %d", TEMPLATE_MAX_INTEGER);
    }
    *value = value_integer(number);
    return LCKV_OK;
}

lckv_status expression_arguments(struct expression *e, struct arguments *arguments)
{
    arguments->count = 0;
    lckv_status status = expression_expect(e, "(");
    while (status == LCKV_OK && !expression_is(e, ")")) {
        if (arguments->count == TEMPLATE_MAX_ARGUMENTS)
            return expression_refuse(e);
        status = expression_value(e, &arguments->values[arguments->count++]);
        if (status == LCKV_OK && !expression_is(e, ")"))
            status = expression_expect(e, ",");
    }
    return status == LCKV_OK ? expression_next(e) : status;
}

/* raise_exception('why'): how a template refuses a conversation. */
static lckv_status raise_exception(struct expression *e)
{
    struct arguments arguments;
    lckv_status status = expression_next(e);
    if (status == LCKV_OK)
        status = expression_arguments(e, &arguments);
    if (status != LCKV_OK || e->skipping > 0)
        return status;
    if (arguments.count != 1 || arguments.values[0].kind != VALUE_TEXT)
        return fail(LCKV_UNSUPPORTED, "raise_exception takes a text");
    const struct value *value = &arguments.values[0];
    struct text why = value->n_pieces > 0 ? value->pieces[0].text : (struct text){"", 0};
    return fail(LCKV_INVALID_ARGUMENT, "the model's chat template refuses these messages: %s",
                quoted(why.bytes, why.length).text);
}

/* range(end), range(begin, end) or range(begin, end, step), where the step is 1 or -1 */
static lckv_status range(struct expression *e, struct value *value)
{
    struct arguments arguments;
    lckv_status status = expression_next(e);
    if (status == LCKV_OK)
        status = expression_arguments(e, &arguments);
    if (status != LCKV_OK || e->skipping > 0)
        return status;
    size_t n = arguments.count;
    const struct value *values = arguments.values;
    bool are_integers = n > 0;
    for (size_t i = 0; i < n; i++)
        are_integers = are_integers && values[i].kind == VALUE_INTEGER;
    if (!are_integers || (n == 3 && values[2].number != 1 && values[2].number != -1))
        return fail(LCKV_UNSUPPORTED, "this kind of range is not supported");
    bool is_down = n == 3 && values[2].number == -1;
    int64_t begin = n == 1 ? 0 : values[0].number, end = values[n > 1].number;
    int64_t count = is_down ? begin - end : end - begin;
    *value = (struct value){.kind = VALUE_RANGE,
                            .number = begin,
                            .n_pieces = count > 0 ? (size_t)count : 0,
                            .is_reversed = is_down};
    return LCKV_OK;
}

/* [a, b] */
static lckv_status list(struct expression *e, struct value *value)
{
    struct value *elements = NULL;
    size_t count = 0;
    lckv_status status = expression_next(e);
    if (status == LCKV_OK)
        status = scope_spend(e->scope, MAX_ELEMENTS * sizeof *elements);
    if (status == LCKV_OK)
        status = arena_alloc(&e->scope->arena, MAX_ELEMENTS, sizeof *elements, "a conversation",
                             &elements);
    while (status == LCKV_OK && !expression_is(e, "]")) {
        if (count == MAX_ELEMENTS)
            return fail(LCKV_UNSUPPORTED, "a list of more than %d values", MAX_ELEMENTS);
        status = expression_value(e, &elements[count++]);
        if (status == LCKV_OK && !expression_is(e, "]"))
            status = expression_expect(e, ",");
    }
    *value = (struct value){.kind = VALUE_LIST, .number = (int64_t)count, .elements = elements};
    return status == LCKV_OK ? expression_next(e) : status;
}

/* namespace(name=value, ...) */
static lckv_status new_namespace(struct expression *e, struct value *value)
{
    lckv_status status = expression_next(e);
    if (status == LCKV_OK)
        status = expression_expect(e, "(");
    if (status == LCKV_OK && e->skipping == 0)
        status = value_namespace(e->scope, value);
    while (status == LCKV_OK && !expression_is(e, ")")) {
        struct text name = e->token;
        struct value member;
        if (e->kind != TOKEN_NAME)
            return expression_refuse(e);
        status = expression_next(e);
        if (status == LCKV_OK)
            status = expression_expect(e, "=");
        if (status == LCKV_OK)
            status = expression_value(e, &member);
        if (status == LCKV_OK && e->skipping == 0)
            status = namespace_set(value->members, name, &member);
        if (status == LCKV_OK && !expression_is(e, ")"))
            status = expression_expect(e, ",");
    }
    return status == LCKV_OK ? expression_next(e) : status;
}

lckv_status expression_primary(struct expression *e, struct value *value)
{
    lckv_status status = LCKV_OK;
    *value = (struct value){.kind = VALUE_UNDEFINED};
    if (e->kind == TOKEN_STRING) {
        status = string_value(e, value);
    } else if (e->kind == TOKEN_INTEGER) {
        status = integer_value(e, value);
    } else if (expression_is(e, "(")) {
        status = expression_next(e);
        if (status == LCKV_OK)
            status = expression_value(e, value);
        if (status == LCKV_OK && !expression_is(e, ")"))
            return expression_refuse(e);
    } else if (expression_is(e, "raise_exception")) {
        return raise_exception(e);
    } else if (expression_is(e, "namespace")) {
        return new_namespace(e, value);
    } else if (expression_is(e, "range")) {
        return range(e, value);
    } else if (expression_is(e, "[")) {
        return list(e, value);
    } else if (e->kind == TOKEN_NAME && !expression_is(e, "not") && !expression_is(e, "is")) {
        status = e->skipping > 0 ? LCKV_OK : value_of_name(e->scope, e->token, value);
    } else {
        return expression_refuse(e);
    }
    return status == LCKV_OK ? expression_next(e) : status;
}
