/*
 * The values of names in chat templates, and the members of messages and namespaces. See
 * template_value.h.
 */
#include "text/template_value.h"

#include "base/status.h"
#include "base/text.h"

static lckv_status special_token(struct scope *scope, struct text text, struct value *value)
{
    return text.bytes != NULL ? value_text(scope, text, false, value) : LCKV_OK;
}

/* Refuses names that the field's tools define, but lckv does not. */
static lckv_status check_known(struct text name)
{
    static const char *const others[] = {
        "unk_token",       "sep_token", "cls_token", "mask_token", "additional_special_tokens",
        "raise_exception", "namespace", "range",     "dict",       "lipsum",
        "cycler",          "joiner",    "caller",    "varargs",    "kwargs"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (text_equals(name, others[i]))
            return fail(LCKV_UNSUPPORTED, "%s is not supported", others[i]);
    }
    return LCKV_OK;
}

lckv_status value_of_name(struct scope *scope, struct text name, struct value *value)
{
    const struct template_input *input = scope->input;
    *value = (struct value){.kind = VALUE_UNDEFINED};
    for (size_t i = scope->n_variables; i-- > 0;) {
        if (i >= scope->hidden_begin && i < scope->hidden_end)
            continue;
        if (text_compare(scope->variables[i].name, name) == 0) {
            *value = scope->variables[i].value;
            return LCKV_OK;
        }
    }
    if (text_equals(name, "messages"))
        *value = (struct value){.kind = VALUE_MESSAGES};
    else if (text_equals(name, "add_generation_prompt"))
        *value = value_bool(input->answer);
    else if (text_equals(name, "true") || text_equals(name, "True"))
        *value = value_bool(true);
    else if (text_equals(name, "false") || text_equals(name, "False"))
        *value = value_bool(false);
    else if (text_equals(name, "none") || text_equals(name, "None") || text_equals(name, "tools") ||
             text_equals(name, "documents"))
        value->kind = VALUE_NONE;
    else if (text_equals(name, "strftime_now"))
        value->kind = VALUE_CLOCK;
    else if (text_equals(name, "loop") && scope->loop.is_running)
        value->kind = VALUE_LOOP;
    else if (text_equals(name, "bos_token"))
        return special_token(scope, input->bos, value);
    else if (text_equals(name, "eos_token"))
        return special_token(scope, input->eos, value);
    else if (text_equals(name, "pad_token"))
        return special_token(scope, input->pad, value);
    else
        return check_known(name);
    return LCKV_OK;
}

lckv_status value_namespace(struct scope *scope, struct value *value)
{
    *value = (struct value){.kind = VALUE_NAMESPACE};
    lckv_status status = scope_spend(scope, sizeof *value->members);
    return status == LCKV_OK ? arena_alloc(&scope->arena, 1, sizeof *value->members,
                                           "a conversation", &value->members)
                             : status;
}

lckv_status namespace_set(struct namespace *members, struct text name, const struct value *value)
{
    size_t i = 0;
    while (i < members->n_members && text_compare(members->members[i].name, name) != 0)
        i++;
    if (i == TEMPLATE_MAX_MEMBERS)
        return fail(LCKV_UNSUPPORTED, "more than %d members of a namespace", TEMPLATE_MAX_MEMBERS);
    members->members[i] = (struct variable){name, *value};
    members->n_members += i == members->n_members;
    return LCKV_OK;
}

static struct value namespace_get(const struct namespace *members, struct text name)
{
    for (size_t i = 0; i < members->n_members; i++) {
        if (text_compare(members->members[i].name, name) == 0)
            return members->members[i].value;
    }
    return (struct value){.kind = VALUE_UNDEFINED};
}

lckv_status value_of_member(struct scope *scope, const struct value *owner, struct text name,
                            struct value *value)
{
    bool is_role = text_equals(name, "role");
    if (owner->kind == VALUE_NAMESPACE) {
        *value = namespace_get(owner->members, name);
        return LCKV_OK;
    }
    const lckv_message *m = template_message(scope->input, (size_t)owner->number);
    *value = (struct value){.kind = VALUE_UNDEFINED};
    if (!is_role && !text_equals(name, "content"))
        return LCKV_OK;
    struct text text = is_role ? (struct text){m->role, m->role_length}
                               : (struct text){m->content, m->content_length};
    if (text.length == 0)
        text.bytes = ""; /* the caller's may be NULL */
    return value_text(scope, text, true, value);
}
