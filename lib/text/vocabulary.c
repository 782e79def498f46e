/*
 * The vocabulary. See vocabulary.h.
 */
#include "text/vocabulary.h"

#include "base/status.h"
#include "text/byte_level.h"
#include "text/metaspace.h"
#include "text/tokenizer.h"

#include <inttypes.h>
#include <math.h>
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

/*
 * Writes the bytes that a spelling stands for, at most as many as it has; false if it stands for
 * itself.
 */
static bool read_spelling(const struct vocabulary *vocabulary, const struct vocabulary_token *token,
                          char *bytes, size_t *n_bytes)
{
    struct text spelling = token->spelling;
    bool is_normal = token->type == LCKV_TOKEN_NORMAL, is_byte = token->type == LCKV_TOKEN_BYTE;
    if (!vocabulary->metaspace)
        return (is_normal || is_byte) &&
               byte_level_bytes(spelling.bytes, spelling.length, bytes, n_bytes);
    if (is_byte) {
        int byte = metaspace_byte(spelling);
        bytes[0] = (char)byte;
        *n_bytes = 1;
        return byte >= 0;
    }
    if (!is_normal && token->type != LCKV_TOKEN_USER_DEFINED)
        return false;
    *n_bytes = metaspace_text(spelling, bytes);
    return true;
}

/* Makes the text of a token from its spelling. `bytes` has room for the longest spelling. */
static lckv_status derive_text(struct vocabulary *vocabulary, struct vocabulary_token *token,
                               char *bytes)
{
    size_t n_bytes = 0;
    token->text = token->spelling;
    if (!read_spelling(vocabulary, token, bytes, &n_bytes))
        return LCKV_OK;
    if (n_bytes == token->spelling.length) /* then spelling and text are the same */
        return LCKV_OK;
    token->text.length = n_bytes;
    return arena_copy(vocabulary->arena, bytes, n_bytes, &token->text.bytes);
}

static lckv_token find_byte(const struct vocabulary *vocabulary, uint8_t byte)
{
    char spelling[METASPACE_BYTE_LENGTH];
    if (!vocabulary->metaspace) {
        size_t length = byte_level_spell(byte, spelling);
        return vocabulary_find(vocabulary, (struct text){spelling, length});
    }
    metaspace_spell_byte(byte, spelling);
    lckv_token token = vocabulary_find(vocabulary, (struct text){spelling, sizeof spelling});
    return token >= 0 && vocabulary->tokens[token].type == LCKV_TOKEN_BYTE ? token : -1;
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
    for (int byte = 0; status == LCKV_OK && byte < 256; byte++)
        vocabulary->bytes[byte] = find_byte(vocabulary, (uint8_t)byte);
    return status;
}

lckv_status vocabulary_add_scores(struct vocabulary *vocabulary)
{
    return arena_alloc(vocabulary->arena, vocabulary->n_tokens, sizeof vocabulary->scores[0],
                       "a vocabulary's scores", &vocabulary->scores);
}

lckv_status vocabulary_set_score(struct vocabulary *vocabulary, uint32_t id, double score)
{
    if (!isfinite(score))
        return fail(LCKV_BAD_FORMAT, "the score of token %" PRIu32 ": expected a finite number",
                    id);
    vocabulary->scores[id] = score;
    return LCKV_OK;
}

bool vocabulary_weighs(const struct vocabulary_token *token)
{
    return token->type == LCKV_TOKEN_NORMAL || (token->flags & TOKEN_WEIGHED) != 0;
}

lckv_status vocabulary_check_pieces(const struct vocabulary *vocabulary)
{
    for (uint32_t id = 0; id < vocabulary->n_tokens; id++) {
        const struct vocabulary_token *token = &vocabulary->tokens[id];
        if (vocabulary_weighs(token) && token->spelling.length > VOCABULARY_MAX_PIECE)
            return fail(LCKV_UNSUPPORTED, "token %" PRIu32 " has %zu bytes, expected at most %d",
                        id, token->spelling.length, VOCABULARY_MAX_PIECE);
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

lckv_token vocabulary_find_plain(const struct vocabulary *vocabulary, struct text spelling)
{
    lckv_token token = vocabulary_find(vocabulary, spelling);
    if (token < 0)
        return -1;
    lckv_token_type type = vocabulary->tokens[token].type;
    return type == LCKV_TOKEN_NORMAL || type == LCKV_TOKEN_USER_DEFINED ? token : -1;
}

bool vocabulary_has_bytes(const struct vocabulary *vocabulary, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (vocabulary->bytes[(uint8_t)bytes[i]] < 0)
            return false;
    }
    return true;
}

lckv_status vocabulary_give_unknown(const struct vocabulary *vocabulary, struct text text,
                                    lckv_token unknown, bool *was_unknown, struct token_list *list)
{
    lckv_status status = LCKV_OK;
    if (vocabulary_has_bytes(vocabulary, text.bytes, text.length)) {
        *was_unknown = false;
        for (size_t i = 0; status == LCKV_OK && i < text.length; i++)
            status = token_list_add(list, vocabulary->bytes[(uint8_t)text.bytes[i]]);
        return status;
    }
    if (unknown >= 0 && !*was_unknown)
        status = token_list_add(list, unknown);
    *was_unknown = true;
    return status;
}

bool vocabulary_is_special(lckv_token_type type)
{
    return type == LCKV_TOKEN_CONTROL || type == LCKV_TOKEN_USER_DEFINED ||
           type == LCKV_TOKEN_UNKNOWN;
}

bool vocabulary_hides(lckv_token_type type)
{
    return type == LCKV_TOKEN_CONTROL || type == LCKV_TOKEN_UNKNOWN || type == LCKV_TOKEN_UNUSED;
}
