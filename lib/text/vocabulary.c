/*
 * The vocabulary. See vocabulary.h.
 */
#include "text/vocabulary.h"

#include "base/status.h"
#include "text/byte_level.h"
#include "text/tokenizer.h"

#include <inttypes.h>
#include <string.h>

lckv_status vocabulary_init(struct vocabulary *vocabulary, struct arena *arena, uint64_t n_tokens,
                            uint64_t n_listed)
{
    if (n_tokens == 0 || n_tokens > TOKENIZER_MAX_TOKENS)
        return fail(LCKV_BAD_FORMAT, "%" PRIu64 " tokens, expected 1 to %u", n_tokens,
                    TOKENIZER_MAX_TOKENS);
    if (n_tokens > n_listed && n_tokens - n_listed > VOCABULARY_MAX_HOLES)
        return fail(LCKV_BAD_FORMAT,
                    "%" PRIu64 " tokens with ids up to %" PRIu64 ", expected dense ids: at most %d "
                    "without a token",
                    n_listed, n_tokens - 1, VOCABULARY_MAX_HOLES);
    vocabulary->arena = arena;
    vocabulary->n_tokens = (uint32_t)n_tokens;
    lckv_status status = arena_alloc(arena, (size_t)n_tokens, sizeof vocabulary->tokens[0],
                                     "a vocabulary", &vocabulary->tokens);
    if (status != LCKV_OK)
        return status;
    return table_init(&vocabulary->ids, arena, (size_t)n_tokens, "a vocabulary's index");
}

lckv_status vocabulary_set(struct vocabulary *vocabulary, uint64_t id, struct text spelling,
                           int64_t type)
{
    if (id >= vocabulary->n_tokens)
        return fail(LCKV_BAD_FORMAT, "token %s has id %" PRIu64 ", expected less than %" PRIu32,
                    quoted(spelling.bytes, spelling.length).text, id, vocabulary->n_tokens);
    if (type < LCKV_TOKEN_NORMAL || type > LCKV_TOKEN_BYTE)
        return fail(LCKV_BAD_FORMAT, "token %" PRIu64 " has type %" PRId64 ", expected 1 to 6", id,
                    type);
    struct vocabulary_token *token = &vocabulary->tokens[id];
    if (token->type != 0)
        return fail(LCKV_BAD_FORMAT, "tokens %s and %s have the same id %" PRIu64,
                    quoted(token->spelling.bytes, token->spelling.length).text,
                    quoted(spelling.bytes, spelling.length).text, id);
    lckv_status status =
        arena_copy(vocabulary->arena, spelling.bytes, spelling.length, &token->spelling.bytes);
    if (status != LCKV_OK)
        return status;
    token->spelling.length = spelling.length;
    token->type = (lckv_token_type)type;
    if (spelling.length > vocabulary->longest_spelling)
        vocabulary->longest_spelling = spelling.length;
    bool added;
    return table_add(&vocabulary->ids, token->spelling.bytes, spelling.length, (uint32_t)id,
                     &added);
}

lckv_status vocabulary_spell_hole(struct arena *arena, uint32_t id, struct text *spelling)
{
    char text[sizeof "[PAD]" + 10] = "[PAD", digits[10];
    size_t length = 4, n_digits = 0;
    for (uint32_t rest = id; rest > 0 || n_digits == 0; rest /= 10)
        digits[n_digits++] = (char)('0' + rest % 10);
    while (n_digits > 0)
        text[length++] = digits[--n_digits];
    text[length++] = ']';
    spelling->length = length;
    return arena_copy(arena, text, length, &spelling->bytes);
}

static lckv_status fill_holes(struct vocabulary *vocabulary)
{
    lckv_status status = LCKV_OK;
    for (uint32_t id = 0; status == LCKV_OK && id < vocabulary->n_tokens; id++) {
        struct vocabulary_token *token = &vocabulary->tokens[id];
        if (token->type != 0)
            continue;
        token->type = LCKV_TOKEN_UNUSED;
        status = vocabulary_spell_hole(vocabulary->arena, id, &token->spelling);
        if (token->spelling.length > vocabulary->longest_spelling)
            vocabulary->longest_spelling = token->spelling.length;
    }
    return status;
}

/* Makes the text of a token from its spelling. `bytes` has room for the longest spelling. */
static lckv_status derive_text(struct vocabulary *vocabulary, struct vocabulary_token *token,
                               char *bytes)
{
    struct text spelling = token->spelling;
    size_t n_bytes = 0;
    token->text = spelling;
    bool spelled = token->type == LCKV_TOKEN_NORMAL || token->type == LCKV_TOKEN_BYTE;
    if (!spelled || !byte_level_bytes(spelling.bytes, spelling.length, bytes, &n_bytes))
        return LCKV_OK;
    if (n_bytes == spelling.length) /* all of it is ASCII, so spelling and text are the same */
        return LCKV_OK;
    token->text.length = n_bytes;
    return arena_copy(vocabulary->arena, bytes, n_bytes, &token->text.bytes);
}

lckv_status vocabulary_finish(struct vocabulary *vocabulary)
{
    lckv_status status = fill_holes(vocabulary);
    char *bytes = NULL;
    if (status == LCKV_OK)
        status = arena_alloc(vocabulary->arena, vocabulary->longest_spelling + 1, 1,
                             "a token's text", &bytes);
    for (uint32_t id = 0; status == LCKV_OK && id < vocabulary->n_tokens; id++)
        status = derive_text(vocabulary, &vocabulary->tokens[id], bytes);
    if (status != LCKV_OK)
        return status;
    for (int byte = 0; byte < 256; byte++) {
        char spelling[BYTE_LEVEL_MAX];
        size_t length = byte_level_spell((uint8_t)byte, spelling);
        vocabulary->bytes[byte] = vocabulary_find(vocabulary, (struct text){spelling, length});
    }
    return LCKV_OK;
}

lckv_token vocabulary_find(const struct vocabulary *vocabulary, struct text spelling)
{
    uint32_t id;
    if (!table_find(&vocabulary->ids, spelling.bytes, spelling.length, &id))
        return -1;
    return (lckv_token)id;
}

bool vocabulary_hides(lckv_token_type type)
{
    return type == LCKV_TOKEN_CONTROL || type == LCKV_TOKEN_UNKNOWN || type == LCKV_TOKEN_UNUSED;
}
