/*
 * Macros of chat templates: texts with parameters. See template_run.h.
 */
#include "text/template_run.h"

#include "base/status.h"

#define MAX_CALLS 4 /* one within the other */

lckv_status template_define_macro(struct run *run, struct expression *e, bool active)
{
    struct value value = {.kind = VALUE_MACRO};
    struct macro *macro;
    struct ending ending;
    lckv_status status = LCKV_OK;
    if (active && (run->scope.loop.is_running || run->n_calls > 0))
        return fail(LCKV_UNSUPPORTED, "a macro within a loop or a macro is not supported");
    if (active)
        status = arena_alloc(&run->scope.arena, 1, sizeof *macro, "a macro", &macro);
    if (active && status == LCKV_OK) {
        *macro = (struct macro){run->reader.place, e->source};
        value.macro = macro;
        status = scope_set(&run->scope, e->token, &value);
    }
    if (status == LCKV_OK)
        status = template_run_body(run, false, &ending);
    if (status == LCKV_OK && !expression_is(&ending.expression, "endmacro"))
        return template_refuse(&run->reader, ending.tag.begin, "expected endmacro");
    return status;
}

/* What a macro has written. */
struct capture {
    struct scope *scope;
    struct value text;
};

static lckv_status capture(void *context, struct text text, bool is_message)
{
    struct capture *captured = context;
    struct value more;
    lckv_status status = value_text(captured->scope, text, is_message, &more);
    return status == LCKV_OK ? value_join(captured->scope, &captured->text, &more, &captured->text)
                             : status;
}

/* Reads the next parameter: a name, perhaps with a value for when there is no argument. */
static lckv_status read_parameter(struct expression *e, const struct value *argument)
{
    struct text name = e->token;
    struct value value = {.kind = VALUE_UNDEFINED};
    if (e->kind != TOKEN_NAME)
        return expression_refuse(e);
    lckv_status status = expression_next(e);
    if (status == LCKV_OK && expression_is(e, "=")) {
        e->skipping += argument != NULL;
        status = expression_next(e);
        if (status == LCKV_OK)
            status = expression_value(e, &value);
        e->skipping -= argument != NULL;
    }
    if (status == LCKV_OK && !expression_is(e, ")"))
        status = expression_expect(e, ",");
    return status == LCKV_OK ? scope_set(e->scope, name, argument != NULL ? argument : &value)
                             : status;
}

/* Gives the parameters their values. */
static lckv_status bind(struct run *run, const struct macro *macro,
                        const struct arguments *arguments)
{
    struct expression e;
    size_t n = 0;
    lckv_status status = expression_begin(&e, &run->scope, macro->inside);
    for (int words = 0; status == LCKV_OK && words < 2; words++)
        status = expression_next(&e);
    if (status == LCKV_OK)
        status = expression_expect(&e, "(");
    while (status == LCKV_OK && !expression_is(&e, ")")) {
        status = read_parameter(&e, n < arguments->count ? &arguments->values[n] : NULL);
        n++;
    }
    if (status == LCKV_OK && n < arguments->count)
        return fail(LCKV_UNSUPPORTED, "a macro is given more than its %zu arguments", n);
    return status;
}

/* Runs the macro where its names are seen: those outside of all loops, and its own. */
static lckv_status run_macro(struct run *run, const struct macro *macro,
                             const struct arguments *arguments)
{
    struct scope *scope = &run->scope;
    struct ending ending;
    if (run->n_calls == 1)
        scope->hidden_begin = scope->loop.is_running ? scope->first_local : scope->n_variables;
    scope->hidden_end = scope->n_variables;
    scope->loop = (struct loop){.is_running = false};
    lckv_status status = bind(run, macro, arguments);
    run->reader.place = macro->body;
    if (status == LCKV_OK)
        status = template_run_body(run, true, &ending);
    return status == LCKV_OK ? template_pay_for_body(run, macro->body.at) : status;
}

lckv_status template_call(struct run *run, const struct macro *macro,
                          const struct arguments *arguments, struct value *value)
{
    struct scope *scope = &run->scope;
    struct capture captured = {.scope = scope};
    const struct template_reader reader = run->reader;
    const struct loop loop = scope->loop;
    const size_t n_variables = scope->n_variables, hidden_begin = scope->hidden_begin,
                 hidden_end = scope->hidden_end, first_local = scope->first_local;
    if (run->n_calls == MAX_CALLS)
        return fail(LCKV_UNSUPPORTED, "macros that call each other more than %d deep", MAX_CALLS);
    lckv_status status = value_text(scope, (struct text){"", 0}, false, &captured.text);
    if (status != LCKV_OK)
        return status;
    run->n_calls++;
    run->reader.sink = capture;
    run->reader.context = &captured;
    status = run_macro(run, macro, arguments);
    run->n_calls--;
    run->reader.place = reader.place;
    run->reader.sink = reader.sink;
    run->reader.context = reader.context;
    scope->loop = loop;
    scope->n_variables = n_variables;
    scope->hidden_begin = hidden_begin;
    scope->hidden_end = hidden_end;
    scope->first_local = first_local;
    *value = captured.text;
    return status;
}
