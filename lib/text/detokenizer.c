/*
 * The streaming detokenizer. Its buffer holds the text that was given last, a NUL, and up to three
 * bytes that wait for the rest of their character.
 */
#include "text/detokenizer.h"

#include "base/status.h"
#include "base/utf8.h"

#include <string.h>

void detokenizer_init(struct lckv_detokenizer *detokenizer, const struct tokenizer *tokenizer,
                      uint32_t flags, const lckv_allocator *allocator)
{
    *detokenizer = (struct lckv_detokenizer){.tokenizer = tokenizer,
                                             .allocator = *allocator,
                                             .flags = flags,
                                             .at_begin = (flags & LCKV_DETOKENIZE_CONTINUES) == 0};
}

void detokenizer_release(struct lckv_detokenizer *detokenizer)
{
    memory_free(&detokenizer->allocator, detokenizer->buffer, detokenizer->capacity, 1);
    detokenizer->buffer = NULL;
    detokenizer->capacity = detokenizer->given = detokenizer->waiting = 0;
}

/* Forgets the text that was given last, and moves the waiting bytes to the front. */
static void take_back(struct lckv_detokenizer *detokenizer)
{
    if (detokenizer->waiting > 0)
        memmove(detokenizer->buffer, detokenizer->buffer + detokenizer->given + 1,
                detokenizer->waiting);
    detokenizer->given = 0;
}

lckv_status detokenizer_push(struct lckv_detokenizer *detokenizer, lckv_token token,
                             struct text *text)
{
    struct text added;
    bool at_begin = detokenizer->at_begin;
    lckv_status status =
        tokenizer_show(detokenizer->tokenizer, token, detokenizer->flags, &at_begin, &added);
    if (status != LCKV_OK)
        return status;

    /* Room for the text given last and its NUL, the waiting bytes, the new ones and their NUL. */
    size_t needed = detokenizer->given + detokenizer->waiting + 2;
    if (!checked_add(needed, added.length, &needed))
        return fail(LCKV_OUT_OF_MEMORY, "out of memory for a token's text");
    status = memory_grow(&detokenizer->allocator, &detokenizer->buffer, &detokenizer->capacity,
                         needed, 1, "a token's text");
    if (status != LCKV_OK)
        return status;
    take_back(detokenizer);
    detokenizer->at_begin = at_begin;
    char *buffer = detokenizer->buffer;
    memcpy(buffer + detokenizer->waiting, added.bytes, added.length);
    size_t length = detokenizer->waiting + added.length;
    detokenizer->waiting = utf8_unfinished(buffer, length);
    detokenizer->given = length - detokenizer->waiting;
    memmove(buffer + detokenizer->given + 1, buffer + detokenizer->given, detokenizer->waiting);
    buffer[detokenizer->given] = '\0';
    *text = (struct text){buffer, detokenizer->given};
    return LCKV_OK;
}

struct text detokenizer_flush(struct lckv_detokenizer *detokenizer)
{
    detokenizer->at_begin = (detokenizer->flags & LCKV_DETOKENIZE_CONTINUES) == 0;
    if (detokenizer->buffer == NULL)
        return (struct text){"", 0};
    take_back(detokenizer);
    detokenizer->given = detokenizer->waiting;
    detokenizer->waiting = 0;
    detokenizer->buffer[detokenizer->given] = '\0';
    return (struct text){detokenizer->buffer, detokenizer->given};
}
