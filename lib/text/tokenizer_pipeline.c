/*
 * Reads the pre-tokenizer of tokenizer.json. Kinds that this version lacks are refused by name.
 */
#include "text/tokenizer_parts.h"

#include "base/status.h"
#include "base/text.h"
#include "base/utf8.h"

#include <string.h>

#define PRETOKENIZER "tokenizer.json: pre_tokenizer"

#define PUNCTUATION "[\\p{P}$+<=>^`|~]"

/* \w in Rust, which has other characters than Oniguruma's: see unicode_word_at_start. */
#define WORDS                                                                                     \
    "\\p{L}\\p{M}\\p{Nl}\\p{Nd}\\p{Pc}\\x{200C}\\x{200D}\\x{24B6}-\\x{24E9}\\x{1F130}-\\x{1F149}" \
    "\\x{1F150}-\\x{1F169}\\x{1F170}-\\x{1F189}"
#define WORD "[" WORDS "]"

static lckv_status add_step(struct tokenizer *tokenizer, const char *pattern,
                            enum pretokenizer_behavior behavior, bool inverted)
{
    lckv_status status = pretokenizer_add(
        &tokenizer->pretokenizer, (struct text){pattern, strlen(pattern)}, behavior, inverted);
    return status == LCKV_OK ? status : fail_in(status, PRETOKENIZER);
}

/* Finds the behaviour that an object names; it stays as it is if there is none. */
static lckv_status read_behavior(const struct json_value *object, const char *what,
                                 enum pretokenizer_behavior *behavior)
{
    struct text name;
    bool found;
    lckv_status status = json_get_text(object, what, "behavior", &name, &found);
    if (status != LCKV_OK || !found)
        return status;
    if (!pretokenizer_find_behavior(name, behavior) || *behavior > PRETOKENIZER_CONTIGUOUS)
        return fail(LCKV_UNSUPPORTED, "%s: behavior %s is not supported", what,
                    quoted(name.bytes, name.length).text);
    return LCKV_OK;
}

static lckv_status read_split(struct tokenizer *tokenizer, const struct json_value *split)
{
    static const char what[] = PRETOKENIZER ": Split";
    enum pretokenizer_behavior behavior = PRETOKENIZER_SPELL; /* which no file can name */
    struct text pattern;
    bool inverted = false;
    lckv_status status = tokenizer_check_members(split, what, "type pattern behavior invert");
    if (status == LCKV_OK)
        status = tokenizer_read_pattern(tokenizer, split, what, &pattern);
    if (status == LCKV_OK)
        status = read_behavior(split, what, &behavior);
    if (status == LCKV_OK && behavior == PRETOKENIZER_SPELL)
        return fail(LCKV_BAD_FORMAT, "%s: behavior is missing, expected a string", what);
    if (status == LCKV_OK)
        status = json_get_bool(split, what, "invert", &inverted, NULL);
    if (status == LCKV_OK)
        status = pretokenizer_add(&tokenizer->pretokenizer, pattern, behavior, inverted);
    return status == LCKV_OK ? status : fail_in(status, PRETOKENIZER);
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
    return add_step(tokenizer, individual ? "\\p{N}" : "\\p{N}+", PRETOKENIZER_ISOLATED, false);
}

static lckv_status read_punctuation(struct tokenizer *tokenizer,
                                    const struct json_value *punctuation)
{
    static const char what[] = PRETOKENIZER ": Punctuation";
    enum pretokenizer_behavior behavior = PRETOKENIZER_ISOLATED;
    lckv_status status = tokenizer_check_members(punctuation, what, "type behavior");
    if (status == LCKV_OK)
        status = read_behavior(punctuation, what, &behavior);
    return status == LCKV_OK ? add_step(tokenizer, PUNCTUATION, behavior, false) : status;
}

static lckv_status read_delimiter(struct tokenizer *tokenizer, const struct json_value *split)
{
    static const char what[] = PRETOKENIZER ": CharDelimiterSplit";
    struct text delimiter = {"", 0}, pattern;
    lckv_status status = tokenizer_check_members(split, what, "type delimiter");
    if (status == LCKV_OK)
        status = json_get_text(split, what, "delimiter", &delimiter, NULL);
    if (status == LCKV_OK &&
        (delimiter.length == 0 ||
         utf8_character(delimiter.bytes, delimiter.length) != delimiter.length))
        return fail(LCKV_BAD_FORMAT, "%s: delimiter: expected one character", what);
    if (status == LCKV_OK)
        status = tokenizer_escape(tokenizer, delimiter, what, &pattern);
    return status == LCKV_OK
               ? pretokenizer_add(&tokenizer->pretokenizer, pattern, PRETOKENIZER_REMOVED, false)
               : status;
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
        status = add_step(tokenizer, "", PRETOKENIZER_PREFIX, false);
    if (status == LCKV_OK && use_regex)
        status = add_step(tokenizer, PRETOKENIZER_GPT2, PRETOKENIZER_ISOLATED, false);
    return status == LCKV_OK ? add_step(tokenizer, "", PRETOKENIZER_SPELL, false) : status;
}

/* Kinds without members, each of one or two steps. */
static const struct {
    const char *name;
    struct {
        const char *pattern;
        enum pretokenizer_behavior behavior;
        bool inverted;
    } steps[2];
} plain_kinds[] = {
    {"Whitespace", {{WORD "+|[^\\s" WORDS "]+", PRETOKENIZER_REMOVED, true}}},
    {"WhitespaceSplit", {{"\\s", PRETOKENIZER_REMOVED, false}}},
    {"BertPreTokenizer",
     {{"\\s", PRETOKENIZER_REMOVED, false}, {PUNCTUATION, PRETOKENIZER_ISOLATED, false}}},
};
#define N_PLAIN_KINDS (sizeof plain_kinds / sizeof plain_kinds[0])

static lckv_status read_plain(struct tokenizer *tokenizer, const struct json_value *step,
                              size_t kind)
{
    lckv_status status = tokenizer_check_members(step, PRETOKENIZER, "type");
    for (size_t i = 0; status == LCKV_OK && i < 2 && plain_kinds[kind].steps[i].pattern != NULL;
         i++)
        status = add_step(tokenizer, plain_kinds[kind].steps[i].pattern,
                          plain_kinds[kind].steps[i].behavior, plain_kinds[kind].steps[i].inverted);
    return status;
}

static lckv_status read_step(struct tokenizer *tokenizer, const struct json_value *step)
{
    struct text type;
    lckv_status status = tokenizer_get_type(step, PRETOKENIZER, &type);
    if (status != LCKV_OK)
        return status;
    if (text_equals(type, "Sequence")) {
        status = tokenizer_check_members(step, PRETOKENIZER, "type pretokenizers");
        return status == LCKV_OK ? tokenizer_read_sequence(tokenizer, step, PRETOKENIZER,
                                                           "pretokenizers", read_step)
                                 : status;
    }
    if (text_equals(type, "Split"))
        return read_split(tokenizer, step);
    if (text_equals(type, "Digits"))
        return read_digits(tokenizer, step);
    if (text_equals(type, "Punctuation"))
        return read_punctuation(tokenizer, step);
    if (text_equals(type, "CharDelimiterSplit"))
        return read_delimiter(tokenizer, step);
    if (text_equals(type, "ByteLevel"))
        return read_byte_level(tokenizer, step);
    for (size_t i = 0; i < N_PLAIN_KINDS; i++) {
        if (text_equals(type, plain_kinds[i].name))
            return read_plain(tokenizer, step, i);
    }
    return tokenizer_refuse_kind(PRETOKENIZER, type);
}

lckv_status tokenizer_read_pretokenizer(struct tokenizer *tokenizer,
                                        const struct json_value *pretokenizer)
{
    struct pretokenizer *steps = &tokenizer->pretokenizer;
    lckv_status status = pretokenizer != NULL ? read_step(tokenizer, pretokenizer) : LCKV_OK;
    bool is_spelled = false;
    for (size_t i = 0; i < steps->n_steps; i++)
        is_spelled = is_spelled || steps->steps[i].behavior == PRETOKENIZER_SPELL;
    if (status == LCKV_OK && !is_spelled)
        return fail(LCKV_UNSUPPORTED, PRETOKENIZER ": expected ByteLevel among its steps");
    /* No step behind the last would see the spelling. */
    if (status == LCKV_OK && steps->steps[steps->n_steps - 1].behavior == PRETOKENIZER_SPELL)
        steps->n_steps--;
    return status;
}
