/*
 * What tokenizer.json does to text around the model: normalizer, pre-tokenizer, post-processor.
 * Kinds that this version lacks are refused by name.
 */
#include "text/tokenizer_parts.h"

#include "base/status.h"
#include "base/text.h"

#include <string.h>

#define NORMALIZER "tokenizer.json: normalizer"
#define PRETOKENIZER "tokenizer.json: pre_tokenizer"
#define POSTPROCESSOR "tokenizer.json: post_processor"

static lckv_status get_type(const struct json_value *object, const char *what, struct text *type)
{
    bool found;
    lckv_status status = json_get_text(object, what, "type", type, &found);
    if (status == LCKV_OK && !found)
        return fail(LCKV_BAD_FORMAT, "%s: type is missing, expected a string", what);
    return status;
}

static lckv_status refuse(const char *what, struct text kind)
{
    return fail(LCKV_UNSUPPORTED, "%s: %s is not supported", what,
                quoted(kind.bytes, kind.length).text);
}

typedef lckv_status (*read_function)(struct tokenizer *tokenizer, const struct json_value *object);

/* Each of the array `key`, in order. */
static lckv_status read_sequence(struct tokenizer *tokenizer, const struct json_value *object,
                                 const char *what, const char *key, read_function read)
{
    const struct json_value *items = NULL;
    lckv_status status = json_get_array(object, what, key, &items);
    if (status == LCKV_OK && items == NULL)
        return fail(LCKV_BAD_FORMAT, "%s: %s is missing, expected an array", what, key);
    for (const struct json_value *item = json_first(items); status == LCKV_OK && item != NULL;
         item = json_next(items, item))
        status = read(tokenizer, item);
    return status;
}

lckv_status tokenizer_read_normalizer(struct tokenizer *tokenizer,
                                      const struct json_value *normalizer)
{
    struct text type;
    if (normalizer == NULL)
        return LCKV_OK;
    lckv_status status = get_type(normalizer, NORMALIZER, &type);
    if (status != LCKV_OK)
        return status;
    if (text_equals(type, "Sequence"))
        return read_sequence(tokenizer, normalizer, NORMALIZER, "normalizers",
                             tokenizer_read_normalizer);
    if (!text_equals(type, "NFC"))
        return refuse(NORMALIZER, type);
    tokenizer->nfc = true;
    return LCKV_OK;
}

/* ---- Pre-tokenizer ---- */

static lckv_status add_pattern(struct tokenizer *tokenizer, struct text pattern)
{
    lckv_status status = pretokenizer_add(&tokenizer->pretokenizer, pattern);
    return status == LCKV_OK ? status : fail_in(status, PRETOKENIZER);
}

/* Adds a pattern that matches just the string. */
static lckv_status add_string(struct tokenizer *tokenizer, struct text string)
{
    char *pattern;
    size_t length = 0;
    if (string.length > PATTERN_MAX_LENGTH)
        return fail(LCKV_UNSUPPORTED, PRETOKENIZER ": a String of %zu bytes, expected at most %d",
                    string.length, PATTERN_MAX_LENGTH);
    lckv_status status =
        arena_alloc(&tokenizer->arena, string.length * 2, 1, "a pattern", &pattern);
    if (status != LCKV_OK)
        return status;
    for (size_t i = 0; i < string.length; i++) {
        if (string.bytes[i] != '\0' && strchr("\\^$.|?*+()[]{}", string.bytes[i]) != NULL)
            pattern[length++] = '\\';
        pattern[length++] = string.bytes[i];
    }
    return add_pattern(tokenizer, (struct text){pattern, length});
}

/*
 * Matches become words, and so does what lies between them. "Removed" of an inverted pattern keeps
 * only matches in Hugging Face's tokenizers; such patterns match all text, and here no byte is
 * lost.
 */
static lckv_status read_split(struct tokenizer *tokenizer, const struct json_value *split)
{
    const struct json_value *pattern = NULL;
    struct text behavior = {"", 0}, regex = {"", 0}, string = {"", 0};
    bool invert = false, is_regex = false, is_string = false;
    lckv_status status = json_get_object(split, PRETOKENIZER, "pattern", &pattern);
    if (status == LCKV_OK && pattern == NULL)
        return fail(LCKV_BAD_FORMAT, PRETOKENIZER ": pattern is missing, expected an object");
    if (status == LCKV_OK)
        status = json_get_text(split, PRETOKENIZER, "behavior", &behavior, NULL);
    if (status == LCKV_OK)
        status = json_get_bool(split, PRETOKENIZER, "invert", &invert, NULL);
    if (status == LCKV_OK)
        status = json_get_text(pattern, PRETOKENIZER, "Regex", &regex, &is_regex);
    if (status == LCKV_OK)
        status = json_get_text(pattern, PRETOKENIZER, "String", &string, &is_string);
    if (status != LCKV_OK)
        return status;
    if (is_regex == is_string)
        return fail(LCKV_BAD_FORMAT, PRETOKENIZER ": pattern: expected a Regex or a String");
    if (!text_equals(behavior, "Isolated") && !(text_equals(behavior, "Removed") && invert))
        return refuse(PRETOKENIZER ": Split with behavior", behavior);
    if (is_string)
        return add_string(tokenizer, string);
    return add_pattern(tokenizer, regex);
}

static lckv_status read_digits(struct tokenizer *tokenizer, const struct json_value *digits)
{
    bool individual = false;
    lckv_status status =
        json_get_bool(digits, PRETOKENIZER, "individual_digits", &individual, NULL);
    if (status != LCKV_OK)
        return status;
    const char *pattern = individual ? "\\p{N}" : "\\p{N}+";
    return add_pattern(tokenizer, (struct text){pattern, strlen(pattern)});
}

static lckv_status read_byte_level(struct tokenizer *tokenizer, const struct json_value *byte_level)
{
    bool add_prefix_space = true, use_regex = true; /* the defaults there */
    lckv_status status =
        json_get_bool(byte_level, PRETOKENIZER, "add_prefix_space", &add_prefix_space, NULL);
    if (status == LCKV_OK)
        status = json_get_bool(byte_level, PRETOKENIZER, "use_regex", &use_regex, NULL);
    if (status == LCKV_OK && add_prefix_space)
        return fail(LCKV_UNSUPPORTED,
                    PRETOKENIZER ": ByteLevel: add_prefix_space is not supported");
    if (status != LCKV_OK || !use_regex)
        return status;
    struct text pattern = {PRETOKENIZER_GPT2, strlen(PRETOKENIZER_GPT2)};
    return add_pattern(tokenizer, pattern);
}

static lckv_status read_step(struct tokenizer *tokenizer, const struct json_value *step)
{
    struct text type;
    lckv_status status = get_type(step, PRETOKENIZER, &type);
    if (status != LCKV_OK)
        return status;
    if (text_equals(type, "Sequence"))
        return read_sequence(tokenizer, step, PRETOKENIZER, "pretokenizers", read_step);
    if (text_equals(type, "Split"))
        return read_split(tokenizer, step);
    if (text_equals(type, "Digits"))
        return read_digits(tokenizer, step);
    if (text_equals(type, "ByteLevel"))
        return read_byte_level(tokenizer, step);
    return refuse(PRETOKENIZER, type);
}

/* The type of the last step, length 0 if there is none. */
static lckv_status last_type(const struct json_value *step, struct text *type)
{
    const struct json_value *steps = NULL;
    *type = (struct text){"", 0};
    if (step == NULL)
        return LCKV_OK;
    lckv_status status = get_type(step, PRETOKENIZER, type);
    if (status != LCKV_OK || !text_equals(*type, "Sequence"))
        return status;
    status = json_get_array(step, PRETOKENIZER, "pretokenizers", &steps);
    if (status != LCKV_OK)
        return status;
    const struct json_value *last = NULL;
    for (step = json_first(steps); step != NULL; step = json_next(steps, step))
        last = step;
    return last_type(last, type);
}

static size_t count_byte_levels(const struct json_value *step)
{
    const struct json_value *type = json_find(step, "type");
    const struct json_value *steps = json_find(step, "pretokenizers");
    size_t count = json_is(type, JSON_STRING) && text_equals(json_text(type), "ByteLevel");
    for (step = json_first(steps); step != NULL; step = json_next(steps, step))
        count += count_byte_levels(step);
    return count;
}

lckv_status tokenizer_read_pretokenizer(struct tokenizer *tokenizer,
                                        const struct json_value *pretokenizer)
{
    struct text last;
    if (pretokenizer != NULL) {
        lckv_status status = read_step(tokenizer, pretokenizer);
        if (status != LCKV_OK)
            return status;
    }
    lckv_status status = last_type(pretokenizer, &last);
    if (status != LCKV_OK)
        return status;
    /* Steps behind it would see spelled bytes, not text. */
    if (!text_equals(last, "ByteLevel") || count_byte_levels(pretokenizer) != 1)
        return fail(LCKV_UNSUPPORTED,
                    PRETOKENIZER ": expected ByteLevel as the last step, and nowhere else");
    return LCKV_OK;
}

/* ---- Post-processor ---- */

/* The token that the template calls `name`. */
static lckv_status template_token(const struct tokenizer *tokenizer,
                                  const struct json_value *template, struct text name,
                                  lckv_token *token)
{
    const struct json_value *specials = NULL;
    int64_t integer = -1;
    lckv_status status = json_get_object(template, POSTPROCESSOR, "special_tokens", &specials);
    if (status != LCKV_OK)
        return status;
    const struct json_value *ids = json_find(json_find_text(specials, name), "ids");
    if (!json_is(ids, JSON_ARRAY) || json_count(ids) != 1 ||
        !json_integer(json_first(ids), &integer) || integer < 0 ||
        integer >= tokenizer->vocabulary.n_tokens)
        return fail(LCKV_BAD_FORMAT,
                    POSTPROCESSOR ": special_tokens: %s: expected one id of a token",
                    quoted(name.bytes, name.length).text);
    *token = (lckv_token)integer;
    return LCKV_OK;
}

/* The token becomes BOS (EOS) unless the configuration names one. */
static lckv_status add_around(struct tokenizer *tokenizer, lckv_special special, lckv_token token)
{
    bool *add = special == LCKV_SPECIAL_BOS ? &tokenizer->add_bos : &tokenizer->add_eos;
    if (*add || (tokenizer->special[special] >= 0 && tokenizer->special[special] != token))
        return fail(LCKV_UNSUPPORTED,
                    POSTPROCESSOR ": a template with tokens other than BOS and EOS around the text "
                                  "is not supported");
    tokenizer->special[special] = token;
    *add = true;
    return LCKV_OK;
}

static lckv_status read_template(struct tokenizer *tokenizer, const struct json_value *template)
{
    const struct json_value *single = NULL;
    lckv_status status = json_get_array(template, POSTPROCESSOR, "single", &single);
    size_t n_texts = 0;
    for (const struct json_value *item = json_first(single); status == LCKV_OK && item != NULL;
         item = json_next(single, item)) {
        const struct json_value *special = NULL, *text = NULL;
        struct text name = {"", 0};
        lckv_token token = -1;
        status = json_get_object(item, POSTPROCESSOR ": single", "SpecialToken", &special);
        if (status == LCKV_OK)
            status = json_get_object(item, POSTPROCESSOR ": single", "Sequence", &text);
        if (status == LCKV_OK && special == NULL)
            n_texts += text != NULL;
        if (status != LCKV_OK || special == NULL)
            continue;
        status = json_get_text(special, POSTPROCESSOR ": single", "id", &name, NULL);
        if (status == LCKV_OK)
            status = template_token(tokenizer, template, name, &token);
        if (status == LCKV_OK)
            status =
                add_around(tokenizer, n_texts > 0 ? LCKV_SPECIAL_EOS : LCKV_SPECIAL_BOS, token);
    }
    if (status == LCKV_OK && n_texts != 1)
        return fail(LCKV_BAD_FORMAT, POSTPROCESSOR ": single has %zu sequences, expected 1",
                    n_texts);
    return status;
}

lckv_status tokenizer_read_postprocessor(struct tokenizer *tokenizer,
                                         const struct json_value *postprocessor)
{
    struct text type;
    if (postprocessor == NULL)
        return LCKV_OK;
    lckv_status status = get_type(postprocessor, POSTPROCESSOR, &type);
    if (status != LCKV_OK)
        return status;
    if (text_equals(type, "Sequence"))
        return read_sequence(tokenizer, postprocessor, POSTPROCESSOR, "processors",
                             tokenizer_read_postprocessor);
    if (text_equals(type, "TemplateProcessing"))
        return read_template(tokenizer, postprocessor);
    return text_equals(type, "ByteLevel") ? LCKV_OK : refuse(POSTPROCESSOR, type);
}
