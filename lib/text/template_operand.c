/*
 * Reads the operands in expressions of chat templates: names, strings and numbers, with the
 * members, filters and tests that are written behind them.
 */
#include "text/template_expression.h"

#include "base/status.h"
#include "base/text.h"

#include <string.h>

/* ---- Values ---- */

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

/* raise_exception('why'): how a template refuses a conversation. */
static lckv_status raise_exception(struct expression *e)
{
    struct value value = {.kind = VALUE_UNDEFINED};
    lckv_status status = expression_next(e);
    if (status == LCKV_OK)
        status = expression_expect(e, "(");
    if (status == LCKV_OK)
        status = expression_value(e, &value);
    if (status == LCKV_OK)
        status = expression_expect(e, ")");
    if (status != LCKV_OK || e->skipping > 0)
        return status;
    struct text why = value.n_pieces > 0 ? value.pieces[0].text : (struct text){"", 0};
    return fail(LCKV_INVALID_ARGUMENT, "the model's chat template refuses these messages: %s",
                quoted(why.bytes, why.length).text);
}

static lckv_status primary(struct expression *e, struct value *value)
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
    } else if (e->kind == TOKEN_NAME && !expression_is(e, "not") && !expression_is(e, "is")) {
        status = e->skipping > 0 ? LCKV_OK : value_of_name(e->scope, e->token, value);
    } else {
        return expression_refuse(e);
    }
    return status == LCKV_OK ? expression_next(e) : status;
}

/* ---- Members, filters and tests ---- */

static bool is_method(struct text name)
{
    static const char *const methods[] = {"get",      "items",   "keys", "values",
                                          "pop",      "update",  "copy", "setdefault",
                                          "fromkeys", "popitem", "clear"};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (text_equals(name, methods[i]))
            return true;
    }
    return false;
}

static lckv_status loop_member(const struct scope *scope, struct text name, struct value *value)
{
    if (text_equals(name, "first"))
        *value = value_bool(scope->loop_index == 0);
    else if (text_equals(name, "last"))
        *value = value_bool(scope->loop_index + 1 == scope->loop_count);
    else if (text_equals(name, "index0"))
        *value = value_integer((int64_t)scope->loop_index);
    else if (text_equals(name, "index"))
        *value = value_integer((int64_t)scope->loop_index + 1);
    else if (text_equals(name, "length"))
        *value = value_integer((int64_t)scope->loop_count);
    else
        return fail(LCKV_UNSUPPORTED, "loop.%s is not supported",
                    quoted(name.bytes, name.length).text);
    return LCKV_OK;
}

/* .name, or ['name'] if `by_index`. */
static lckv_status member(struct expression *e, struct text name, bool by_index,
                          struct value *value)
{
    if (e->skipping > 0)
        return LCKV_OK;
    if (value->kind == VALUE_MESSAGE && (by_index || !is_method(name)))
        return value_of_member(e->scope, value, name, value);
    if (value->kind == VALUE_LOOP)
        return loop_member(e->scope, name, value);
    return fail(LCKV_UNSUPPORTED, "there is no member %s here",
                quoted(name.bytes, name.length).text);
}

/* messages[i], or undefined if there is no such message. */
static lckv_status element(const struct expression *e, const struct value *index,
                           struct value *value)
{
    int64_t count = (int64_t)value_count(e->scope, value), i = index->number;
    i = i < 0 ? i + count : i;
    if (i < 0 || i >= count)
        *value = (struct value){.kind = VALUE_UNDEFINED};
    else
        *value = (struct value){.kind = VALUE_MESSAGE, .number = value->number + i};
    return LCKV_OK;
}

/* Reads [index], or [begin:] behind messages. */
static lckv_status subscript(struct expression *e, struct value *value)
{
    struct value index;
    lckv_status status = expression_value(e, &index);
    bool is_slice = status == LCKV_OK && expression_is(e, ":");
    if (is_slice)
        status = expression_next(e);
    if (status == LCKV_OK)
        status = expression_expect(e, "]");
    if (status != LCKV_OK || e->skipping > 0)
        return status;
    if (index.kind == VALUE_TEXT && index.n_pieces == 1 && !is_slice)
        return member(e, index.pieces[0].text, true, value);
    if (value->kind != VALUE_MESSAGES || index.kind != VALUE_INTEGER ||
        (is_slice && index.number < 0))
        return fail(LCKV_UNSUPPORTED, "this subscript is not supported");
    if (!is_slice)
        return element(e, &index, value);
    value->number += index.number;
    return LCKV_OK;
}

static lckv_status trim(struct expression *e, struct value *value)
{
    return e->skipping == 0 ? value_trim(e->scope, value) : LCKV_OK;
}

/* Reads .name or .strip(). */
static lckv_status dotted(struct expression *e, struct value *value)
{
    struct text name = e->token;
    if (e->kind != TOKEN_NAME)
        return expression_refuse(e);
    bool is_strip = text_equals(name, "strip");
    lckv_status status = expression_next(e);
    if (status != LCKV_OK || !is_strip)
        return status == LCKV_OK ? member(e, name, false, value) : status;
    status = expression_expect(e, "(");
    if (status == LCKV_OK)
        status = expression_expect(e, ")");
    return status == LCKV_OK ? trim(e, value) : status;
}

static lckv_status filter(struct expression *e, struct value *value)
{
    bool is_trim = expression_is(e, "trim");
    bool is_length = expression_is(e, "length") || expression_is(e, "count");
    if (!is_trim && !is_length)
        return expression_refuse(e);
    lckv_status status = expression_next(e);
    if (status != LCKV_OK || is_trim)
        return status == LCKV_OK ? trim(e, value) : status;
    if (e->skipping == 0 && value->kind != VALUE_MESSAGES)
        return fail(LCKV_UNSUPPORTED, "the length of this value is not supported");
    *value = value_integer((int64_t)value_count(e->scope, value));
    return LCKV_OK;
}

/* Reads is [not] defined, undefined, none or string. */
static lckv_status test(struct expression *e, struct value *value)
{
    bool negated = expression_is(e, "not"), holds;
    lckv_status status = negated ? expression_next(e) : LCKV_OK;
    if (status != LCKV_OK)
        return status;
    if (expression_is(e, "defined"))
        holds = value->kind != VALUE_UNDEFINED;
    else if (expression_is(e, "undefined"))
        holds = value->kind == VALUE_UNDEFINED;
    else if (expression_is(e, "none"))
        holds = value->kind == VALUE_NONE;
    else if (expression_is(e, "string"))
        holds = value->kind == VALUE_TEXT;
    else if (expression_is(e, "true") || expression_is(e, "false"))
        holds = value->kind == VALUE_BOOL && value->number == expression_is(e, "true");
    else
        return expression_refuse(e);
    if (e->skipping == 0 && value->kind == VALUE_ABSENT)
        return fail(LCKV_UNSUPPORTED,
                    "asking whether there are tools or documents is not supported");
    *value = value_bool(holds != negated);
    status = expression_next(e);
    return status == LCKV_OK && expression_is(e, "is") ? expression_refuse(e) : status;
}

typedef lckv_status suffix_reader(struct expression *e, struct value *value);

/* Reads any number of suffixes that begin with one of two words. */
static lckv_status suffixes(struct expression *e, const char *const words[2],
                            suffix_reader *const readers[2], struct value *value)
{
    lckv_status status = LCKV_OK;
    while (status == LCKV_OK && (expression_is(e, words[0]) || expression_is(e, words[1]))) {
        suffix_reader *reader = readers[expression_is(e, words[1])];
        status = expression_next(e);
        if (status == LCKV_OK)
            status = reader(e, value);
    }
    return status;
}

lckv_status expression_operand(struct expression *e, struct value *value)
{
    static const char *const member_words[] = {".", "["}, *const filter_words[] = {"|", "is"};
    static suffix_reader *const member_readers[] = {dotted, subscript};
    static suffix_reader *const filter_readers[] = {filter, test};
    bool negative = expression_is(e, "-");
    lckv_status status = negative ? expression_next(e) : LCKV_OK;
    if (negative && e->kind != TOKEN_INTEGER)
        return expression_refuse(e);
    if (status == LCKV_OK)
        status = primary(e, value);
    if (negative)
        value->number = -value->number;
    if (status == LCKV_OK)
        status = suffixes(e, member_words, member_readers, value);
    return status == LCKV_OK ? suffixes(e, filter_words, filter_readers, value) : status;
}
