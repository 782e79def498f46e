/*
 * Reads how text is prepared for a vocabulary that is spelled with U+2581 from tokenizer.json: the
 * normalisers and pre-tokenizers that put U+2581 where a space is, and the decoders that take it
 * away. Others are refused by name.
 */
#include "text/tokenizer_parts.h"

#include "base/status.h"
#include "text/metaspace.h"

#include <string.h>

#define TOKENIZER "tokenizer.json"
#define NORMALIZER TOKENIZER ": normalizer"
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

/* ---- Normaliser ---- */

/* Normalisers of a file must come in this order, as spacing_apply does them. */
enum stage { RULES, STRIP, COLLAPSE, PREPEND, MARKS };

/* What is read of one list of steps. */
struct steps {
    struct tokenizer *tokenizer;
    enum stage stage;
    bool marked; /* spaces have become U+2581 */
    bool white;  /* text was split at white space */
};

static lckv_status enter(struct steps *steps, enum stage stage, struct text type)
{
    if (stage < steps->stage)
        return fail(LCKV_UNSUPPORTED, NORMALIZER ": %s in this place is not supported",
                    quoted(type.bytes, type.length).text);
    steps->stage = stage;
    return LCKV_OK;
}

static lckv_status read_rules(struct tokenizer *tokenizer, const struct json_value *step)
{
    struct text encoded = {"", 0};
    lckv_status status = tokenizer_check_members(step, NORMALIZER, "type precompiled_charsmap");
    if (status == LCKV_OK)
        status = json_get_text(step, NORMALIZER, "precompiled_charsmap", &encoded, NULL);
    if (status != LCKV_OK)
        return status;
    status = charsmap_init_base64(&tokenizer->spacing.charsmap, encoded, &tokenizer->arena);
    return status == LCKV_OK ? status : fail_in(status, NORMALIZER ": precompiled_charsmap");
}

static lckv_status read_strip(struct steps *steps, const struct json_value *step)
{
    bool left = true, right = true;
    lckv_status status =
        tokenizer_check_members(step, NORMALIZER ": Strip", "type strip_left strip_right");
    if (status == LCKV_OK)
        status = json_get_bool(step, NORMALIZER, "strip_left", &left, NULL);
    if (status == LCKV_OK)
        status = json_get_bool(step, NORMALIZER, "strip_right", &right, NULL);
    if (status == LCKV_OK && left)
        return fail(LCKV_UNSUPPORTED, NORMALIZER ": Strip: strip_left is not supported");
    steps->tokenizer->spacing.trim_end = steps->tokenizer->spacing.trim_white = right;
    return status;
}

/* A pattern is {"String": "..."} or {"Regex": "..."}. */
static bool pattern_is(const struct json_value *step, const char *kind, const char *expected)
{
    const struct json_value *pattern = json_find(json_find(step, "pattern"), kind);
    return json_is(pattern, JSON_STRING) && text_equals(json_text(pattern), expected);
}

static lckv_status read_replace(struct steps *steps, const struct json_value *step,
                                struct text type)
{
    struct text content = {"", 0};
    lckv_status status =
        tokenizer_check_members(step, NORMALIZER ": Replace", "type pattern content");
    if (status == LCKV_OK)
        status = json_get_text(step, NORMALIZER ": Replace", "content", &content, NULL);
    if (status != LCKV_OK)
        return status;
    if (pattern_is(step, "String", " ") && text_equals(content, METASPACE)) {
        steps->marked = true;
        return enter(steps, MARKS, type);
    }
    if (pattern_is(step, "Regex", " {2,}") &&
        (text_equals(content, METASPACE) || text_equals(content, " "))) {
        steps->tokenizer->spacing.collapse = true;
        return enter(steps, COLLAPSE, type);
    }
    return fail(LCKV_UNSUPPORTED, NORMALIZER ": Replace of anything but spaces is not supported "
                                             "together with U+2581");
}

static lckv_status read_prepend(struct steps *steps, const struct json_value *step,
                                struct text type)
{
    struct text prefix = {"", 0};
    lckv_status status = tokenizer_check_members(step, NORMALIZER ": Prepend", "type prepend");
    if (status == LCKV_OK)
        status = json_get_text(step, NORMALIZER ": Prepend", "prepend", &prefix, NULL);
    if (status == LCKV_OK && !text_equals(prefix, METASPACE))
        return fail(LCKV_UNSUPPORTED,
                    NORMALIZER ": Prepend of %s is not supported, expected U+2581",
                    quoted(prefix.bytes, prefix.length).text);
    steps->tokenizer->spacing.prefix = SPACING_EACH_PREFIX;
    return status == LCKV_OK ? enter(steps, PREPEND, type) : status;
}

typedef lckv_status (*step_function)(struct steps *steps, const struct json_value *step);

static lckv_status read_list(struct steps *steps, const struct json_value *step, const char *what,
                             const char *known, const char *list, step_function read)
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

static lckv_status read_normalizer(struct steps *steps, const struct json_value *step)
{
    struct text type;
    lckv_status status = tokenizer_get_type(step, NORMALIZER, &type);
    if (status != LCKV_OK)
        return status;
    if (text_equals(type, "Sequence"))
        return read_list(steps, step, NORMALIZER, "type normalizers", "normalizers",
                         read_normalizer);
    if (text_equals(type, "Replace"))
        return read_replace(steps, step, type);
    if (text_equals(type, "Prepend"))
        return read_prepend(steps, step, type);
    if (text_equals(type, "Precompiled")) {
        status = enter(steps, RULES, type);
        return status == LCKV_OK ? read_rules(steps->tokenizer, step) : status;
    }
    if (!text_equals(type, "Strip"))
        return tokenizer_refuse_kind(NORMALIZER ": together with U+2581", type);
    status = enter(steps, STRIP, type);
    return status == LCKV_OK ? read_strip(steps, step) : status;
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

static lckv_status read_metaspace(struct steps *steps, const struct json_value *step)
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
    steps->marked = true;
    return LCKV_OK;
}

static lckv_status read_pretokenizer(struct steps *steps, const struct json_value *step)
{
    struct text type;
    lckv_status status = tokenizer_get_type(step, PRETOKENIZER, &type);
    if (status != LCKV_OK)
        return status;
    if (text_equals(type, "Sequence"))
        return read_list(steps, step, PRETOKENIZER, "type pretokenizers", "pretokenizers",
                         read_pretokenizer);
    if (text_equals(type, "Metaspace"))
        return read_metaspace(steps, step);
    if (text_equals(type, "WhitespaceSplit") && !steps->marked) {
        steps->white = steps->tokenizer->spacing.white = true;
        return tokenizer_check_members(step, PRETOKENIZER ": WhitespaceSplit", "type");
    }
    /* Gemma's files split at spaces when there are none any more. */
    if (text_equals(type, "Split") && steps->marked && pattern_is(step, "String", " "))
        return tokenizer_check_members(step, PRETOKENIZER ": Split",
                                       "type pattern behavior invert");
    return tokenizer_refuse_kind(PRETOKENIZER ": together with U+2581", type);
}

/* ---- Decoder ---- */

static lckv_status read_strip_decoder(struct steps *steps, const struct json_value *step)
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

static lckv_status read_decoder(struct steps *steps, const struct json_value *step)
{
    struct text type;
    enum spacing_prefix prefix = SPACING_NO_PREFIX;
    lckv_status status = tokenizer_get_type(step, DECODER, &type);
    if (status != LCKV_OK)
        return status;
    if (text_equals(type, "Sequence"))
        return read_list(steps, step, DECODER, "type decoders", "decoders", read_decoder);
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
    if (text_equals(type, "Replace") && pattern_is(step, "String", METASPACE) &&
        json_is(content, JSON_STRING) && text_equals(json_text(content), " "))
        return tokenizer_check_members(step, DECODER ": Replace", "type pattern content");
    return tokenizer_refuse_kind(DECODER ": together with U+2581", type);
}

lckv_status tokenizer_read_spacing_json(struct tokenizer *tokenizer, const struct json_value *root)
{
    const struct json_value *normalizer = NULL, *pretokenizer = NULL, *decoder = NULL;
    struct steps steps = {.tokenizer = tokenizer};
    tokenizer->vocabulary.metaspace = true;
    tokenizer->bpe.characters = true;
    tokenizer->is_unigram = is_unigram(root);
    lckv_status status = json_get_object(root, TOKENIZER, "normalizer", &normalizer);
    if (status == LCKV_OK && normalizer != NULL)
        status = read_normalizer(&steps, normalizer);
    if (status == LCKV_OK)
        status = json_get_object(root, TOKENIZER, "pre_tokenizer", &pretokenizer);
    if (status == LCKV_OK && pretokenizer != NULL)
        status = read_pretokenizer(&steps, pretokenizer);
    if (status == LCKV_OK && !steps.marked)
        return fail(LCKV_UNSUPPORTED, TOKENIZER ": expected a Metaspace, or a Replace of spaces "
                                                "with U+2581");
    if (status == LCKV_OK)
        status = json_get_object(root, TOKENIZER, "decoder", &decoder);
    return status == LCKV_OK && decoder != NULL ? read_decoder(&steps, decoder) : status;
}
