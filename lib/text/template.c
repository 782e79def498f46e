/*
 * Runs a chat template: output, if, for and set.
 */
#include "text/template.h"

#include "base/status.h"
#include "base/text.h"
#include "text/template_expression.h"
#include "text/template_tags.h"

#include <string.h>

#define MAX_NESTING 32 /* of if and for */

struct run {
    struct template_reader reader;
    struct scope scope;
    int nesting;
};

/* The block tag that ended a body. Its keyword has been read. */
struct ending {
    struct tag tag;
    struct expression expression;
};

static lckv_status run_body(struct run *run, bool active, struct ending *ending);

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

static lckv_status set_variable(struct scope *scope, struct text name, const struct value *value)
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
                     : set_variable(&run->scope, name, &value);
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
    bool done = !active, holds = false;
    for (;;) {
        lckv_status status = LCKV_OK;
        bool is_else = expression_is(&ending.expression, "else");
        if (!done && !is_else)
            status = condition(run, &ending.expression, &holds);
        bool runs = !done && (is_else || holds);
        done = done || runs;
        if (status == LCKV_OK)
            status = run_body(run, runs, &ending);
        if (status != LCKV_OK)
            return status;
        if (expression_is(&ending.expression, "endif"))
            return LCKV_OK;
        bool is_elif = expression_is(&ending.expression, "elif");
        if (!is_elif && !expression_is(&ending.expression, "else"))
            return template_refuse(&run->reader, ending.tag.begin, "expected endif");
        if (is_elif)
            status = expression_next(&ending.expression);
        if (status != LCKV_OK)
            return status;
    }
}

/* Reads `for name in messages`. */
static lckv_status read_for(struct run *run, struct expression *e, struct text *name,
                            struct value *messages)
{
    *name = e->token;
    bool is_name = e->kind == TOKEN_NAME;
    lckv_status status = expression_next(e);
    if (status == LCKV_OK && (!is_name || !expression_is(e, "in")))
        return fail(LCKV_UNSUPPORTED, "this kind of for is not supported");
    if (status == LCKV_OK)
        status = expression_next(e);
    if (status == LCKV_OK)
        status = expression_unconditional(e, messages);
    if (status == LCKV_OK)
        status = expression_end(e);
    if (status == LCKV_OK && (messages->kind != VALUE_MESSAGES || run->scope.in_loop))
        return fail(LCKV_UNSUPPORTED, "only one for over the messages is supported");
    return status;
}

static lckv_status run_for(struct run *run, struct expression *e, bool active)
{
    struct scope *scope = &run->scope;
    struct text name = {"", 0};
    struct value messages = {.kind = VALUE_MESSAGES};
    struct ending ending;
    lckv_status status = active ? read_for(run, e, &name, &messages) : LCKV_OK;
    if (status != LCKV_OK)
        return status;
    size_t count = active ? value_count(scope, &messages) : 0, n_outside = scope->n_variables;
    const struct place body = run->reader.place;
    bool was_in_loop = scope->in_loop;
    for (size_t i = 0; i == 0 || i < count; i++) {
        run->reader.place = body;
        scope->n_variables = n_outside;
        if (count > 0) {
            scope->loop_index = i;
            scope->loop_count = count;
            scope->loop_messages = messages;
            scope->in_loop = true;
        }
        struct value message = value_element(scope, &messages, (int64_t)i);
        if (count > 0)
            status = set_variable(scope, name, &message);
        if (status == LCKV_OK)
            status = run_body(run, count > 0, &ending);
        if (status != LCKV_OK)
            return status;
        if (!expression_is(&ending.expression, "endfor"))
            return template_refuse(&run->reader, ending.tag.begin, "expected endfor");
    }
    scope->n_variables = n_outside;
    scope->in_loop = was_in_loop;
    return LCKV_OK;
}

/* Moves over a macro. Its name is known from here on, but what it would write is not. */
static lckv_status skip_macro(struct run *run, struct expression *e, bool active)
{
    const struct value macro = {.kind = VALUE_UNKNOWN};
    struct ending ending;
    lckv_status status = LCKV_OK;
    if (active)
        status = set_variable(&run->scope, e->token, &macro);
    if (status == LCKV_OK)
        status = run_body(run, false, &ending);
    if (status == LCKV_OK && !expression_is(&ending.expression, "endmacro"))
        return template_refuse(&run->reader, ending.tag.begin, "expected endmacro");
    return status;
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
             : is_for ? run_for(run, e, active)
                      : skip_macro(run, e, active);
    run->nesting--;
    return status;
}

/* Runs a body up to the tag that ends it, or the whole template up to the end of its source. */
static lckv_status run_body(struct run *run, bool active, struct ending *ending)
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
    arena_init(&run->scope.arena, allocator);
    scope_allow(&run->scope, source.length);
    status = normalise(source, &run->scope.arena, &run->reader.source);
    if (status == LCKV_OK)
        status = run_body(run, true, &ending);
    if (status == LCKV_OK && ending.tag.kind != TAG_END)
        status = template_refuse(&run->reader, ending.tag.begin, "it ends no if, for or macro");
    arena_release(&run->scope.arena);
    memory_free(allocator, run, 1, sizeof *run);
    return status;
}
