/*
 * Compiles patterns. See pattern.h.
 */
#include "text/pattern.h"

#include "base/status.h"
#include "text/pattern_translation.h"

#include <string.h>

#define MAX_GROUPS 100 /* nested in each other */

/* PCRE2 does not tell free() the size of a block, so it is stored in front of the block. */
#define HEADER 16

static void *pattern_malloc(size_t size, void *user)
{
    const lckv_allocator *allocator = user;
    unsigned char *memory;
    if (!checked_add(size, HEADER, &size) ||
        memory_alloc(allocator, size, 1, "a pattern", &memory) != LCKV_OK)
        return NULL;
    memcpy(memory, &size, sizeof size);
    return memory + HEADER;
}

static void pattern_free(void *pointer, void *user)
{
    const lckv_allocator *allocator = user;
    if (pointer == NULL)
        return;
    unsigned char *memory = (unsigned char *)pointer - HEADER;
    size_t size;
    memcpy(&size, memory, sizeof size);
    memory_free(allocator, memory, size, 1);
}

pcre2_general_context *pattern_memory_create(struct arena *arena)
{
    return pcre2_general_context_create(pattern_malloc, pattern_free, &arena->allocator);
}

/* Whether PCRE2 could not hold a pattern that is well formed. */
static bool is_limit(int error)
{
    switch (error) {
    case PCRE2_ERROR_PATTERN_TOO_LARGE: /* compiled: less than 65536 bytes */
    case PCRE2_ERROR_PATTERN_TOO_COMPLICATED:
    case PCRE2_ERROR_PARENTHESES_NEST_TOO_DEEP:
    case PCRE2_ERROR_LOOKBEHIND_TOO_COMPLICATED:
    case PCRE2_ERROR_LOOKBEHIND_TOO_LONG:
        return true;
    default:
        return false;
    }
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
    const struct quoted text = quoted(pattern.bytes, pattern.length);
    if (is_limit(error))
        return fail(LCKV_UNSUPPORTED,
                    "pattern %s of %zu bytes: %s; expected a shorter or simpler pattern", text.text,
                    pattern.length, (const char *)message);
    return fail(LCKV_BAD_FORMAT, "pattern %s: %s", text.text, (const char *)message);
}

lckv_status pattern_init(struct pattern *pattern, struct text text, struct arena *arena,
                         pcre2_general_context *memory)
{
    *pattern = (struct pattern){.text.length = text.length};
    if (text.length > PATTERN_MAX_LENGTH)
        return fail(LCKV_UNSUPPORTED, "a pattern of %zu bytes, expected at most %d", text.length,
                    PATTERN_MAX_LENGTH);
    struct text_buffer translated = {.allocator = &arena->allocator};
    lckv_status status = arena_copy(arena, text.bytes, text.length, &pattern->text.bytes);
    if (status == LCKV_OK)
        status = pattern_translate(pattern->text, &translated, &pattern->largest_count);
    if (status == LCKV_OK)
        status = compile(pattern->text, text_buffer_text(&translated), memory, &pattern->code);
    text_buffer_release(&translated);
    return status;
}

void pattern_release(struct pattern *pattern)
{
    pcre2_code_free(pattern->code);
}
