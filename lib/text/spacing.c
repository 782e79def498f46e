/*
 * Makes text ready for vocabularies with U+2581. See spacing.h.
 */
#include "text/spacing.h"

#include "base/status.h"
#include "base/utf8.h"
#include "text/metaspace.h"
#include "text/unicode.h"

#include <string.h>

#define REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */

/* One call of spacing_apply. */
struct preparation {
    const struct spacing *spacing;
    struct text_buffer *buffer;
    bool wants_prefix;
    bool after_space;
};

static lckv_status append(struct preparation *preparation, const char *bytes, size_t length)
{
    struct text_buffer *buffer = preparation->buffer;
    if (buffer->length > SPACING_MAX_LENGTH - length)
        return fail(LCKV_UNSUPPORTED,
                    "the tokenizer's rules make more than %zu bytes of this text: tokenize shorter "
                    "texts",
                    SPACING_MAX_LENGTH);
    return text_buffer_append(buffer, bytes, length);
}

/* Puts the prefix in front of the first characters that stay. */
static lckv_status begin(struct preparation *preparation, struct text characters)
{
    const struct spacing *spacing = preparation->spacing;
    if (!preparation->wants_prefix)
        return LCKV_OK;
    if (spacing->if_missing && characters.length == 0)
        return LCKV_OK;
    preparation->wants_prefix = false;
    if (spacing->if_missing &&
        (characters.bytes[0] == ' ' || metaspace_begins(characters.bytes, characters.length)))
        return LCKV_OK;
    return append(preparation, METASPACE, METASPACE_LENGTH);
}

/* Adds what a rule made of some characters, or one character that no rule changes. */
static lckv_status add(struct preparation *preparation, struct text characters)
{
    const struct spacing *spacing = preparation->spacing;
    bool is_space = characters.length == 1 && characters.bytes[0] == ' ';
    if (is_space && spacing->white)
        preparation->wants_prefix = true;
    if (is_space && (spacing->white || preparation->after_space))
        return LCKV_OK;
    lckv_status status = begin(preparation, characters);
    for (size_t i = 0; status == LCKV_OK && i < characters.length; i++) {
        is_space = characters.bytes[i] == ' ';
        if (is_space && preparation->after_space)
            continue;
        status = is_space ? append(preparation, METASPACE, METASPACE_LENGTH)
                          : append(preparation, characters.bytes + i, 1);
        preparation->after_space = is_space && spacing->collapse;
    }
    return status;
}

/* Takes the characters at the start of the text; returns how many bytes they have. */
static size_t take(const struct spacing *spacing, const char *text, size_t length,
                   struct text *characters)
{
    size_t n = charsmap_find(&spacing->charsmap, text, length, characters);
    if (n > 0)
        return n;
    n = spacing->white ? unicode_space_at_start(text, length) : 0;
    if (n > 0) {
        *characters = (struct text){" ", 1};
        return n;
    }
    n = utf8_character(text, length);
    *characters = (struct text){text, n > 0 ? n : 1};
    if (n == 0 && !spacing->keep_invalid)
        *characters = (struct text){REPLACEMENT, strlen(REPLACEMENT)};
    return n > 0 ? n : 1;
}

static void trim_end(const struct spacing *spacing, struct text_buffer *buffer)
{
    for (size_t before = 0; buffer->length > 0 && buffer->length != before;) {
        before = buffer->length;
        if (spacing->trim_white)
            buffer->length -= unicode_space_at_end(buffer->bytes, buffer->length);
        if (buffer->length >= METASPACE_LENGTH &&
            metaspace_begins(buffer->bytes + buffer->length - METASPACE_LENGTH, METASPACE_LENGTH))
            buffer->length -= METASPACE_LENGTH;
    }
}

lckv_status spacing_apply(const struct spacing *spacing, const char *text, size_t length,
                          bool is_first, struct text_buffer *buffer)
{
    struct preparation preparation = {.spacing = spacing,
                                      .buffer = buffer,
                                      .wants_prefix =
                                          spacing->prefix == SPACING_EACH_PREFIX ||
                                          (spacing->prefix == SPACING_FIRST_PREFIX && is_first),
                                      .after_space = spacing->trim_begin};
    lckv_status status = LCKV_OK;
    buffer->length = 0;
    for (size_t at = 0; status == LCKV_OK && at < length;) {
        struct text characters;
        at += take(spacing, text + at, length - at, &characters);
        status = add(&preparation, characters);
    }
    if (spacing->trim_end)
        trim_end(spacing, buffer);
    return status;
}

size_t spacing_word(const struct spacing *spacing, const char *text, size_t length)
{
    size_t at = 1;
    switch (spacing->words) {
    case SPACING_NEWLINES:
        while (at < length && (text[at] == '\n') == (text[0] == '\n'))
            at++;
        return at;
    case SPACING_MARKS:
        while (at < length && !metaspace_begins(text + at, length - at))
            at++;
        return at;
    default:
        return length;
    }
}
