/*
 * Translates patterns to PCRE2's syntax. See pattern_translation.h.
 */
#include "text/pattern_translation.h"

#include "base/status.h"
#include "text/pattern.h"

#include <string.h>

/* Unicode's White_Space. PCRE2's own \s matches U+180E, too. */
#define SPACES                                                                               \
    "\\t-\\r \\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}" \
    "\\x{3000}"

/* Oniguruma's \w: no joiners; but these superscripts and fractions outside of sets only. */
#define SET_WORDS                                                                          \
    "\\p{L}\\p{M}\\p{Nl}\\p{Nd}\\p{Pc}\\x{24B6}-\\x{24E9}\\x{1F130}-\\x{1F149}\\x{1F150}-" \
    "\\x{1F169}\\x{1F170}-\\x{1F189}"
#define WORDS SET_WORDS "\\x{B2}\\x{B3}\\x{B9}\\x{BC}-\\x{BE}"
#define BOUNDARY "(?:(?<=[" WORDS "])(?![" WORDS "])|(?<![" WORDS "])(?=[" WORDS "]))"

struct translation {
    struct text pattern;
    size_t at;
    struct text_buffer *out;
    lckv_status status; /* of writing to it */
    bool in_class;
    size_t class_start; /* where a ] is an ordinary character */
    uint32_t largest_count;
};

static void put(struct translation *t, const char *bytes, size_t length)
{
    if (t->status == LCKV_OK)
        t->status = text_buffer_append(t->out, bytes, length);
}

static void put_string(struct translation *t, const char *string)
{
    put(t, string, strlen(string));
}

static lckv_status refuse(const struct translation *t, const char *what)
{
    return fail(LCKV_UNSUPPORTED, "pattern %s: %s at byte %zu is not supported",
                quoted(t->pattern.bytes, t->pattern.length).text, what, t->at);
}

/* Whether the rest of the pattern starts with `prefix`. */
static bool starts(const struct translation *t, const char *prefix)
{
    size_t length = strlen(prefix);
    return t->pattern.length - t->at >= length &&
           memcmp(t->pattern.bytes + t->at, prefix, length) == 0;
}

/* Copies everything up to the next `end`, and that, too. */
static lckv_status copy_through(struct translation *t, char end, const char *what)
{
    const char *from = t->pattern.bytes + t->at;
    const char *found = memchr(from, end, t->pattern.length - t->at);
    if (found == NULL)
        return refuse(t, what);
    size_t length = (size_t)(found - from) + 1;
    put(t, from, length);
    t->at += length;
    return LCKV_OK;
}

static bool is_hexadecimal(char c)
{
    return c != '\0' && strchr("0123456789abcdefABCDEF", c) != NULL;
}

/* Translates \uHHHH, which PCRE2 writes \x{HHHH}. */
static lckv_status translate_unicode(struct translation *t)
{
    const char *digits = t->pattern.bytes + t->at + 2;
    if (t->pattern.length - t->at < 6)
        return refuse(t, "\\u without four digits");
    for (int i = 0; i < 4; i++) {
        if (!is_hexadecimal(digits[i]))
            return refuse(t, "\\u without four digits");
    }
    put_string(t, "\\x{");
    put(t, digits, 4);
    put_string(t, "}");
    t->at += 6;
    return LCKV_OK;
}

/* Escapes that mean something else in PCRE2; NULL where the meaning cannot be written. */
static const struct {
    char letter;
    const char *outside, *in_class;
} escapes[] = {
    {'s', "[" SPACES "]", SPACES},   {'S', "[^" SPACES "]", "\\S\\x{180E}"},
    {'w', "[" WORDS "]", SET_WORDS}, {'W', "[^" WORDS "]", NULL},
    {'b', BOUNDARY, NULL},
};
#define N_ESCAPES (sizeof escapes / sizeof escapes[0])

static lckv_status translate_escape(struct translation *t)
{
    char c = t->at + 1 < t->pattern.length ? t->pattern.bytes[t->at + 1] : '\0';
    bool is_letter_or_digit =
        (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (c == '\0')
        return refuse(t, "a backslash with nothing behind it");
    if (c == 'u')
        return translate_unicode(t);
    for (size_t i = 0; i < N_ESCAPES; i++) {
        const char *meaning = t->in_class ? escapes[i].in_class : escapes[i].outside;
        if (c != escapes[i].letter)
            continue;
        if (meaning == NULL)
            return refuse(t, "this escape in a set");
        put_string(t, meaning);
        t->at += 2;
        return LCKV_OK;
    }
    if (is_letter_or_digit && strchr("pPdDxnrtf", c) == NULL)
        return refuse(t, "this escape");
    put(t, t->pattern.bytes + t->at, 2);
    t->at += 2;
    if ((c == 'p' || c == 'P' || c == 'x') && starts(t, "{"))
        return copy_through(t, '}', "an escape without }");
    return LCKV_OK;
}

static lckv_status translate_group(struct translation *t)
{
    static const char *const known[] = {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i:"};
    if (starts(t, "(*"))
        return refuse(t, "a verb");
    if (starts(t, "(?")) {
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
            if (starts(t, known[i])) {
                put_string(t, known[i]);
                t->at += strlen(known[i]);
                return LCKV_OK;
            }
        }
        return refuse(t, "this kind of group");
    }
    put_string(t, "(");
    t->at++;
    return LCKV_OK;
}

/* Copies {n,m}. A + behind it is refused: it repeats the whole in Ruby, but not in PCRE2. */
static lckv_status translate_count(struct translation *t)
{
    size_t begin = t->at;
    lckv_status status = copy_through(t, '}', "{ without }");
    uint32_t count = 0;
    for (size_t i = begin; status == LCKV_OK && i < t->at; i++) {
        char c = t->pattern.bytes[i];
        count = c >= '0' && c <= '9' ? count * 10 + (uint32_t)(c - '0') : 0;
        if (count > PATTERN_MAX_COUNT)
            return refuse(t, "a count above 1000");
        t->largest_count = count > t->largest_count ? count : t->largest_count;
    }
    return status == LCKV_OK && starts(t, "+") ? refuse(t, "+ behind a count") : status;
}

/* Sets that Oniguruma has by name. Those of letters contain other characters than PCRE2's. */
static lckv_status translate_named_set(struct translation *t)
{
    static const struct {
        const char *name, *meaning;
    } sets[] = {{"[:digit:]", "\\p{Nd}"}, {"[:space:]", SPACES}, {"[:punct:]", "\\p{P}\\p{S}"}};
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        if (starts(t, sets[i].name)) {
            put_string(t, sets[i].meaning);
            t->at += strlen(sets[i].name);
            return LCKV_OK;
        }
    }
    return refuse(t, "this named set");
}

static lckv_status translate_in_class(struct translation *t)
{
    char c = t->pattern.bytes[t->at];
    if (starts(t, "[:"))
        return translate_named_set(t);
    if (c == '[' || starts(t, "&&"))
        return refuse(t, "a set inside a set");
    if (c == ']' && t->at > t->class_start)
        t->in_class = false;
    put(t, &c, 1);
    t->at++;
    return LCKV_OK;
}

static lckv_status translate_next(struct translation *t)
{
    char c = t->pattern.bytes[t->at];
    if (c == '\\')
        return translate_escape(t);
    if (t->in_class)
        return translate_in_class(t);
    if (c == '(')
        return translate_group(t);
    if (c == '{')
        return translate_count(t);
    if (c == '[') {
        t->in_class = true;
        t->class_start = t->at + (starts(t, "[^") ? 2 : 1);
        put(t, "[^", t->class_start - t->at);
        t->at = t->class_start;
        return LCKV_OK;
    }
    put(t, &c, 1);
    t->at++;
    return LCKV_OK;
}

/*
 * Patterns of known tokenizers that would take time quadratic in the text, and ones that match the
 * same: white space before the end begins behind something else, if it is to be the leftmost.
 */
static const char *const slow_patterns[][2] = {{"\\s+$", "(?<!\\s)\\s+$"}};
#define N_SLOW_PATTERNS (sizeof slow_patterns / sizeof slow_patterns[0])

lckv_status pattern_translate(struct text pattern, struct text_buffer *translated,
                              uint32_t *largest_count)
{
    struct translation t = {.pattern = pattern, .out = translated};
    for (size_t i = 0; i < N_SLOW_PATTERNS; i++) {
        const char *faster = slow_patterns[i][1];
        if (text_equals(pattern, slow_patterns[i][0]))
            t.pattern = (struct text){faster, strlen(faster)};
    }
    lckv_status status = LCKV_OK;
    while (status == LCKV_OK && t.at < t.pattern.length) {
        status = translate_next(&t);
        status = status == LCKV_OK ? t.status : status;
    }
    *largest_count = t.largest_count;
    return status;
}
