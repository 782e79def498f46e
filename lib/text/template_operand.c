/*
 * Reads what is written behind the operands in expressions of chat templates: members, subscripts,
 * methods, filters and tests. See template_expression.h.
 */
#include "text/template_expression.h"

#include "base/status.h"
#include "base/text.h"

#include <string.h>

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

static lckv_status loop_neighbour(const struct scope *scope, int64_t index, struct value *value)
{
    if (scope->loop.sequence.kind != VALUE_MESSAGES)
        return fail(LCKV_UNSUPPORTED, "the neighbour in this loop is not supported");
    *value = (struct value){.kind = VALUE_UNDEFINED};
    if (index >= 0)
        *value = value_element(scope, &scope->loop.sequence, index);
    return LCKV_OK;
}

static lckv_status loop_member(const struct scope *scope, struct text name, struct value *value)
{
    if (text_equals(name, "first"))
        *value = value_bool(scope->loop.index == 0);
    else if (text_equals(name, "last"))
        *value = value_bool(scope->loop.index + 1 == scope->loop.count);
    else if (text_equals(name, "index0"))
        *value = value_integer((int64_t)scope->loop.index);
    else if (text_equals(name, "index"))
        *value = value_integer((int64_t)scope->loop.index + 1);
    else if (text_equals(name, "length"))
        *value = value_integer((int64_t)scope->loop.count);
    else if (text_equals(name, "previtem"))
        return loop_neighbour(scope, (int64_t)scope->loop.index - 1, value);
    else if (text_equals(name, "nextitem"))
        return loop_neighbour(scope, (int64_t)scope->loop.index + 1, value);
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
    if (value->kind == VALUE_NAMESPACE ||
        (value->kind == VALUE_MESSAGE && (by_index || !is_method(name))))
        return value_of_member(e->scope, value, name, value);
    if (value->kind == VALUE_TEXT && text_equals(name, "content")) {
        *value = (struct value){.kind = VALUE_UNDEFINED};
        return LCKV_OK;
    }
    if (value->kind == VALUE_LOOP)
        return loop_member(e->scope, name, value);
    return fail(LCKV_UNSUPPORTED, "there is no member %s here",
                quoted(name.bytes, name.length).text);
}

/* [begin:end:step]: what is left out is undefined. */
struct slice {
    bool is_slice; /* or an index, which is `bounds[0]` */
    struct value bounds[3];
};

static lckv_status read_slice(struct expression *e, struct slice *slice)
{
    lckv_status status = LCKV_OK;
    size_t at = 0;
    *slice = (struct slice){0};
    while (status == LCKV_OK && !expression_is(e, "]")) {
        bool is_colon = expression_is(e, ":");
        if (is_colon ? ++at > 2 : slice->is_slice && slice->bounds[at].kind != VALUE_UNDEFINED)
            return expression_refuse(e);
        slice->is_slice = slice->is_slice || is_colon;
        status = is_colon ? expression_next(e) : expression_value(e, &slice->bounds[at]);
        if (status == LCKV_OK && !is_colon && !expression_is(e, ":") && !expression_is(e, "]"))
            return expression_refuse(e);
    }
    return status == LCKV_OK ? expression_next(e) : status;
}

/* Takes messages[begin:] or messages[::-1]. */
static lckv_status take_slice(const struct slice *slice, struct value *value)
{
    const struct value *begin = &slice->bounds[0], *end = &slice->bounds[1],
                       *step = &slice->bounds[2];
    bool is_end =
        begin->kind == VALUE_INTEGER && begin->number >= 0 && step->kind == VALUE_UNDEFINED;
    bool is_reverse =
        begin->kind == VALUE_UNDEFINED && step->kind == VALUE_INTEGER && step->number == -1;
    if (value->kind != VALUE_MESSAGES || value->is_reversed || end->kind != VALUE_UNDEFINED ||
        (!is_end && !is_reverse))
        return fail(LCKV_UNSUPPORTED, "this subscript is not supported");
    if (is_end)
        value->number += begin->number;
    value->is_reversed = is_reverse;
    return LCKV_OK;
}

static lckv_status subscript(struct expression *e, struct value *value)
{
    struct slice slice;
    lckv_status status = read_slice(e, &slice);
    if (status != LCKV_OK || e->skipping > 0)
        return status;
    const struct value *index = &slice.bounds[0];
    if (slice.is_slice)
        return take_slice(&slice, value);
    if (index->kind == VALUE_TEXT && index->n_pieces == 1)
        return member(e, index->pieces[0].text, true, value);
    if (index->kind != VALUE_INTEGER ||
        (value->kind != VALUE_MESSAGES && value->kind != VALUE_PARTS))
        return fail(LCKV_UNSUPPORTED, "this subscript is not supported");
    if (value->kind == VALUE_PARTS)
        return expression_part_at(e, index->number, value);
    *value = value_element(e->scope, value, index->number);
    return LCKV_OK;
}

/* Reads .name or .name(arguments). */
static lckv_status dotted(struct expression *e, struct value *value)
{
    struct text name = e->token;
    struct arguments arguments;
    if (e->kind != TOKEN_NAME)
        return expression_refuse(e);
    lckv_status status = expression_next(e);
    if (status != LCKV_OK || !expression_is(e, "("))
        return status == LCKV_OK ? member(e, name, false, value) : status;
    status = expression_arguments(e, &arguments);
    if (status != LCKV_OK || e->skipping > 0)
        return status;
    return expression_method(e, name, &arguments, value);
}

/* Reads | name or | name(arguments). */
static lckv_status filter(struct expression *e, struct value *value)
{
    struct text name = e->token;
    struct arguments arguments = {.count = 0};
    if (e->kind != TOKEN_NAME)
        return expression_refuse(e);
    lckv_status status = expression_next(e);
    if (status == LCKV_OK && expression_is(e, "("))
        status = expression_arguments(e, &arguments);
    if (status != LCKV_OK || e->skipping > 0)
        return status;
    return expression_filter(e, name, &arguments, value);
}

/* Whether a value can be looped over, which holds for texts, too. */
static bool is_iterable(const struct value *value)
{
    return value->kind == VALUE_TEXT || value->kind == VALUE_MESSAGES ||
           value->kind == VALUE_MESSAGE;
}

/* Reads is [not] defined, undefined, none, string, true, false, mapping, iterable or sequence. */
static lckv_status test(struct expression *e, struct value *value)
{
    bool negated = expression_is(e, "not"), holds;
    lckv_status status = negated ? expression_next(e) : LCKV_OK;
    if (status != LCKV_OK)
        return status;
    bool is_shape =
        expression_is(e, "mapping") || expression_is(e, "iterable") || expression_is(e, "sequence");
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
    else if (is_shape)
        holds = expression_is(e, "mapping") ? value->kind == VALUE_MESSAGE : is_iterable(value);
    else
        return expression_refuse(e);
    if (is_shape && e->skipping == 0 &&
        (value->kind == VALUE_UNDEFINED || value->kind >= VALUE_LOOP))
        return fail(LCKV_UNSUPPORTED, "this test of the value is not supported");
    *value = value_bool(holds != negated);
    status = expression_next(e);
    return status == LCKV_OK && expression_is(e, "is") ? expression_refuse(e) : status;
}

/* Reads the arguments of a macro or of strftime_now(format), and calls it. */
static lckv_status call(struct expression *e, struct value *value)
{
    struct arguments arguments;
    struct text format;
    char *bytes;
    size_t length;
    if (e->skipping == 0 && value->kind != VALUE_CLOCK && value->kind != VALUE_MACRO)
        return expression_refuse(e);
    lckv_status status = expression_arguments(e, &arguments);
    if (status != LCKV_OK || e->skipping > 0)
        return status;
    if (value->kind == VALUE_MACRO)
        return template_call(e->scope->run, value->macro, &arguments, value);
    if (arguments.count != 1)
        return fail(LCKV_UNSUPPORTED, "strftime_now takes one argument");
    status = value_part(e->scope, &arguments.values[0], &format);
    if (status == LCKV_OK)
        status = arena_alloc(&e->scope->arena, TEMPLATE_MAX_DATE, 1, "a date", &bytes);
    if (status == LCKV_OK)
        status = template_format_date(&e->scope->input->date, format, bytes, &length);
    return status == LCKV_OK ? value_text(e->scope, (struct text){bytes, length}, false, value)
                             : status;
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
        status = expression_primary(e, value);
    if (negative)
        value->number = -value->number;
    if (status == LCKV_OK && expression_is(e, "("))
        status = call(e, value);
    if (status == LCKV_OK)
        status = suffixes(e, member_words, member_readers, value);
    return status == LCKV_OK ? suffixes(e, filter_words, filter_readers, value) : status;
}
