/*
 * Reads the tokens of an expression. See template_expression.h.
 */
#include "text/template_expression.h"

#include "base/status.h"
#include "base/text.h"

#include <string.h>

static bool is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

lckv_status expression_refuse(const struct expression *e)
{
    if (e->kind == TOKEN_END)
        return fail(LCKV_UNSUPPORTED, "it ends too early");
    return fail(LCKV_UNSUPPORTED, "%s is not supported here",
                quoted(e->token.bytes, e->token.length).text);
}

static lckv_status read_string(struct expression *e, size_t begin)
{
    const char *bytes = e->source.bytes;
    size_t at = begin + 1;
    while (at < e->source.length && bytes[at] != bytes[begin])
        at += bytes[at] == '\\' ? 2 : 1;
    if (at >= e->source.length)
        return fail(LCKV_UNSUPPORTED, "a string does not end");
    e->kind = TOKEN_STRING;
    e->token = (struct text){bytes + begin + 1, at - begin - 1};
    e->at = at + 1;
    return LCKV_OK;
}

lckv_status expression_next(struct expression *e)
{
    const char *bytes = e->source.bytes;
    size_t at = e->at, length = e->source.length;
    while (at < length && strchr(" \t\n", bytes[at]) != NULL && bytes[at] != '\0')
        at++;
    size_t begin = at;
    e->at = at;
    e->kind = TOKEN_END;
    e->token = (struct text){bytes + at, 0};
    if (at == length)
        return LCKV_OK;
    if (bytes[at] == '\'' || bytes[at] == '"')
        return read_string(e, begin);
    if (is_name_start(bytes[at])) {
        e->kind = TOKEN_NAME;
        while (at < length && (is_name_start(bytes[at]) || is_digit(bytes[at])))
            at++;
    } else if (is_digit(bytes[at])) {
        e->kind = TOKEN_INTEGER;
        while (at < length && is_digit(bytes[at]))
            at++;
        if (at < length && (is_name_start(bytes[at]) || bytes[at] == '.'))
            return fail(LCKV_UNSUPPORTED, "this kind of number is not supported");
    } else {
        static const char *const pairs[] = {"==", "!=", "<=", ">=", "//", "**"};
        e->kind = TOKEN_OPERATOR;
        at++;
        for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
            if (length - begin >= 2 && memcmp(bytes + begin, pairs[i], 2) == 0)
                at = begin + 2;
        }
    }
    e->token = (struct text){bytes + begin, at - begin};
    e->at = at;
    return LCKV_OK;
}

lckv_status expression_begin(struct expression *e, struct scope *scope, struct text source)
{
    *e = (struct expression){.scope = scope, .source = source};
    return expression_next(e);
}

bool expression_is(const struct expression *e, const char *word)
{
    return (e->kind == TOKEN_NAME || e->kind == TOKEN_OPERATOR) && text_equals(e->token, word);
}

lckv_status expression_end(const struct expression *e)
{
    return e->kind == TOKEN_END ? LCKV_OK : expression_refuse(e);
}

lckv_status expression_expect(struct expression *e, const char *word)
{
    return expression_is(e, word) ? expression_next(e) : expression_refuse(e);
}
