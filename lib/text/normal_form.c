/*
 * Normalisation forms. See normal_form.h.
 */
#include "text/normal_form.h"

#include "base/status.h"
#include "text/unicode.h"

#include <utf8proc.h>

/*
 * utf8proc sorts a sequence of combining marks in quadratic time. No writing system has sequences
 * longer than this, so they are normalised in parts (Unicode's Stream-Safe Text Format cuts at 30).
 */
#define MAX_MARKS 256

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

lckv_status normal_form_append(enum normal_form form, const char *part, size_t length,
                               struct code_points *points, struct text_buffer *buffer)
{
    const utf8proc_uint8_t *bytes = (const utf8proc_uint8_t *)part;
    utf8proc_ssize_t n =
        utf8proc_decompose(bytes, (utf8proc_ssize_t)length, NULL, 0, options[form]);
    if (n < 0)
        return fail(LCKV_INTERNAL, "normalisation: %s", utf8proc_errmsg(n));
    lckv_status status = memory_grow(points->allocator, &points->characters, &points->capacity,
                                     (size_t)n, sizeof points->characters[0], "decomposed text");
    if (status != LCKV_OK)
        return status;
    n = utf8proc_decompose(bytes, (utf8proc_ssize_t)length, points->characters, n, options[form]);
    if (n >= 0 && (options[form] & UTF8PROC_COMPOSE) != 0)
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
