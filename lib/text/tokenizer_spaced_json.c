/*
 * Reads how text is prepared for a vocabulary that is spelled with U+2581 from tokenizer.json: the
 * normaliser (tokenizer_spaced_normalizer.c), the pre-tokenizers that put U+2581 where a space is,
 * and the decoders that take it away. Others are refused by name.
 */
#include "base/status.h"
#include "text/metaspace.h"
#include "text/spaced_steps.h"

#include <string.h>

#define TOKENIZER "tokenizer.json"
#define PRETOKENIZER TOKENIZER ": pre_tokenizer"
#define DECODER TOKENIZER ": decoder"

/* ---- Which tokenizers are of this kind ---- */

/* Whether this step, or one in its list, has the type; for Replace, with U+2581 as the content. */
static bool has_step(const struct json_value *step, const char *list, const char *type)
{
    const struct json_value *name = json_find(step, "type"), *steps = json_find(step, list);
    const struct json_value *content = json_find(step, "content");
    if (json_is(name, JSON_STRING) && text_equals(json_text(name), type) &&
        (strcmp(type, "Replace") != 0 ||
         (json_is(content, JSON_STRING) && text_equals(json_text(content), METASPACE))))
        return true;
    for (step = json_first(steps); step != NULL; step = json_next(steps, step)) {
        if (has_step(step, list, type))
            return true;
    }
    return false;
}

static bool is_unigram(const struct json_value *root)
{
    const struct json_value *type = json_find(json_find(root, "model"), "type");
    return json_is(type, JSON_STRING) && text_equals(json_text(type), "Unigram");
}

bool tokenizer_is_spaced_json(const struct json_value *root)
{
    const struct json_value *normalizer = json_find(root, "normalizer");
    const struct json_value *pretokenizer = json_find(root, "pre_tokenizer");
    if (has_step(pretokenizer, "pretokenizers", "ByteLevel"))
        return false;
    return is_unigram(root) || has_step(pretokenizer, "pretokenizers", "Metaspace") ||
           has_step(normalizer, "normalizers", "Prepend") ||
           has_step(normalizer, "normalizers", "Replace");
}

/* ---- Lists of steps ---- */

lckv_status spaced_read_list(struct spaced_steps *steps, const struct json_value *step,
                             const char *what, const char *known, const char *list,
                             spaced_step_function read)
{
    const struct json_value *items = NULL;
    lckv_status status = tokenizer_check_members(step, what, known);
    if (status == LCKV_OK)
        status = json_get_array(step, what, list, &items);
    if (status == LCKV_OK && items == NULL)
        return fail(LCKV_BAD_FORMAT, "%s: %s is missing, expected an array", what, list);
    for (const struct json_value *item = json_first(items); status == LCKV_OK && item != NULL;
         item = json_next(items, item))
        status = read(steps, item);
    return status;
}

bool spaced_pattern_is(const struct json_value *step, const char *kind, const char *expected)
{
    const struct json_value *pattern = json_find(json_find(step, "pattern"), kind);
    return json_is(pattern, JSON_STRING) && text_equals(json_text(pattern), expected);
}

/* ---- Pre-tokenizer ---- */

/* Old files have add_prefix_space in the place of prepend_scheme. */
static lckv_status read_scheme(const struct json_value *step, const char *what,
                               enum spacing_prefix *prefix)
{
    struct text scheme = {"always", 6};
    bool add = true;
    lckv_status status = json_get_text(step, what, "prepend_scheme", &scheme, NULL);
    if (status == LCKV_OK)
        status = json_get_bool(step, what, "add_prefix_space", &add, NULL);
    if (status != LCKV_OK)
        return status;
    if (!add || text_equals(scheme, "never"))
        *prefix = SPACING_NO_PREFIX;
    else if (text_equals(scheme, "first"))
        *prefix = SPACING_FIRST_PREFIX;
    else if (text_equals(scheme, "always"))
        *prefix = SPACING_EACH_PREFIX;
    else
        return fail(LCKV_UNSUPPORTED, "%s: prepend_scheme %s is not supported", what,
                    quoted(scheme.bytes, scheme.length).text);
    return LCKV_OK;
}

static lckv_status check_metaspace(const struct json_value *step, const char *what)
{
    struct text replacement = {"", 0};
    lckv_status status = tokenizer_check_members(
        step, what, "type replacement add_prefix_space prepend_scheme split str_rep");
    if (status == LCKV_OK)
        status = json_get_text(step, what, "replacement", &replacement, NULL);
    if (status == LCKV_OK && !text_equals(replacement, METASPACE))
        return fail(LCKV_UNSUPPORTED, "%s: replacement %s is not supported, expected U+2581", what,
                    quoted(replacement.bytes, replacement.length).text);
    return status;
}

static lckv_status read_metaspace(struct spaced_steps *steps, const struct json_value *step)
{
    static const char what[] = PRETOKENIZER ": Metaspace";
    struct spacing *spacing = &steps->tokenizer->spacing;
    enum spacing_prefix prefix;
    bool split = true;
    lckv_status status = check_metaspace(step, what);
    if (status == LCKV_OK)
        status = read_scheme(step, what, &prefix);
    if (status == LCKV_OK)
        status = json_get_bool(step, what, "split", &split, NULL);
    if (status != LCKV_OK)
        return status;
    if (steps->white && prefix != SPACING_EACH_PREFIX)
        return fail(LCKV_UNSUPPORTED,
                    "%s: behind WhitespaceSplit only the scheme \"always\" is supported", what);
    if (spacing->prefix == SPACING_NO_PREFIX) { /* Prepend has put one otherwise */
        spacing->prefix = prefix;
        spacing->if_missing = true;
    }
    spacing->words = split || steps->white ? SPACING_MARKS : SPACING_WHOLE;
    spacing->is_done = false; /* whatever the normaliser left */
    steps->marked = steps->unspaced = true;
    return LCKV_OK;
}

static lckv_status read_pretokenizer(struct spaced_steps *steps, const struct json_value *step)
{
    struct text type;
    lckv_status status = tokenizer_get_type(step, PRETOKENIZER, &type);
    if (status != LCKV_OK)
        return status;
    if (text_equals(type, "Sequence"))
        return spaced_read_list(steps, step, PRETOKENIZER, "type pretokenizers", "pretokenizers",
                                read_pretokenizer);
    if (text_equals(type, "Metaspace"))
        return read_metaspace(steps, step);
    if (text_equals(type, "WhitespaceSplit") && (!steps->marked || steps->apart)) {
        steps->white = steps->tokenizer->spacing.white = true;
        return tokenizer_check_members(step, PRETOKENIZER ": WhitespaceSplit", "type");
    }
    /* Gemma's files split at spaces when there are none any more. */
    if (text_equals(type, "Split") && steps->unspaced && spaced_pattern_is(step, "String", " "))
        return tokenizer_check_members(step, PRETOKENIZER ": Split",
                                       "type pattern behavior invert");
    return tokenizer_refuse_kind(PRETOKENIZER ": together with U+2581", type);
}

/* ---- Decoder ---- */

static lckv_status read_strip_decoder(struct spaced_steps *steps, const struct json_value *step)
{
    struct text content = {"", 0};
    uint32_t start = 0, stop = 0;
    lckv_status status =
        tokenizer_check_members(step, DECODER ": Strip", "type content start stop");
    if (status == LCKV_OK)
        status = json_get_text(step, DECODER ": Strip", "content", &content, NULL);
    if (status == LCKV_OK)
        status = json_get_u32(step, DECODER ": Strip", "start", &start, NULL);
    if (status == LCKV_OK)
        status = json_get_u32(step, DECODER ": Strip", "stop", &stop, NULL);
    if (status == LCKV_OK && (!text_equals(content, " ") || start > 1 || stop != 0))
        return fail(LCKV_UNSUPPORTED, DECODER ": Strip of anything but one space at the start is "
                                              "not supported");
    steps->tokenizer->spacing.drop_prefix = start == 1;
    return status;
}

static lckv_status read_decoder(struct spaced_steps *steps, const struct json_value *step)
{
    struct text type;
    enum spacing_prefix prefix = SPACING_NO_PREFIX;
    lckv_status status = tokenizer_get_type(step, DECODER, &type);
    if (status != LCKV_OK)
        return status;
    if (text_equals(type, "Sequence"))
        return spaced_read_list(steps, step, DECODER, "type decoders", "decoders", read_decoder);
    if (text_equals(type, "ByteFallback") || text_equals(type, "Fuse"))
        return tokenizer_check_members(step, DECODER, "type");
    if (text_equals(type, "Strip"))
        return read_strip_decoder(steps, step);
    if (text_equals(type, "Metaspace")) {
        status = check_metaspace(step, DECODER ": Metaspace");
        if (status == LCKV_OK)
            status = read_scheme(step, DECODER ": Metaspace", &prefix);
        steps->tokenizer->spacing.drop_prefix = prefix != SPACING_NO_PREFIX;
        return status;
    }
    const struct json_value *content = json_find(step, "content");
    if (text_equals(type, "Replace") && spaced_pattern_is(step, "String", METASPACE) &&
        json_is(content, JSON_STRING) && text_equals(json_text(content), " "))
        return tokenizer_check_members(step, DECODER ": Replace", "type pattern content");
    return tokenizer_refuse_kind(DECODER ": together with U+2581", type);
}

/* Reads what comes before the model, the normaliser by `read_normalizer`. */
static lckv_status read_before(struct tokenizer *tokenizer, const struct json_value *normalizer,
                               const struct json_value *pretokenizer,
                               spaced_step_function read_normalizer)
{
    struct spaced_steps steps = {.tokenizer = tokenizer};
    tokenizer->spacing = (struct spacing){.prefix = SPACING_NO_PREFIX};
    lckv_status status = normalizer != NULL ? read_normalizer(&steps, normalizer) : LCKV_OK;
    if (status == LCKV_OK && pretokenizer != NULL)
        status = read_pretokenizer(&steps, pretokenizer);
    if (status == LCKV_OK && (!steps.marked || (steps.white && tokenizer->spacing.is_done)))
        status = fail(LCKV_UNSUPPORTED, TOKENIZER ": expected a Metaspace, or a Replace of spaces "
                                                  "with U+2581");
    return status;
}

/*
 * Whether an added token is to be found in what the normaliser gives. The usual ones are no steps
 * of their own, so such a token wants any other way. Special tokens do not count: where they
 * stand in a text does not depend on spaces.
 */
static bool finds_normalized(const struct json_value *root)
{
    const struct json_value *added = json_find(root, "added_tokens");
    for (const struct json_value *token = json_first(added); token != NULL;
         token = json_next(added, token)) {
        bool normalized = false, special = false;
        if (json_get_bool(token, TOKENIZER, "normalized", &normalized, NULL) == LCKV_OK &&
            json_get_bool(token, TOKENIZER, "special", &special, NULL) == LCKV_OK && normalized &&
            !special)
            return true;
    }
    return false;
}

lckv_status tokenizer_read_spacing_json(struct tokenizer *tokenizer, const struct json_value *root)
{
    const struct json_value *normalizer = NULL, *pretokenizer = NULL, *decoder = NULL;
    struct spaced_steps steps = {.tokenizer = tokenizer};
    tokenizer->vocabulary.metaspace = true;
    tokenizer->bpe.characters = true;
    tokenizer->is_unigram = is_unigram(root);
    lckv_status status = json_get_object(root, TOKENIZER, "normalizer", &normalizer);
    if (status == LCKV_OK)
        status = json_get_object(root, TOKENIZER, "pre_tokenizer", &pretokenizer);
    if (status == LCKV_OK)
        status = json_get_object(root, TOKENIZER, "decoder", &decoder);
    if (status != LCKV_OK)
        return status;
    const bool any = normalizer != NULL && finds_normalized(root);
    if (!any)
        status = read_before(tokenizer, normalizer, pretokenizer, spaced_read_usual);
    if (any || (status == LCKV_UNSUPPORTED && normalizer != NULL))
        status = read_before(tokenizer, normalizer, pretokenizer, spaced_read_any);
    return status == LCKV_OK && decoder != NULL ? read_decoder(&steps, decoder) : status;
}
