/*
 * Loops of chat templates: for over messages, numbers, lists and the parts of a text. See
 * template_run.h.
 */
#include "text/template_run.h"

#include "base/status.h"
#include "base/text.h"

/* What a loop goes over. Parts of a text are looked for one after the other. */
struct sequence {
    struct value value;
    size_t count;
    struct piece text; /* what is left of it, for parts */
};

static lckv_status count_parts(struct scope *scope, struct sequence *sequence)
{
    const struct text separator = sequence->value.separator;
    lckv_status status = value_flat(scope, &sequence->value, &sequence->text);
    if (status == LCKV_OK && sequence->value.number != 0)
        return fail(LCKV_UNSUPPORTED, "a loop over so many splits is not supported");
    if (status == LCKV_OK)
        status = scope_spend(scope, sequence->text.text.length);
    for (size_t at = 0; status == LCKV_OK && at != SIZE_MAX; sequence->count++) {
        at = template_find(sequence->text.text, separator, at);
        at = at == SIZE_MAX ? at : at + separator.length;
    }
    return status;
}

static lckv_status begin_sequence(struct scope *scope, struct sequence *sequence)
{
    const struct value *value = &sequence->value;
    sequence->count = 0;
    if (value->kind == VALUE_PARTS)
        return count_parts(scope, sequence);
    if (value->kind == VALUE_MESSAGES)
        sequence->count = value_count(scope, value);
    else if (value->kind == VALUE_LIST)
        sequence->count = (size_t)value->number;
    else if (value->kind == VALUE_RANGE)
        sequence->count = value->n_pieces;
    else if (value->kind != VALUE_UNDEFINED)
        return fail(LCKV_UNSUPPORTED, "a loop over this value is not supported");
    return LCKV_OK;
}

static lckv_status next_part(struct scope *scope, struct sequence *sequence, struct value *item)
{
    const struct text separator = sequence->value.separator;
    struct text *left = &sequence->text.text, part = *left;
    size_t end = template_find(*left, separator, 0);
    if (end != SIZE_MAX) {
        part.length = end;
        left->bytes += end + separator.length;
        left->length -= end + separator.length;
    }
    return value_text(scope, part, sequence->text.is_message, item);
}

/* The items are asked for in their order. */
static lckv_status next_item(struct scope *scope, struct sequence *sequence, size_t index,
                             struct value *item)
{
    const struct value *value = &sequence->value;
    int64_t i = (int64_t)index;
    if (value->kind == VALUE_PARTS)
        return next_part(scope, sequence, item);
    if (value->kind == VALUE_MESSAGES)
        *item = value_element(scope, value, i);
    else if (value->kind == VALUE_LIST)
        *item = value->elements[index];
    else
        *item = value_integer(value->number + (value->is_reversed ? -i : i));
    return LCKV_OK;
}

/* Reads `name in sequence`. */
static lckv_status read_for(struct run *run, struct expression *e, struct text *name,
                            struct sequence *sequence)
{
    *name = e->token;
    bool is_name = e->kind == TOKEN_NAME;
    lckv_status status = expression_next(e);
    if (status == LCKV_OK && (!is_name || !expression_is(e, "in")))
        return fail(LCKV_UNSUPPORTED, "this kind of for is not supported");
    if (status == LCKV_OK)
        status = expression_next(e);
    if (status == LCKV_OK)
        status = expression_unconditional(e, &sequence->value);
    if (status == LCKV_OK)
        status = expression_end(e);
    return status == LCKV_OK ? begin_sequence(&run->scope, sequence) : status;
}

lckv_status template_pay_for_body(struct run *run, size_t begin)
{
    return scope_spend(&run->scope, run->reader.place.at - begin);
}

lckv_status template_run_for(struct run *run, struct expression *e, bool active)
{
    struct scope *scope = &run->scope;
    struct text name = {"", 0};
    struct sequence sequence = {.count = 0};
    struct ending ending;
    lckv_status status = active ? read_for(run, e, &name, &sequence) : LCKV_OK;
    const size_t count = sequence.count, n_outside = scope->n_variables;
    const struct place body = run->reader.place;
    const struct loop outer = scope->loop;
    if (!outer.is_running)
        scope->first_local = n_outside;
    for (size_t i = 0; status == LCKV_OK && (i == 0 || i < count); i++) {
        struct value item;
        run->reader.place = body;
        scope->n_variables = n_outside;
        if (count > 0) {
            scope->loop = (struct loop){true, i, count, sequence.value};
            status = next_item(scope, &sequence, i, &item);
            if (status == LCKV_OK)
                status = scope_set(scope, name, &item);
        }
        if (status == LCKV_OK)
            status = template_run_body(run, count > 0, &ending);
        if (status == LCKV_OK && !expression_is(&ending.expression, "endfor"))
            return template_refuse(&run->reader, ending.tag.begin, "expected endfor");
        if (status == LCKV_OK)
            status = template_pay_for_body(run, body.at);
    }
    scope->n_variables = n_outside;
    scope->loop = outer;
    return status;
}
