/*
 * Tells whether a text has special tokens in it, without encoding it.
 */
#include "text/tokenizer_parts.h"

#include "base/utf8.h"

static lckv_status look(const struct tokenizer *tokenizer, bool normalized, struct text text,
                        bool *found)
{
    struct special_finder finder;
    struct special_match match;
    lckv_status status =
        special_finder_init(&finder, &tokenizer->special_tokens[normalized],
                            &tokenizer->arena.allocator, text.bytes, text.length, true);
    if (status != LCKV_OK)
        return status;
    *found = special_finder_next(&finder, &match);
    special_finder_release(&finder);
    return LCKV_OK;
}

/* Looks for normalized tokens in each stretch of valid UTF-8, as encode.c does. */
static lckv_status look_normalized(const struct tokenizer *tokenizer,
                                   struct normalizing *normalizing, struct text text, bool *found)
{
    lckv_status status = LCKV_OK;
    for (size_t at = 0; status == LCKV_OK && !*found && at < text.length;) {
        struct text run = {text.bytes + at, utf8_valid_run(text.bytes + at, text.length - at)};
        at += run.length;
        at += utf8_invalid_run(text.bytes + at, text.length - at);
        status = normalizing_run(normalizing, run, NULL, 0, &run);
        if (status == LCKV_OK)
            status = look(tokenizer, true, run, found);
    }
    return status;
}

lckv_status tokenizer_has_special(const struct tokenizer *tokenizer, const char *text,
                                  size_t length, bool *found)
{
    const struct text whole = {text, length};
    struct matcher matcher;
    struct normalizing normalizing;
    lckv_status status = look(tokenizer, false, whole, found);
    if (status != LCKV_OK || *found || tokenizer->special_tokens[1].longest == 0)
        return status;
    status = matcher_init(&matcher, tokenizer->normalizer.memory);
    if (status != LCKV_OK)
        return status;
    matcher_allow(&matcher, length);
    normalizing_init(&normalizing, &tokenizer->normalizer, &matcher);
    status = look_normalized(tokenizer, &normalizing, whole, found);
    normalizing_release(&normalizing);
    matcher_release(&matcher);
    return status;
}
