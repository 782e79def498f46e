/*
 * Normalisation forms. See normal_form.h.
 */
#include "text/normal_form.h"

#include "base/status.h"
#include "text/unicode.h"

#include <utf8proc.h>

/*
 * To sort a sequence of combining marks takes quadratic time. No writing system has sequences
 * longer than this, so they are normalised in parts (Unicode's Stream-Safe Text Format cuts at 30).
 */
#define MAX_MARKS 256

/* No character has so many code points when it is decomposed. */
#define MAX_DECOMPOSED 32

/* While marks are sorted, the class of each stands above the bits of its code point. */
#define CLASS_SHIFT 21
#define CHARACTER_BITS ((1 << CLASS_SHIFT) - 1)

static const utf8proc_option_t options[] = {
    [NORMAL_FORM_C] = UTF8PROC_STABLE | UTF8PROC_COMPOSE,
    [NORMAL_FORM_D] = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE,
    [NORMAL_FORM_KC] = UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT,
    [NORMAL_FORM_KD] = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT,
};

void code_points_release(struct code_points *points)
{
    memory_free(points->allocator, points->characters, points->capacity,
                sizeof points->characters[0]);
}

/*
 * Whether the normal form of a character may begin with a combining mark. A few characters that are
 * no such marks by themselves, such as U+0F73, decompose into some.
 */
static bool gives_marks(int32_t character)
{
    const utf8proc_property_t *property = utf8proc_get_property(character);
    int32_t first;
    if (property->combining_class != 0 || property->decomp_seqindex == UINT16_MAX)
        return property->combining_class != 0;
    utf8proc_ssize_t n =
        utf8proc_decompose_char(character, &first, 1, options[NORMAL_FORM_KD], NULL);
    return n > 0 && utf8proc_get_property(first)->combining_class != 0;
}

/* ASCII characters never compose with what is before them, so a part ends before one. */
size_t normal_form_part(const char *text, size_t length)
{
    size_t at = 0, n_marks = 0, n;
    while (at < length && (at == 0 || (uint8_t)text[at] >= 0x80)) {
        int32_t character = unicode_character(text + at, length - at, &n);
        n_marks = gives_marks(character) ? n_marks + 1 : 0;
        if (n_marks > MAX_MARKS)
            break;
        at += n;
    }
    return at;
}

/*
 * Adds a character to the code points. A combining mark, a character whose class is not 0, goes in
 * front of those of higher classes that stand at the end.
 */
static void insert_mark(int32_t *points, size_t count, int32_t character)
{
    const int32_t class = utf8proc_get_property(character)->combining_class;
    size_t at = count;
    for (; class != 0 && at > 0 && points[at - 1] >> CLASS_SHIFT > class; at--)
        points[at] = points[at - 1];
    points[at] = class << CLASS_SHIFT | character;
}

/*
 * Decomposes the characters, and sorts the marks. utf8proc_decompose() does the same, but takes
 * several times as long for many marks, and counts the code points by making them.
 */
static lckv_status decompose(enum normal_form form, const char *part, size_t length,
                             struct code_points *points, size_t *count)
{
    size_t n_bytes;
    *count = 0;
    for (size_t at = 0; at < length; at += n_bytes) {
        int32_t decomposed[MAX_DECOMPOSED];
        const int32_t character = unicode_character(part + at, length - at, &n_bytes);
        const utf8proc_ssize_t n =
            utf8proc_decompose_char(character, decomposed, MAX_DECOMPOSED, options[form], NULL);
        if (n < 0 || n > MAX_DECOMPOSED)
            return fail(LCKV_INTERNAL, "normalisation: U+%04X", (unsigned)character);
        if (*count + MAX_DECOMPOSED > points->capacity) {
            lckv_status status = memory_grow(points->allocator, &points->characters,
                                             &points->capacity, *count + MAX_DECOMPOSED,
                                             sizeof points->characters[0], "decomposed text");
            if (status != LCKV_OK)
                return status;
        }
        for (utf8proc_ssize_t i = 0; i < n; i++)
            insert_mark(points->characters, (*count)++, decomposed[i]);
    }
    for (size_t i = 0; i < *count; i++)
        points->characters[i] &= CHARACTER_BITS;
    return LCKV_OK;
}

lckv_status normal_form_append(enum normal_form form, const char *part, size_t length,
                               struct code_points *points, struct text_buffer *buffer)
{
    size_t count;
    lckv_status status = decompose(form, part, length, points, &count);
    if (status != LCKV_OK)
        return status;
    utf8proc_ssize_t n = (utf8proc_ssize_t)count;
    if ((options[form] & UTF8PROC_COMPOSE) != 0)
        n = utf8proc_normalize_utf32(points->characters, n, options[form]);
    if (n < 0)
        return fail(LCKV_INTERNAL, "normalisation: %s", utf8proc_errmsg(n));
    for (utf8proc_ssize_t i = 0; status == LCKV_OK && i < n; i++) {
        char encoded[4];
        utf8proc_ssize_t n_bytes =
            utf8proc_encode_char(points->characters[i], (utf8proc_uint8_t *)encoded);
        status = text_buffer_append(buffer, encoded, (size_t)n_bytes);
    }
    return status;
}
