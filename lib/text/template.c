/*
 * Runs a chat template: output, if and set. See template_run.h.
 */
#include "text/template.h"

#include "base/status.h"
#include "base/text.h"
#include "text/template_expression.h"
#include "text/template_run.h"

#include <string.h>

#define MAX_NESTING 32 /* of if, for and macro */

static lckv_status write_value(struct run *run, const struct value *value)
{
    lckv_status status = LCKV_OK;
    if (value->kind == VALUE_UNDEFINED)
        return LCKV_OK;
    if (value->kind != VALUE_TEXT)
        return fail(LCKV_UNSUPPORTED, "output of a value that is not text is not supported");
    for (size_t i = 0; status == LCKV_OK && i < value->n_pieces; i++) {
        const struct piece *piece = &value->pieces[i];
        status = scope_spend(&run->scope, piece->text.length + 1);
        if (status == LCKV_OK && piece->text.length > 0)
            status = run->reader.sink(run->reader.context, piece->text, piece->is_message);
    }
    return status;
}

static lckv_status run_output(struct run *run, struct text inside)
{
    struct expression expression;
    struct value value = {.kind = VALUE_UNDEFINED};
    lckv_status status = expression_begin(&expression, &run->scope, inside);
    if (status == LCKV_OK)
        status = expression_value(&expression, &value);
    if (status == LCKV_OK)
        status = expression_end(&expression);
    return status == LCKV_OK ? write_value(run, &value) : status;
}

lckv_status scope_set(struct scope *scope, struct text name, const struct value *value)
{
    static const char *const fixed[] = {"true", "false", "none", "True", "False", "None", "loop"};
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        if (text_equals(name, fixed[i]))
            return fail(LCKV_UNSUPPORTED, "setting %s is not supported", fixed[i]);
    }
    if (scope->n_variables == TEMPLATE_MAX_VARIABLES)
        return fail(LCKV_UNSUPPORTED, "more than %d variables", TEMPLATE_MAX_VARIABLES);
    scope->variables[scope->n_variables++] = (struct variable){name, *value};
    return LCKV_OK;
}

/* Runs set name = value, or set name.member = value. */
static lckv_status run_set(struct run *run, struct expression *e)
{
    struct text name = e->token;
    struct value value = {.kind = VALUE_UNDEFINED}, owner = {.kind = VALUE_UNDEFINED};
    bool is_name = e->kind == TOKEN_NAME;
    lckv_status status = expression_next(e);
    bool is_member = status == LCKV_OK && is_name && expression_is(e, ".");
    if (is_member) {
        status = value_of_name(&run->scope, name, &owner);
        if (status == LCKV_OK && owner.kind != VALUE_NAMESPACE)
            return fail(LCKV_UNSUPPORTED, "setting a member of this value is not supported");
        if (status == LCKV_OK)
            status = expression_next(e);
        name = e->token;
        is_name = e->kind == TOKEN_NAME;
        if (status == LCKV_OK)
            status = expression_next(e);
    }
    if (status == LCKV_OK && (!is_name || !expression_is(e, "=")))
        return fail(LCKV_UNSUPPORTED, "this kind of set is not supported");
    if (status == LCKV_OK)
        status = expression_next(e);
    if (status == LCKV_OK)
        status = expression_value(e, &value);
    if (status == LCKV_OK)
        status = expression_end(e);
    if (status != LCKV_OK)
        return status;
    return is_member ? namespace_set(owner.members, name, &value)
                     : scope_set(&run->scope, name, &value);
}

static lckv_status condition(struct run *run, struct expression *e, bool *holds)
{
    struct value value = {.kind = VALUE_UNDEFINED};
    lckv_status status = expression_unconditional(e, &value);
    if (status == LCKV_OK)
        status = expression_end(e);
    return status == LCKV_OK ? value_truth(&run->scope, &value, holds) : status;
}

/* Runs if, elif and else. At most one of the bodies is active. */
static lckv_status run_if(struct run *run, struct expression *e, bool active)
{
    struct ending ending = {.expression = *e};
    bool done = !active, holds = false, is_else = false;
    for (;;) {
        lckv_status status = LCKV_OK;
        if (!done && !is_else)
            status = condition(run, &ending.expression, &holds);
        bool runs = !done && (is_else || holds);
        done = done || runs;
        if (status == LCKV_OK)
            status = template_run_body(run, runs, &ending);
        if (status != LCKV_OK)
            return status;
        if (expression_is(&ending.expression, "endif"))
            return LCKV_OK;
        is_else = expression_is(&ending.expression, "else");
        if (!is_else && !expression_is(&ending.expression, "elif"))
            return template_refuse(&run->reader, ending.tag.begin, "expected endif");
        if (!is_else)
            status = expression_next(&ending.expression);
        if (status != LCKV_OK)
            return status;
    }
}

/* Runs a block tag. *ended becomes true if the tag belongs to the if or for around it. */
static lckv_status run_block(struct run *run, bool active, struct ending *ending, bool *ended)
{
    struct expression *e = &ending->expression;
    lckv_status status = expression_begin(e, &run->scope, ending->tag.inside);
    if (status != LCKV_OK)
        return status;
    *ended = expression_is(e, "endif") || expression_is(e, "elif") || expression_is(e, "else") ||
             expression_is(e, "endfor") || expression_is(e, "endmacro");
    bool is_if = expression_is(e, "if"), is_for = expression_is(e, "for");
    bool is_set = expression_is(e, "set"), is_macro = expression_is(e, "macro");
    bool has_body = is_if || is_for || is_macro;
    /* These tags mark, for training, what the model said. They write nothing. */
    bool is_mark = expression_is(e, "generation") || expression_is(e, "endgeneration");
    if (*ended || is_mark)
        return LCKV_OK;
    if (expression_is(e, "raw") || (active && !has_body && !is_set))
        return fail(LCKV_UNSUPPORTED, "this statement is not supported");
    if (!has_body && !active)
        return LCKV_OK;
    status = expression_next(e);
    if (status != LCKV_OK || is_set)
        return status == LCKV_OK ? run_set(run, e) : status;
    if (++run->nesting > MAX_NESTING)
        return fail(LCKV_UNSUPPORTED, "if and for nested more than %d deep", MAX_NESTING);
    status = is_if    ? run_if(run, e, active)
             : is_for ? template_run_for(run, e, active)
                      : template_define_macro(run, e, active);
    run->nesting--;
    return status;
}

/* Runs a body up to the tag that ends it, or the whole template up to the end of its source. */
lckv_status template_run_body(struct run *run, bool active, struct ending *ending)
{
    bool ended = false;
    while (!ended) {
        lckv_status status = template_next_tag(&run->reader, active, &ending->tag);
        size_t begin = ending->tag.begin;
        if (status != LCKV_OK)
            return status;
        if (ending->tag.kind == TAG_END) {
            if (run->nesting > 0)
                return template_refuse(&run->reader, begin, "an if, for or macro does not end");
            return LCKV_OK;
        }
        if (ending->tag.kind == TAG_OUTPUT && active)
            status = run_output(run, ending->tag.inside);
        else if (ending->tag.kind == TAG_BLOCK)
            status = run_block(run, active, ending, &ended);
        if (status == LCKV_UNSUPPORTED && !run->reader.has_refused) {
            run->reader.has_refused = true;
            return fail_in(
                status, "the chat template at byte %zu, %s", begin,
                quoted(run->reader.source.bytes + begin, run->reader.place.at - begin).text);
        }
        if (status != LCKV_OK)
            return status;
    }
    return LCKV_OK;
}

/* Makes every line end \n, and leaves out one at the end of the source, as Jinja does. */
static lckv_status normalise(struct text source, struct arena *arena, struct text *normalised)
{
    char *bytes;
    lckv_status status = arena_alloc(arena, source.length + 1, 1, "a chat template", &bytes);
    if (status != LCKV_OK)
        return status;
    size_t length = 0;
    for (size_t i = 0; i < source.length; i++) {
        bool is_return = source.bytes[i] == '\r';
        bytes[length++] = is_return ? '\n' : source.bytes[i];
        if (is_return && i + 1 < source.length && source.bytes[i + 1] == '\n')
            i++;
    }
    if (length > 0 && bytes[length - 1] == '\n')
        length--;
    *normalised = (struct text){bytes, length};
    return LCKV_OK;
}

lckv_status template_run(struct text source, const struct template_input *input,
                         const lckv_allocator *allocator, template_sink sink, void *context)
{
    struct run *run;
    struct ending ending;
    if (source.length > TEMPLATE_MAX_LENGTH)
        return fail(LCKV_UNSUPPORTED, "a chat template of %zu bytes, expected at most %zu",
                    source.length, TEMPLATE_MAX_LENGTH);
    lckv_status status = memory_alloc(allocator, 1, sizeof *run, "a chat template", &run);
    if (status != LCKV_OK)
        return status;
    run->reader.sink = sink;
    run->reader.context = context;
    run->reader.place.at_line_start = true;
    run->scope.input = input;
    run->scope.run = run;
    arena_init(&run->scope.arena, allocator);
    scope_allow(&run->scope, source.length);
    status = normalise(source, &run->scope.arena, &run->reader.source);
    if (status == LCKV_OK)
        status = template_run_body(run, true, &ending);
    if (status == LCKV_OK && ending.tag.kind != TAG_END)
        status = template_refuse(&run->reader, ending.tag.begin, "it ends no if, for or macro");
    arena_release(&run->scope.arena);
    memory_free(allocator, run, 1, sizeof *run);
    return status;
}
