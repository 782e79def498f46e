/*
 * Reads the normaliser of a tokenizer.json whose vocabulary is spelled with U+2581. The usual ones
 * do what spacing_apply does, and other programs know them in GGUF files. Any other runs as it
 * stands, before all else; and so do the usual ones where tokens are found in what they give.
 */
#include "text/spaced_steps.h"

#include "base/status.h"
#include "text/metaspace.h"

#define NORMALIZER "tokenizer.json: normalizer"

/* ---- The usual ones ---- */

static lckv_status fail_unusual(void)
{
    return fail(LCKV_UNSUPPORTED, NORMALIZER ": not as other programs know it with U+2581");
}

/* Begins the next stage; what is done twice, or in another order, is not done by spacing_apply. */
static lckv_status enter(struct spaced_steps *steps, enum spaced_stage stage)
{
    if (stage <= steps->stage)
        return fail_unusual();
    steps->stage = stage;
    return LCKV_OK;
}

static lckv_status read_strip(struct spaced_steps *steps, const struct json_value *step)
{
    bool left = true, right = true;
    lckv_status status =
        tokenizer_check_members(step, NORMALIZER ": Strip", "type strip_left strip_right");
    if (status == LCKV_OK)
        status = json_get_bool(step, NORMALIZER, "strip_left", &left, NULL);
    if (status == LCKV_OK)
        status = json_get_bool(step, NORMALIZER, "strip_right", &right, NULL);
    if (status == LCKV_OK && left)
        return fail_unusual();
    steps->tokenizer->spacing.trim_end = steps->tokenizer->spacing.trim_white = right;
    return status;
}

static lckv_status read_replace(struct spaced_steps *steps, const struct json_value *step)
{
    struct text content = {"", 0};
    lckv_status status =
        tokenizer_check_members(step, NORMALIZER ": Replace", "type pattern content");
    if (status == LCKV_OK)
        status = json_get_text(step, NORMALIZER ": Replace", "content", &content, NULL);
    if (status != LCKV_OK)
        return status;
    if (spaced_pattern_is(step, "String", " ") && text_equals(content, METASPACE)) {
        steps->marked = steps->unspaced = true;
        return enter(steps, STAGE_MARKS);
    }
    if (spaced_pattern_is(step, "Regex", " {2,}") &&
        (text_equals(content, METASPACE) || text_equals(content, " "))) {
        steps->tokenizer->spacing.collapse = true;
        return enter(steps, STAGE_COLLAPSE);
    }
    return fail_unusual();
}

static lckv_status read_prepend(struct spaced_steps *steps, const struct json_value *step)
{
    struct text prefix = {"", 0};
    lckv_status status = tokenizer_check_members(step, NORMALIZER ": Prepend", "type prepend");
    if (status == LCKV_OK)
        status = json_get_text(step, NORMALIZER ": Prepend", "prepend", &prefix, NULL);
    if (status == LCKV_OK && !text_equals(prefix, METASPACE))
        return fail_unusual();
    steps->tokenizer->spacing.prefix = SPACING_EACH_PREFIX;
    return status == LCKV_OK ? enter(steps, STAGE_PREPEND) : status;
}

lckv_status spaced_read_usual(struct spaced_steps *steps, const struct json_value *step)
{
    struct text type;
    lckv_status status = tokenizer_get_type(step, NORMALIZER, &type);
    if (status != LCKV_OK)
        return status;
    if (text_equals(type, "Sequence"))
        return spaced_read_list(steps, step, NORMALIZER, "type normalizers", "normalizers",
                                spaced_read_usual);
    if (text_equals(type, "Replace"))
        return read_replace(steps, step);
    if (text_equals(type, "Prepend"))
        return read_prepend(steps, step);
    if (text_equals(type, "Precompiled")) {
        status = enter(steps, STAGE_RULES);
        return status == LCKV_OK ? tokenizer_read_rules(steps->tokenizer, step, NORMALIZER,
                                                        &steps->tokenizer->spacing.charsmap)
                                 : status;
    }
    if (!text_equals(type, "Strip"))
        return fail_unusual();
    status = enter(steps, STAGE_STRIP);
    return status == LCKV_OK ? read_strip(steps, step) : status;
}

/* ---- Any other ---- */

/* The last step of all. */
static const struct json_value *last_step(const struct json_value *step)
{
    const struct json_value *steps = json_find(step, "normalizers"), *last = NULL;
    for (const struct json_value *next = json_first(steps); next != NULL;
         next = json_next(steps, next))
        last = next;
    return last != NULL ? last_step(last) : step;
}

/* Whether a step puts U+2581 in the place of something. */
static bool makes_marks(const struct json_value *step)
{
    const struct json_value *steps = json_find(step, "normalizers");
    const struct json_value *content = json_find(step, "content");
    bool makes = json_is(content, JSON_STRING) && text_equals(json_text(content), METASPACE);
    for (const struct json_value *next = json_first(steps); next != NULL && !makes;
         next = json_next(steps, next))
        makes = makes_marks(next);
    return makes;
}

lckv_status spaced_read_any(struct spaced_steps *steps, const struct json_value *normalizer)
{
    const struct json_value *last = last_step(normalizer);
    steps->tokenizer->spacing.is_done = true;
    steps->apart = true;
    steps->marked = makes_marks(normalizer);
    steps->unspaced = spaced_pattern_is(last, "String", " ") && makes_marks(last);
    lckv_status status = tokenizer_read_normalizer(steps->tokenizer, normalizer);
    return status == LCKV_OK ? status : fail_in(status, "tokenizer.json");
}
