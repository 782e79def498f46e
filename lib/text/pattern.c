/*
 * Translates patterns to PCRE2's syntax and compiles them. See pattern.h.
 */
#include "text/pattern.h"

#include "base/status.h"

#include <string.h>

/* Unicode's White_Space. PCRE2's own \s matches U+180E, too. */
#define SPACES                                                                               \
    "\\t-\\r \\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}" \
    "\\x{3000}"

#define MAX_GROUPS 100 /* nested in each other */

struct translation {
    struct text pattern;
    size_t at;
    char *out;
    size_t length;
    bool in_class;
    size_t class_start; /* where a ] is an ordinary character */
    uint32_t largest_count;
};

/* The longest text that replaces anything is that for one \s. */
#define MAX_EXPANSION (sizeof "[^" SPACES "]")

static void put(struct translation *t, const char *bytes, size_t length)
{
    memcpy(t->out + t->length, bytes, length);
    t->length += length;
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

static void put_space(struct translation *t)
{
    static const char outside[] = "[" SPACES "]";
    put(t, t->in_class ? SPACES : outside, t->in_class ? sizeof SPACES - 1 : sizeof outside - 1);
}

static void put_no_space(struct translation *t)
{
    static const char outside[] = "[^" SPACES "]";
    static const char inside[] = "\\S\\x{180E}";
    put(t, t->in_class ? inside : outside, t->in_class ? sizeof inside - 1 : sizeof outside - 1);
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
    put(t, "\\x{", 3);
    put(t, digits, 4);
    put(t, "}", 1);
    t->at += 6;
    return LCKV_OK;
}

static lckv_status translate_escape(struct translation *t)
{
    char c = t->at + 1 < t->pattern.length ? t->pattern.bytes[t->at + 1] : '\0';
    bool is_letter_or_digit =
        (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (c == '\0')
        return refuse(t, "a backslash with nothing behind it");
    if (c == 'u')
        return translate_unicode(t);
    if (is_letter_or_digit && strchr("sSpPdDxnrtf", c) == NULL)
        return refuse(t, "this escape");
    if (c == 's')
        put_space(t);
    else if (c == 'S')
        put_no_space(t);
    else
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
                put(t, known[i], strlen(known[i]));
                t->at += strlen(known[i]);
                return LCKV_OK;
            }
        }
        return refuse(t, "this kind of group");
    }
    put(t, "(", 1);
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

static lckv_status translate_in_class(struct translation *t)
{
    char c = t->pattern.bytes[t->at];
    if (c == '[' && starts(t, "[:"))
        return copy_through(t, ']', "[: without ]");
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

static lckv_status compile(struct text pattern, struct text translated,
                           pcre2_general_context *memory, pcre2_code **code)
{
    /* MULTILINE, because in Ruby's syntax ^ and $ match at every line. */
    const uint32_t options =
        PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C | PCRE2_AUTO_CALLOUT;
    pcre2_compile_context *context = pcre2_compile_context_create(memory);
    if (context == NULL)
        return fail(LCKV_OUT_OF_MEMORY, "out of memory for a pattern");
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    pcre2_set_parens_nest_limit(context, MAX_GROUPS);
    int error;
    PCRE2_SIZE offset;
    *code = pcre2_compile((PCRE2_SPTR)translated.bytes, translated.length, options, &error, &offset,
                          context);
    pcre2_compile_context_free(context);
    if (*code != NULL)
        return LCKV_OK;
    if (error == PCRE2_ERROR_HEAP_FAILED)
        return fail(LCKV_OUT_OF_MEMORY, "out of memory for a pattern");
    PCRE2_UCHAR message[128] = "";
    pcre2_get_error_message(error, message, sizeof message);
    return fail(LCKV_BAD_FORMAT, "pattern %s: %s", quoted(pattern.bytes, pattern.length).text,
                (const char *)message);
}

lckv_status pattern_compile(struct text pattern, const lckv_allocator *allocator,
                            pcre2_general_context *memory, pcre2_code **code,
                            uint32_t *largest_count)
{
    if (pattern.length > PATTERN_MAX_LENGTH)
        return fail(LCKV_UNSUPPORTED, "a pattern of %zu bytes, expected at most %d", pattern.length,
                    PATTERN_MAX_LENGTH);
    struct translation translation = {.pattern = pattern};
    size_t capacity = pattern.length * MAX_EXPANSION;
    lckv_status status = memory_alloc(allocator, capacity, 1, "a pattern", &translation.out);
    if (status != LCKV_OK)
        return status;
    while (status == LCKV_OK && translation.at < pattern.length)
        status = translate_next(&translation);
    struct text translated = {translation.out, translation.length};
    if (status == LCKV_OK)
        status = compile(pattern, translated, memory, code);
    *largest_count = translation.largest_count;
    memory_free(allocator, translation.out, capacity, 1);
    return status;
}
