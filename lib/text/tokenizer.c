/*
 * Makes tokenizers, looks at their tokens, and turns tokens back into bytes. encode.c turns bytes
 * into tokens.
 */
#include "text/tokenizer_parts.h"

#include "base/status.h"
#include "base/text.h"

#include <string.h>

/* Control tokens that end a model's text or turn, the ends of turns first. */
static const char *const end_texts[] = {
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<end_of_turn>",
    "<turn|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<EOT>",
    "_<EOT>",
    "<｜end▁of▁sentence｜>",
    "<end_of_utterance>",
    "<|eom_id|>",
    "<|return|>",
    "<|call|>",
    "</s>",
    "<eos>",
};
#define N_END_TEXTS (sizeof end_texts / sizeof end_texts[0])
#define N_TURN_TEXTS 11 /* so many of them, from the first on, may be the end-of-turn token */

static lckv_status find_end_tokens(struct tokenizer *tokenizer)
{
    struct special_ids *ids = &tokenizer->ids;
    lckv_token *eot = &ids->special[LCKV_SPECIAL_EOT];
    lckv_status status = LCKV_OK;
    for (size_t i = 0; status == LCKV_OK && i < N_END_TEXTS; i++) {
        struct text text = {end_texts[i], strlen(end_texts[i])};
        lckv_token token = vocabulary_find(&tokenizer->vocabulary, text);
        if (token < 0 || tokenizer->vocabulary.tokens[token].type != LCKV_TOKEN_CONTROL)
            continue;
        if (*eot < 0 && i < N_TURN_TEXTS)
            *eot = token;
        status = special_ids_add_end(ids, token);
    }
    if (status == LCKV_OK)
        status = special_ids_add_end(ids, ids->special[LCKV_SPECIAL_EOS]);
    if (status == LCKV_OK)
        status = special_ids_add_end(ids, *eot);
    return status;
}

/* Whether bytes that are no UTF-8 have tokens. */
static bool keeps_invalid(const struct vocabulary *vocabulary)
{
    bool keeps = true;
    for (int byte = 0x80; byte < 256; byte++)
        keeps = keeps && vocabulary->bytes[byte] >= 0;
    return keeps;
}

/* The normalized tokens are looked for in normalised text, so their own is normalised, too. */
static lckv_status list_special_tokens(struct tokenizer *tokenizer)
{
    struct matcher matcher;
    struct normalizing normalizing;
    lckv_status status =
        special_tokens_init(&tokenizer->special_tokens[0], &tokenizer->vocabulary, NULL);
    if (status == LCKV_OK)
        status = matcher_init(&matcher, tokenizer->normalizer.memory);
    if (status != LCKV_OK)
        return status;
    normalizing_init(&normalizing, &tokenizer->normalizer, &matcher);
    status =
        special_tokens_init(&tokenizer->special_tokens[1], &tokenizer->vocabulary, &normalizing);
    normalizing_release(&normalizing);
    matcher_release(&matcher);
    return status;
}

static lckv_status read_parts(struct tokenizer *tokenizer, const struct checkpoint *checkpoint)
{
    lckv_status status = pretokenizer_init(&tokenizer->pretokenizer, &tokenizer->arena);
    if (status == LCKV_OK)
        status = normalizer_init(&tokenizer->normalizer, &tokenizer->arena);
    if (status == LCKV_OK && checkpoint->kind == CHECKPOINT_GGUF)
        status = tokenizer_read_metadata(tokenizer, &checkpoint->metadata);
    else if (status == LCKV_OK)
        status = tokenizer_read_json(tokenizer, checkpoint);
    if (status == LCKV_OK) {
        status = list_special_tokens(tokenizer);
        if (status != LCKV_OK && checkpoint->kind != CHECKPOINT_GGUF)
            fail_in(status, "%s",
                    checkpoint->tokenizer.length > 0 ? "tokenizer.json: added_tokens"
                                                     : "tokenizer.model");
    }
    for (size_t i = 0; i < N_SPECIALS; i++)
        tokenizer->names_special[i] = tokenizer->ids.special[i] >= 0;
    tokenizer->n_ids = tokenizer->vocabulary.n_tokens;
    tokenizer->spacing.keep_invalid = keeps_invalid(&tokenizer->vocabulary);
    if (status == LCKV_OK)
        status = find_end_tokens(tokenizer);
    return status == LCKV_OK ? status : fail_in(status, "%s", checkpoint->name);
}

/* In a GGUF file without a tokenizer the key is missing, or its value is "none". */
static lckv_status is_described(const struct checkpoint *checkpoint, bool *described)
{
    struct text model = {"", 0};
    *described = checkpoint->tokenizer.length > 0 || checkpoint->sentencepiece.length > 0;
    if (checkpoint->no_tokenizer != NULL)
        return fail(LCKV_UNSUPPORTED, "%s", checkpoint->no_tokenizer);
    if (checkpoint->kind != CHECKPOINT_GGUF)
        return LCKV_OK;
    lckv_status status = metadata_get_text(&checkpoint->metadata, KEY_MODEL, &model, described);
    if (status != LCKV_OK)
        return fail_in(status, "%s", checkpoint->name);
    if (text_equals(model, "none") || text_equals(model, "no_vocab"))
        *described = false;
    return LCKV_OK;
}

lckv_status tokenizer_create(const struct checkpoint *checkpoint, const lckv_allocator *allocator,
                             struct tokenizer **result)
{
    bool described;
    struct tokenizer *tokenizer = NULL;
    lckv_status status = is_described(checkpoint, &described);
    if (status == LCKV_OK && described)
        status = memory_alloc(allocator, 1, sizeof *tokenizer, "a tokenizer", &tokenizer);
    if (status != LCKV_OK)
        return status;
    if (tokenizer != NULL) {
        arena_init(&tokenizer->arena, allocator);
        special_ids_init(&tokenizer->ids);
        tokenizer->chat_template.bytes = "";
        status = read_parts(tokenizer, checkpoint);
    }
    if (status != LCKV_OK) {
        tokenizer_release(tokenizer);
        return status;
    }
    *result = tokenizer;
    return LCKV_OK;
}

void tokenizer_release(struct tokenizer *tokenizer)
{
    if (tokenizer == NULL)
        return;
    lckv_allocator allocator = tokenizer->arena.allocator;
    pretokenizer_release(&tokenizer->pretokenizer);
    normalizer_release(&tokenizer->normalizer);
    arena_release(&tokenizer->arena);
    memory_free(&allocator, tokenizer, 1, sizeof *tokenizer);
}

uint32_t tokenizer_n_tokens(const struct tokenizer *tokenizer)
{
    return tokenizer->vocabulary.n_tokens;
}

lckv_status tokenizer_extend(struct tokenizer *tokenizer, uint32_t n_ids,
                             const struct special_ids *ids)
{
    if (n_ids > tokenizer->n_ids)
        tokenizer->n_ids = n_ids;
    return special_ids_complete(&tokenizer->ids, ids);
}

lckv_status tokenizer_token(const struct tokenizer *tokenizer, lckv_token token, struct text *text,
                            lckv_token_type *type)
{
    const struct vocabulary *vocabulary = &tokenizer->vocabulary;
    if (token < 0 || (uint32_t)token >= tokenizer->n_ids)
        return fail(LCKV_INVALID_ARGUMENT, "token %d, expected 0 to %u", token,
                    tokenizer->n_ids - 1);
    bool listed = (uint32_t)token < vocabulary->n_tokens;
    *text = listed ? vocabulary->tokens[token].text : (struct text){"", 0};
    *type = listed ? vocabulary->tokens[token].type : LCKV_TOKEN_UNUSED;
    return LCKV_OK;
}

const struct special_ids *tokenizer_special_ids(const struct tokenizer *tokenizer)
{
    return &tokenizer->ids;
}

struct text tokenizer_chat_template(const struct tokenizer *tokenizer)
{
    return tokenizer->chat_template;
}

lckv_status tokenizer_show(const struct tokenizer *tokenizer, lckv_token token, uint32_t flags,
                           bool *at_begin, struct text *text)
{
    const struct spacing *spacing = &tokenizer->spacing;
    lckv_token_type type = LCKV_TOKEN_UNUSED;
    lckv_status status = tokenizer_token(tokenizer, token, text, &type);
    if (status != LCKV_OK)
        return status;
    if ((flags & LCKV_DETOKENIZE_SPECIAL) == 0 && vocabulary_hides(type))
        text->length = 0;
    if (!*at_begin || text->length == 0)
        return LCKV_OK;
    bool drop = spacing->drop_prefix && text->bytes[0] == ' ';
    *text = (struct text){text->bytes + drop, text->length - drop};
    *at_begin = drop && spacing->trim_begin && text->length == 0;
    return LCKV_OK;
}

bool tokenizer_begins_after(const struct tokenizer *tokenizer, lckv_token previous)
{
    struct text text;
    lckv_token_type type;
    if (previous < 0 || previous == tokenizer->ids.special[LCKV_SPECIAL_BOS])
        return true;
    return tokenizer->spacing.prefix == SPACING_EACH_PREFIX &&
           tokenizer_token(tokenizer, previous, &text, &type) == LCKV_OK && vocabulary_hides(type);
}

lckv_status tokenizer_decode(const struct tokenizer *tokenizer, const lckv_token *tokens,
                             size_t n_tokens, uint32_t flags, char *buffer, size_t capacity,
                             size_t *length)
{
    struct text text;
    size_t needed = 0;
    bool begins = (flags & LCKV_DETOKENIZE_CONTINUES) == 0, at_begin = begins;
    for (size_t i = 0; i < n_tokens; i++) {
        lckv_status status = tokenizer_show(tokenizer, tokens[i], flags, &at_begin, &text);
        if (status != LCKV_OK)
            return fail_in(status, "token %zu of %zu", i, n_tokens);
        if (!checked_add(needed, text.length, &needed))
            return fail(LCKV_OUT_OF_MEMORY, "the text is longer than memory");
    }
    *length = needed;
    if (needed > capacity)
        return fail(LCKV_BUFFER_TOO_SMALL, "the text has %zu bytes, the buffer %zu", needed,
                    capacity);
    at_begin = begins;
    for (size_t i = 0, at = 0; i < n_tokens; i++) {
        lckv_status status = tokenizer_show(tokenizer, tokens[i], flags, &at_begin, &text);
        if (status != LCKV_OK || text.length > capacity - at)
            return fail(LCKV_INVALID_ARGUMENT, "the tokens changed while they were read");
        if (text.length > 0)
            memcpy(buffer + at, text.bytes, text.length);
        at += text.length;
    }
    return LCKV_OK;
}
