/*
 * Reads the parts of tokenizer.json that change text before the model: normalizer and
 * pre-tokenizer. Kinds that this version lacks are refused by name.
 */
#include "text/tokenizer_parts.h"

#include "base/status.h"
#include "base/text.h"

#include <string.h>

#define NORMALIZER "tokenizer.json: normalizer"
#define PRETOKENIZER "tokenizer.json: pre_tokenizer"

lckv_status tokenizer_read_normalizer(struct tokenizer *tokenizer,
                                      const struct json_value *normalizer)
{
    struct text type;
    if (normalizer == NULL)
        return LCKV_OK;
    lckv_status status = tokenizer_get_type(normalizer, NORMALIZER, &type);
    if (status != LCKV_OK)
        return status;
    status = tokenizer_check_members(normalizer, NORMALIZER, "type normalizers");
    if (status == LCKV_OK && text_equals(type, "Sequence"))
        return tokenizer_read_sequence(tokenizer, normalizer, NORMALIZER, "normalizers",
                                       tokenizer_read_normalizer);
    if (status == LCKV_OK && !text_equals(type, "NFC"))
        return tokenizer_refuse_kind(NORMALIZER, type);
    tokenizer->nfc = true;
    return status;
}

/* ---- Pre-tokenizer ---- */

static lckv_status add_pattern(struct tokenizer *tokenizer, struct text pattern)
{
    lckv_status status = pretokenizer_add(&tokenizer->pretokenizer, pattern);
    return status == LCKV_OK ? status : fail_in(status, PRETOKENIZER);
}

/* Adds a pattern that matches this string only. */
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
 * Matches become words, and so does the text between them. In Hugging Face's tokenizers "Removed"
 * with an inverted pattern keeps the matches only. Such patterns match all text, and lckv drops no
 * byte.
 */
static lckv_status read_split(struct tokenizer *tokenizer, const struct json_value *split)
{
    const struct json_value *pattern = NULL;
    struct text behavior = {"", 0}, regex = {"", 0}, string = {"", 0};
    bool invert = false, is_regex = false, is_string = false;
    lckv_status status =
        tokenizer_check_members(split, PRETOKENIZER ": Split", "type pattern behavior invert");
    if (status == LCKV_OK)
        status = json_get_object(split, PRETOKENIZER, "pattern", &pattern);
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
        return tokenizer_refuse_kind(PRETOKENIZER ": Split with behavior", behavior);
    if (is_string)
        return add_string(tokenizer, string);
    return add_pattern(tokenizer, regex);
}

static lckv_status read_digits(struct tokenizer *tokenizer, const struct json_value *digits)
{
    bool individual = false;
    lckv_status status =
        tokenizer_check_members(digits, PRETOKENIZER ": Digits", "type individual_digits");
    if (status == LCKV_OK)
        status = json_get_bool(digits, PRETOKENIZER, "individual_digits", &individual, NULL);
    if (status != LCKV_OK)
        return status;
    const char *pattern = individual ? "\\p{N}" : "\\p{N}+";
    return add_pattern(tokenizer, (struct text){pattern, strlen(pattern)});
}

static lckv_status read_byte_level(struct tokenizer *tokenizer, const struct json_value *byte_level)
{
    bool add_prefix_space = true, use_regex = true; /* the defaults of Hugging Face's tokenizers */
    lckv_status status =
        tokenizer_check_members(byte_level, PRETOKENIZER ": ByteLevel", BYTE_LEVEL_MEMBERS);
    if (status == LCKV_OK)
        status =
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
    lckv_status status = tokenizer_get_type(step, PRETOKENIZER, &type);
    if (status != LCKV_OK)
        return status;
    if (text_equals(type, "Sequence"))
        return tokenizer_read_sequence(tokenizer, step, PRETOKENIZER, "pretokenizers", read_step);
    if (text_equals(type, "Split"))
        return read_split(tokenizer, step);
    if (text_equals(type, "Digits"))
        return read_digits(tokenizer, step);
    if (text_equals(type, "ByteLevel"))
        return read_byte_level(tokenizer, step);
    return tokenizer_refuse_kind(PRETOKENIZER, type);
}

/* The type of the last step, of length 0 if there is none. */
static lckv_status last_type(const struct json_value *step, struct text *type)
{
    const struct json_value *steps = NULL;
    *type = (struct text){"", 0};
    if (step == NULL)
        return LCKV_OK;
    lckv_status status = tokenizer_get_type(step, PRETOKENIZER, type);
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
    /* Steps behind ByteLevel would see the spellings of bytes, not text. */
    if (!text_equals(last, "ByteLevel") || count_byte_levels(pretokenizer) != 1)
        return fail(LCKV_UNSUPPORTED,
                    PRETOKENIZER ": expected ByteLevel as the last step, and nowhere else");
    return LCKV_OK;
}
