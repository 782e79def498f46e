/*
 * Tokenizers: making one, looking at its tokens, and bytes back from tokens. Bytes to tokens is
 * encode.c's.
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
};
#define N_END_TEXTS (sizeof end_texts / sizeof end_texts[0])
#define N_TURN_TEXTS 10 /* the first of them may be the end-of-turn token */

_Static_assert(N_END_TEXTS + 2 <= MAX_END_TOKENS, "room for every end token, EOS and EOT");

static void add_end(struct tokenizer *tokenizer, lckv_token token)
{
    if (token >= 0 && !tokenizer_is_end(tokenizer, token))
        tokenizer->ends[tokenizer->n_ends++] = token;
}

static void find_end_tokens(struct tokenizer *tokenizer)
{
    lckv_token *eot = &tokenizer->special[LCKV_SPECIAL_EOT];
    for (size_t i = 0; i < N_END_TEXTS; i++) {
        struct text text = {end_texts[i], strlen(end_texts[i])};
        lckv_token token = vocabulary_find(&tokenizer->vocabulary, text);
        if (token < 0 || tokenizer->vocabulary.tokens[token].type != LCKV_TOKEN_CONTROL)
            continue;
        if (*eot < 0 && i < N_TURN_TEXTS)
            *eot = token;
        add_end(tokenizer, token);
    }
    add_end(tokenizer, tokenizer->special[LCKV_SPECIAL_EOS]);
    add_end(tokenizer, *eot);
}

static lckv_status read_parts(struct tokenizer *tokenizer, const struct checkpoint *checkpoint)
{
    lckv_status status = pretokenizer_init(&tokenizer->pretokenizer, &tokenizer->arena);
    if (status == LCKV_OK && checkpoint->kind == CHECKPOINT_GGUF)
        status = tokenizer_read_metadata(tokenizer, &checkpoint->metadata);
    else if (status == LCKV_OK)
        status =
            tokenizer_read_json(tokenizer, checkpoint->tokenizer, checkpoint->tokenizer_config);
    if (status == LCKV_OK) {
        status = special_tokens_init(&tokenizer->special_tokens, &tokenizer->vocabulary);
        if (status != LCKV_OK && checkpoint->kind != CHECKPOINT_GGUF)
            fail_in(status, "tokenizer.json: added_tokens");
    }
    if (status != LCKV_OK)
        return fail_in(status, "%s", checkpoint->name);
    find_end_tokens(tokenizer);
    return LCKV_OK;
}

/* A GGUF file without a tokenizer lacks the key, or says "none". */
static lckv_status is_described(const struct checkpoint *checkpoint, bool *described)
{
    struct text model = {"", 0};
    *described = checkpoint->tokenizer.length > 0;
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
        for (size_t i = 0; i < N_SPECIALS; i++)
            tokenizer->special[i] = -1;
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
    arena_release(&tokenizer->arena);
    memory_free(&allocator, tokenizer, 1, sizeof *tokenizer);
}

uint32_t tokenizer_n_tokens(const struct tokenizer *tokenizer)
{
    return tokenizer->vocabulary.n_tokens;
}

static lckv_status check_token(const struct tokenizer *tokenizer, lckv_token token)
{
    if (token < 0 || (uint32_t)token >= tokenizer->vocabulary.n_tokens)
        return fail(LCKV_INVALID_ARGUMENT, "token %d, expected 0 to %u", token,
                    tokenizer->vocabulary.n_tokens - 1);
    return LCKV_OK;
}

lckv_status tokenizer_token(const struct tokenizer *tokenizer, lckv_token token, struct text *text,
                            lckv_token_type *type)
{
    lckv_status status = check_token(tokenizer, token);
    if (status != LCKV_OK)
        return status;
    *text = tokenizer->vocabulary.tokens[token].text;
    *type = tokenizer->vocabulary.tokens[token].type;
    return LCKV_OK;
}

lckv_token tokenizer_special(const struct tokenizer *tokenizer, lckv_special special)
{
    return special >= 0 && special < N_SPECIALS ? tokenizer->special[special] : -1;
}

bool tokenizer_is_end(const struct tokenizer *tokenizer, lckv_token token)
{
    for (size_t i = 0; i < tokenizer->n_ends; i++) {
        if (tokenizer->ends[i] == token)
            return true;
    }
    return false;
}

struct text tokenizer_chat_template(const struct tokenizer *tokenizer)
{
    return tokenizer->chat_template;
}

lckv_status tokenizer_decode(const struct tokenizer *tokenizer, const lckv_token *tokens,
                             size_t n_tokens, uint32_t flags, char *buffer, size_t capacity,
                             size_t *length)
{
    const struct vocabulary *vocabulary = &tokenizer->vocabulary;
    bool hidden_too = (flags & LCKV_DETOKENIZE_SPECIAL) != 0;
    size_t needed = 0;
    for (size_t i = 0; i < n_tokens; i++) {
        lckv_status status = check_token(tokenizer, tokens[i]);
        if (status != LCKV_OK)
            return fail_in(status, "token %zu of %zu", i, n_tokens);
        if ((hidden_too || !vocabulary_hides(vocabulary->tokens[tokens[i]].type)) &&
            !checked_add(needed, vocabulary->tokens[tokens[i]].text.length, &needed))
            return fail(LCKV_OUT_OF_MEMORY, "the text is longer than memory");
    }
    *length = needed;
    if (needed > capacity)
        return fail(LCKV_BUFFER_TOO_SMALL, "the text has %zu bytes, the buffer %zu", needed,
                    capacity);
    size_t at = 0;
    for (size_t i = 0; i < n_tokens; i++) {
        struct text text = vocabulary->tokens[tokens[i]].text;
        if (text.length == 0 ||
            (!hidden_too && vocabulary_hides(vocabulary->tokens[tokens[i]].type)))
            continue;
        memcpy(buffer + at, text.bytes, text.length);
        at += text.length;
    }
    return LCKV_OK;
}
