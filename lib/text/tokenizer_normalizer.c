/*
 * Reads the normaliser of tokenizer.json, or the same description from GGUF metadata. Kinds that
 * this version lacks are refused by name.
 */
#include "text/tokenizer_parts.h"

#include "base/status.h"

#define NORMALIZER "normalizer"

static const struct text no_pattern = {"", 0};

static lckv_status add_step(struct tokenizer *tokenizer, const struct normalizer_step *step,
                            struct text pattern)
{
    lckv_status status = normalizer_add(&tokenizer->normalizer, step, pattern);
    return status == LCKV_OK ? status : fail_in(status, NORMALIZER);
}

static lckv_status read_strip(struct tokenizer *tokenizer, const struct json_value *strip)
{
    struct normalizer_step step = {.kind = NORMALIZER_STRIP, .at_start = true, .at_end = true};
    lckv_status status =
        tokenizer_check_members(strip, NORMALIZER ": Strip", "type strip_left strip_right");
    if (status == LCKV_OK)
        status = json_get_bool(strip, NORMALIZER, "strip_left", &step.at_start, NULL);
    if (status == LCKV_OK)
        status = json_get_bool(strip, NORMALIZER, "strip_right", &step.at_end, NULL);
    return status == LCKV_OK ? add_step(tokenizer, &step, no_pattern) : status;
}

/* Reads the text that a step puts into the place of something, or in front. */
static lckv_status read_content(struct tokenizer *tokenizer, const struct json_value *object,
                                const char *what, const char *member, struct text *content)
{
    bool found = false;
    lckv_status status = json_get_text(object, what, member, content, &found);
    if (status == LCKV_OK && !found)
        return fail(LCKV_BAD_FORMAT, "%s: %s is missing, expected a string", what, member);
    return status == LCKV_OK
               ? arena_copy(&tokenizer->arena, content->bytes, content->length, &content->bytes)
               : status;
}

static lckv_status read_replace(struct tokenizer *tokenizer, const struct json_value *replace)
{
    static const char what[] = NORMALIZER ": Replace";
    struct normalizer_step step = {.kind = NORMALIZER_REPLACE};
    struct text pattern = {"", 0};
    lckv_status status = tokenizer_check_members(replace, what, "type pattern content");
    if (status == LCKV_OK)
        status = tokenizer_read_pattern(tokenizer, replace, what, &pattern);
    if (status == LCKV_OK)
        status = read_content(tokenizer, replace, what, "content", &step.content);
    return status == LCKV_OK ? add_step(tokenizer, &step, pattern) : status;
}

static lckv_status read_prepend(struct tokenizer *tokenizer, const struct json_value *prepend)
{
    static const char what[] = NORMALIZER ": Prepend";
    struct normalizer_step step = {.kind = NORMALIZER_PREPEND};
    lckv_status status = tokenizer_check_members(prepend, what, "type prepend");
    if (status == LCKV_OK)
        status = read_content(tokenizer, prepend, what, "prepend", &step.content);
    return status == LCKV_OK ? add_step(tokenizer, &step, no_pattern) : status;
}

lckv_status tokenizer_read_rules(struct tokenizer *tokenizer, const struct json_value *object,
                                 const char *what, struct charsmap *rules)
{
    struct text encoded = {"", 0};
    lckv_status status = tokenizer_check_members(object, what, "type precompiled_charsmap");
    if (status == LCKV_OK)
        status = json_get_text(object, what, "precompiled_charsmap", &encoded, NULL);
    if (status != LCKV_OK)
        return status;
    status = charsmap_init_base64(rules, encoded, &tokenizer->arena);
    return status == LCKV_OK ? status : fail_in(status, "%s: precompiled_charsmap", what);
}

static lckv_status read_precompiled(struct tokenizer *tokenizer, const struct json_value *object)
{
    struct normalizer_step step = {.kind = NORMALIZER_PRECOMPILED};
    lckv_status status = tokenizer_read_rules(tokenizer, object, NORMALIZER, &step.rules);
    return status == LCKV_OK ? add_step(tokenizer, &step, no_pattern) : status;
}

/* Kinds without members. */
static const struct {
    const char *name;
    struct normalizer_step step;
} plain_kinds[] = {
    {"NFC", {.kind = NORMALIZER_FORM, .form = NORMAL_FORM_C}},
    {"NFD", {.kind = NORMALIZER_FORM, .form = NORMAL_FORM_D}},
    {"NFKC", {.kind = NORMALIZER_FORM, .form = NORMAL_FORM_KC}},
    {"NFKD", {.kind = NORMALIZER_FORM, .form = NORMAL_FORM_KD}},
    {"Lowercase", {.kind = NORMALIZER_LOWERCASE}},
    {"StripAccents", {.kind = NORMALIZER_STRIP_ACCENTS}},
};
#define N_PLAIN_KINDS (sizeof plain_kinds / sizeof plain_kinds[0])

static lckv_status read_step(struct tokenizer *tokenizer, const struct json_value *object)
{
    struct text type;
    lckv_status status = tokenizer_get_type(object, NORMALIZER, &type);
    if (status != LCKV_OK)
        return status;
    if (text_equals(type, "Strip"))
        return read_strip(tokenizer, object);
    if (text_equals(type, "Replace"))
        return read_replace(tokenizer, object);
    if (text_equals(type, "Prepend"))
        return read_prepend(tokenizer, object);
    if (text_equals(type, "Precompiled"))
        return read_precompiled(tokenizer, object);
    if (text_equals(type, "Sequence")) {
        status = tokenizer_check_members(object, NORMALIZER, "type normalizers");
        return status == LCKV_OK ? tokenizer_read_sequence(tokenizer, object, NORMALIZER,
                                                           "normalizers", read_step)
                                 : status;
    }
    for (size_t i = 0; i < N_PLAIN_KINDS; i++) {
        if (!text_equals(type, plain_kinds[i].name))
            continue;
        status = tokenizer_check_members(object, NORMALIZER, "type");
        return status == LCKV_OK ? add_step(tokenizer, &plain_kinds[i].step, no_pattern) : status;
    }
    return tokenizer_refuse_kind(NORMALIZER, type);
}

lckv_status tokenizer_add_nfc(struct tokenizer *tokenizer)
{
    return add_step(tokenizer, &plain_kinds[0].step, no_pattern);
}

lckv_status tokenizer_read_normalizer(struct tokenizer *tokenizer,
                                      const struct json_value *normalizer)
{
    static const struct normalizer_step repair = {.kind = NORMALIZER_REPAIR};
    char *source;
    if (normalizer == NULL)
        return LCKV_OK;
    size_t length = json_write(normalizer, NULL, 0);
    lckv_status status = arena_text(&tokenizer->arena, length, &source);
    if (status == LCKV_OK && tokenizer->vocabulary.metaspace) /* others cut such bytes out before */
        status = add_step(tokenizer, &repair, no_pattern);
    if (status != LCKV_OK)
        return status;
    tokenizer->normalizer_source.length = json_write(normalizer, source, length);
    tokenizer->normalizer_source.bytes = source;
    return read_step(tokenizer, normalizer);
}

lckv_status tokenizer_read_normalizer_text(struct tokenizer *tokenizer, struct text json)
{
    struct json_document document = {.root = NULL};
    lckv_status status =
        json_parse(json.bytes, json.length, "JSON", &tokenizer->arena.allocator, &document);
    if (status == LCKV_OK && !json_is(document.root, JSON_OBJECT))
        status = fail(LCKV_BAD_FORMAT, "expected an object");
    if (status == LCKV_OK)
        status = tokenizer_read_normalizer(tokenizer, document.root);
    json_release(&document);
    return status == LCKV_OK ? status : fail_in(status, "%s", KEY_NORMALIZER);
}
