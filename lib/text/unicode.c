/*
 * Unicode properties and NFC. See unicode.h.
 */
#include "text/unicode.h"

#include "base/status.h"
#include "base/utf8.h"

#include <string.h>
#include <utf8proc.h>

/*
 * utf8proc sorts a sequence of combining marks in quadratic time. No writing system has sequences
 * longer than this, so they are normalised in parts (Unicode's Stream-Safe Text Format cuts at 30).
 */
#define MAX_MARKS 256

/* The character at the start and its length; U+FFFD for an invalid byte. */
static int32_t character_at(const char *text, size_t length, size_t *n_bytes)
{
    int32_t character;
    *n_bytes = utf8_character(text, length);
    if (*n_bytes == 0) {
        *n_bytes = length > 0;
        return 0xFFFD;
    }
    utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)*n_bytes, &character);
    return character;
}

/* The length of the last character, 1 for an invalid byte. */
static size_t last_character(const char *text, size_t length)
{
    for (size_t n = 1; n <= 4 && n <= length; n++) {
        if (utf8_character(text + length - n, n) == n)
            return n;
    }
    return length > 0;
}

static bool is_space(int32_t character)
{
    if ((character >= '\t' && character <= '\r') || character == 0x85)
        return true;
    utf8proc_category_t category = utf8proc_category(character);
    return category >= UTF8PROC_CATEGORY_ZS && category <= UTF8PROC_CATEGORY_ZP;
}

/*
 * \w as Unicode's regular expressions and the tokenizers package have it: alphabetic characters
 * (letters, letter numbers and the letters in circles and squares), marks, decimal digits,
 * connecting punctuation and the two joiners.
 */
static bool is_word(int32_t character)
{
    utf8proc_category_t category = utf8proc_category(character);
    bool joiner = character == 0x200C || character == 0x200D;
    bool enclosed = (character >= 0x24B6 && character <= 0x24E9) ||
                    (character >= 0x1F130 && character <= 0x1F149) ||
                    (character >= 0x1F150 && character <= 0x1F169) ||
                    (character >= 0x1F170 && character <= 0x1F189);
    return (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_NL) ||
           category == UTF8PROC_CATEGORY_PC || joiner || enclosed;
}

size_t unicode_space_at_start(const char *text, size_t length)
{
    size_t at = 0, n;
    while (at < length && is_space(character_at(text + at, length - at, &n)))
        at += n;
    return at;
}

size_t unicode_space_at_end(const char *text, size_t length)
{
    size_t left = length;
    while (left > 0) {
        size_t n, last = last_character(text, left);
        if (!is_space(character_at(text + left - last, last, &n)))
            break;
        left -= last;
    }
    return length - left;
}

bool unicode_word_at_start(const char *text, size_t length)
{
    size_t n;
    return length > 0 && is_word(character_at(text, length, &n));
}

bool unicode_word_at_end(const char *text, size_t length)
{
    size_t n, last = last_character(text, length);
    return length > 0 && is_word(character_at(text + length - last, last, &n));
}

void unicode_buffer_release(struct unicode_buffer *buffer)
{
    memory_free(buffer->allocator, buffer->bytes, buffer->capacity, 1);
    memory_free(buffer->allocator, buffer->characters, buffer->characters_capacity,
                sizeof buffer->characters[0]);
}

static lckv_status append(struct unicode_buffer *buffer, const char *bytes, size_t length)
{
    lckv_status status = memory_grow(buffer->allocator, &buffer->bytes, &buffer->capacity,
                                     buffer->length + length, 1, "normalised text");
    if (status != LCKV_OK)
        return status;
    memcpy(buffer->bytes + buffer->length, bytes, length);
    buffer->length += length;
    return LCKV_OK;
}

/*
 * The end of a part that may be normalised on its own. ASCII characters never compose with what is
 * before them, so a part ends before one.
 */
static size_t part_end(const char *text, size_t length)
{
    size_t at = 0, n_marks = 0, n;
    while (at < length && (at == 0 || (uint8_t)text[at] >= 0x80)) {
        int32_t character = character_at(text + at, length - at, &n);
        n_marks = utf8proc_get_property(character)->combining_class != 0 ? n_marks + 1 : 0;
        if (n_marks > MAX_MARKS)
            break;
        at += n;
    }
    return at;
}

static lckv_status append_composed(struct unicode_buffer *buffer, const char *text, size_t length)
{
    const utf8proc_option_t options = UTF8PROC_STABLE | UTF8PROC_COMPOSE;
    const utf8proc_uint8_t *bytes = (const utf8proc_uint8_t *)text;
    utf8proc_ssize_t n = utf8proc_decompose(bytes, (utf8proc_ssize_t)length, NULL, 0, options);
    if (n < 0)
        return fail(LCKV_INTERNAL, "NFC: %s", utf8proc_errmsg(n));
    lckv_status status =
        memory_grow(buffer->allocator, &buffer->characters, &buffer->characters_capacity, (size_t)n,
                    sizeof buffer->characters[0], "decomposed text");
    if (status != LCKV_OK)
        return status;
    n = utf8proc_decompose(bytes, (utf8proc_ssize_t)length, buffer->characters, n, options);
    if (n >= 0)
        n = utf8proc_normalize_utf32(buffer->characters, n, options);
    if (n < 0)
        return fail(LCKV_INTERNAL, "NFC: %s", utf8proc_errmsg(n));
    for (utf8proc_ssize_t i = 0; status == LCKV_OK && i < n; i++) {
        char encoded[4];
        utf8proc_ssize_t n_bytes =
            utf8proc_encode_char(buffer->characters[i], (utf8proc_uint8_t *)encoded);
        status = append(buffer, encoded, (size_t)n_bytes);
    }
    return status;
}

lckv_status unicode_nfc(const char *text, size_t length, struct unicode_buffer *buffer)
{
    lckv_status status = LCKV_OK;
    buffer->length = 0;
    while (status == LCKV_OK && length > 0) {
        size_t part = part_end(text, length);
        status = part == 1 ? append(buffer, text, 1) : append_composed(buffer, text, part);
        text += part;
        length -= part;
    }
    return status;
}
