/*
 * Unicode properties. See unicode.h.
 */
#include "text/unicode.h"

#include "base/utf8.h"

#include <utf8proc.h>

int32_t unicode_character(const char *text, size_t length, size_t *n_bytes)
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
    while (at < length && is_space(unicode_character(text + at, length - at, &n)))
        at += n;
    return at;
}

size_t unicode_space_at_end(const char *text, size_t length)
{
    size_t left = length;
    while (left > 0) {
        size_t n, last = last_character(text, left);
        if (!is_space(unicode_character(text + left - last, last, &n)))
            break;
        left -= last;
    }
    return length - left;
}

bool unicode_word_at_start(const char *text, size_t length)
{
    size_t n;
    return length > 0 && is_word(unicode_character(text, length, &n));
}

bool unicode_word_at_end(const char *text, size_t length)
{
    size_t n, last = last_character(text, length);
    return length > 0 && is_word(unicode_character(text + length - last, last, &n));
}

bool unicode_is_mark(int32_t character)
{
    utf8proc_category_t category = utf8proc_category(character);
    return category >= UTF8PROC_CATEGORY_MN && category <= UTF8PROC_CATEGORY_ME;
}

/* Each character alone: a sigma at the end of a word is no exception. */
size_t unicode_lower(int32_t character, char bytes[UNICODE_MAX_LOWER])
{
    size_t length = utf8_encode((uint32_t)utf8proc_tolower(character), bytes);
    if (character != 0x130)
        return length;
    bytes[0] = 'i'; /* a dot above follows, which that capital letter has, too */
    return 1 + utf8_encode(0x307, bytes + 1);
}
