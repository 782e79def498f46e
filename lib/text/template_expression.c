/*
 * The operators in expressions of chat templates: Jinja's grammar by recursive descent. Expressions
 * are evaluated while they are read. Each level of precedence has a function; the operators that
 * bind loosest come last.
 */
#include "text/template_expression.h"

#include "base/status.h"
#include "base/text.h"

#include <string.h>

#define MAX_DEPTH 16 /* each level is read once more */

static lckv_status product(struct expression *e, struct value *value)
{
    struct value right;
    lckv_status status = expression_operand(e, value);
    while (status == LCKV_OK && expression_is(e, "%")) {
        status = expression_next(e);
        if (status == LCKV_OK)
            status = expression_operand(e, &right);
        if (status != LCKV_OK || e->skipping > 0)
            continue;
        if (value->kind != VALUE_INTEGER || right.kind != VALUE_INTEGER || value->number < 0 ||
            right.number <= 0)
            return fail(LCKV_UNSUPPORTED, "%% of these values is not supported");
        value->number %= right.number;
    }
    return status;
}

/* Joins texts, or adds or subtracts integers. */
static lckv_status combine(struct expression *e, char operator, const struct value * right,
                           struct value *value)
{
    bool are_integers = value->kind == VALUE_INTEGER && right->kind == VALUE_INTEGER;
    if (value->kind == VALUE_TEXT && right->kind == VALUE_TEXT && operator!= '-')
        return value_join(e->scope, value, right, value);
    if (!are_integers || operator== '~')
        return fail(LCKV_UNSUPPORTED, "%c of these values is not supported", operator);
    int64_t number = value->number + (operator== '+' ? right->number : - right->number);
    if (number > TEMPLATE_MAX_INTEGER || number < -TEMPLATE_MAX_INTEGER)
        return fail(LCKV_UNSUPPORTED, "a number above %d", TEMPLATE_MAX_INTEGER);
    value->number = number;
    return LCKV_OK;
}

/* Reads operands with one of the operators between them. */
static lckv_status join(struct expression *e, const char *operators,
                        lckv_status (*operand)(struct expression *, struct value *),
                        struct value *value)
{
    struct value right = {.kind = VALUE_UNDEFINED};
    lckv_status status = operand(e, value);
    while (status == LCKV_OK && e->kind == TOKEN_OPERATOR && e->token.length == 1 &&
           strchr(operators, e->token.bytes[0]) != NULL) {
        char operator= e->token.bytes[0];
        status = expression_next(e);
        if (status == LCKV_OK)
            status = operand(e, &right);
        if (status == LCKV_OK && e->skipping == 0)
            status = combine(e, operator, & right, value);
    }
    return status;
}

/* ~ binds closer than + and -. */
static lckv_status concatenation(struct expression *e, struct value *value)
{
    return join(e, "~", product, value);
}

static lckv_status sum(struct expression *e, struct value *value)
{
    return join(e, "+-", concatenation, value);
}

/* a in [b, c]: whether it equals one of them. */
static lckv_status is_element(struct scope *scope, const struct value *what,
                              const struct value *list, bool *result)
{
    lckv_status status = LCKV_OK;
    for (int64_t i = 0; status == LCKV_OK && !*result && i < list->number; i++)
        status = value_equals(scope, what, &list->elements[i], result);
    return status;
}

/*
 * Whether a list or a text contains a value, or a message a member. Nothing is in what is
 * undefined. *result is false before.
 */
static lckv_status contains(struct scope *scope, const struct value *what, const struct value *in,
                            bool *result)
{
    if (in->kind == VALUE_LIST)
        return is_element(scope, what, in, result);
    if (in->kind == VALUE_UNDEFINED)
        return LCKV_OK;
    struct text part;
    struct piece whole;
    if (what->kind != VALUE_TEXT || (in->kind != VALUE_MESSAGE && in->kind != VALUE_TEXT))
        return fail(LCKV_UNSUPPORTED, "\"in\" for these values is not supported");
    lckv_status status = value_part(scope, what, &part);
    if (status == LCKV_OK && in->kind == VALUE_MESSAGE) {
        *result = text_equals(part, "role") || text_equals(part, "content");
        return LCKV_OK;
    }
    if (status == LCKV_OK)
        status = value_flat(scope, in, &whole);
    if (status == LCKV_OK)
        status = scope_spend(scope, whole.text.length);
    *result = status == LCKV_OK && template_find(whole.text, part, 0) != SIZE_MAX;
    return status;
}

static lckv_status compare(struct scope *scope, const struct value *left, const struct value *right,
                           struct text operator, bool * result)
{
    if (text_equals(operator, "in"))
        return contains(scope, left, right, result);
    if (text_equals(operator, "==") || text_equals(operator, "!=")) {
        lckv_status status = value_equals(scope, left, right, result);
        *result = *result == text_equals(operator, "==");
        return status;
    }
    if (left->kind != VALUE_INTEGER || right->kind != VALUE_INTEGER)
        return fail(LCKV_UNSUPPORTED, "ordering values that are not numbers is not supported");
    bool or_equal = operator.length == 2 && left->number == right->number;
    *result = or_equal || (operator.bytes[0] == '<' ? left->number < right->number
                                                    : left->number> right->number);
    return LCKV_OK;
}

static lckv_status comparison(struct expression *e, struct value *value)
{
    static const char *const operators[] = {"==", "!=", "<", ">", "<=", ">=", "in", "not"};
    lckv_status status = sum(e, value);
    bool found = false, negated = status == LCKV_OK && expression_is(e, "not");
    for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++)
        found = found || expression_is(e, operators[i]);
    if (status != LCKV_OK || !found)
        return status;
    if (negated) {
        status = expression_next(e);
        if (status == LCKV_OK && !expression_is(e, "in"))
            return expression_refuse(e);
    }
    struct text operator= e->token;
    struct value right;
    bool result = false;
    if (status == LCKV_OK)
        status = expression_next(e);
    if (status == LCKV_OK)
        status = sum(e, &right);
    if (status == LCKV_OK && e->skipping == 0)
        status = compare(e->scope, value, &right, operator, & result);
    *value = value_bool(result != negated);
    return status;
}

static lckv_status negation(struct expression *e, struct value *value)
{
    if (!expression_is(e, "not"))
        return comparison(e, value);
    if (++e->depth > MAX_DEPTH)
        return fail(LCKV_UNSUPPORTED, "an expression nested more than %d deep", MAX_DEPTH);
    lckv_status status = expression_next(e);
    if (status == LCKV_OK)
        status = negation(e, value);
    bool holds = false;
    if (status == LCKV_OK)
        status = value_truth(e->scope, value, &holds);
    e->depth--;
    *value = value_bool(!holds);
    return status;
}

/* Reads operands joined by `word`. The value is the first that decides the result, or the last. */
static lckv_status chain(struct expression *e, const char *word, bool deciding,
                         lckv_status (*operand)(struct expression *, struct value *),
                         struct value *value)
{
    lckv_status status = operand(e, value);
    while (status == LCKV_OK && expression_is(e, word)) {
        struct value next = {.kind = VALUE_UNDEFINED};
        bool holds;
        status = value_truth(e->scope, value, &holds);
        if (status != LCKV_OK)
            return status;
        bool decided = holds == deciding;
        e->skipping += decided;
        status = expression_next(e);
        if (status == LCKV_OK)
            status = operand(e, &next);
        e->skipping -= decided;
        if (!decided)
            *value = next;
    }
    return status;
}

static lckv_status conjunction(struct expression *e, struct value *value)
{
    return chain(e, "and", false, negation, value);
}

lckv_status expression_unconditional(struct expression *e, struct value *value)
{
    return chain(e, "or", true, conjunction, value);
}

/* Reads a if condition else b. When `a` is read, it is not yet known whether it counts. */
static lckv_status conditional(struct expression *e, struct value *value)
{
    struct expression start = *e;
    struct value condition = {.kind = VALUE_UNDEFINED}, other = {.kind = VALUE_UNDEFINED};
    e->skipping++;
    lckv_status status = expression_unconditional(e, value);
    e->skipping--;
    bool is_conditional = status == LCKV_OK && expression_is(e, "if"), holds = true;
    if (is_conditional) {
        status = expression_next(e);
        if (status == LCKV_OK)
            status = expression_unconditional(e, &condition);
        if (status == LCKV_OK)
            status = value_truth(e->scope, &condition, &holds);
        if (status == LCKV_OK && expression_is(e, "else")) {
            e->skipping += holds;
            status = expression_next(e);
            if (status == LCKV_OK)
                status = expression_value(e, &other);
            e->skipping -= holds;
        }
    }
    if (status != LCKV_OK || e->skipping > 0)
        return status;
    *value = other;
    return holds ? expression_unconditional(&start, value) : LCKV_OK;
}

lckv_status expression_value(struct expression *e, struct value *value)
{
    *value = (struct value){.kind = VALUE_UNDEFINED};
    if (++e->depth > MAX_DEPTH)
        return fail(LCKV_UNSUPPORTED, "an expression nested more than %d deep", MAX_DEPTH);
    lckv_status status = conditional(e, value);
    e->depth--;
    return status;
}
