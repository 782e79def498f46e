/*
 * Special tokens in text: a sorted list, narrowed byte by byte.
 */
#include "text/special_tokens.h"

#include "base/status.h"
#include "format/order.h"
#include "text/unicode.h"

static int compare(const void *a, const void *b)
{
    const struct special_token *left = a, *right = b;
    return text_compare(left->text, right->text);
}

static bool is_special(const struct vocabulary_token *token)
{
    return token->text.length > 0 &&
           (token->type == LCKV_TOKEN_CONTROL || token->type == LCKV_TOKEN_USER_DEFINED ||
            token->type == LCKV_TOKEN_UNKNOWN);
}

lckv_status special_tokens_init(struct special_tokens *specials,
                                const struct vocabulary *vocabulary)
{
    specials->vocabulary = vocabulary;
    size_t count = 0;
    for (uint32_t id = 0; id < vocabulary->n_tokens; id++)
        count += is_special(&vocabulary->tokens[id]);
    lckv_status status = arena_alloc(vocabulary->arena, count, sizeof specials->tokens[0],
                                     "special tokens", &specials->tokens);
    if (status != LCKV_OK)
        return status;
    for (uint32_t id = 0; id < vocabulary->n_tokens; id++) {
        const struct vocabulary_token *token = &vocabulary->tokens[id];
        if (!is_special(token))
            continue;
        if (token->text.length > SPECIAL_TOKEN_MAX_LENGTH)
            return fail(LCKV_UNSUPPORTED, "special token %s has %zu bytes, expected at most %d",
                        quoted(token->text.bytes, token->text.length).text, token->text.length,
                        SPECIAL_TOKEN_MAX_LENGTH);
        bool control = token->type != LCKV_TOKEN_USER_DEFINED;
        specials->tokens[specials->count++] =
            (struct special_token){token->text, (lckv_token)id, control};
    }
    order_sort(specials->tokens, count, sizeof specials->tokens[0], compare);
    size_t at = 0;
    for (unsigned byte = 0; byte <= 256; byte++) {
        while (at < count && (uint8_t)specials->tokens[at].text.bytes[0] < byte)
            at++;
        specials->first[byte] = at;
    }
    return LCKV_OK;
}

/*
 * The first token of [begin, end) whose byte `depth` is `byte` or more. All are longer than
 * `depth`.
 */
static size_t lower_bound(const struct special_tokens *specials, size_t begin, size_t end,
                          size_t depth, unsigned byte)
{
    while (begin < end) {
        size_t middle = begin + (end - begin) / 2;
        if ((uint8_t)specials->tokens[middle].text.bytes[depth] < byte)
            begin = middle + 1;
        else
            end = middle;
    }
    return begin;
}

/* The longest token that the text starts with, or NULL. */
static const struct special_token *longest(const struct special_tokens *specials, const char *text,
                                           size_t length, bool controls)
{
    const struct special_token *found = NULL;
    size_t begin = specials->first[(uint8_t)text[0]];
    size_t end = specials->first[(uint8_t)text[0] + 1];
    for (size_t depth = 1; begin < end; depth++) {
        const struct special_token *token = &specials->tokens[begin];
        if (token->text.length == depth) { /* sorted: the shortest comes first, and is alone */
            if (controls || !token->control)
                found = token;
            begin++;
        }
        if (depth == length)
            break;
        unsigned byte = (uint8_t)text[depth];
        begin = lower_bound(specials, begin, end, depth, byte);
        end = lower_bound(specials, begin, end, depth, byte + 1);
    }
    return found;
}

/* False if a single-word token stands inside a word. */
static bool take_surroundings(const char *text, size_t length, size_t from, uint32_t flags,
                              struct special_match *match)
{
    if ((flags & TOKEN_SINGLE_WORD) != 0 &&
        (unicode_word_at_end(text, match->begin) ||
         unicode_word_at_start(text + match->end, length - match->end)))
        return false;
    if ((flags & TOKEN_STRIP_LEFT) != 0)
        match->begin -= unicode_space_at_end(text + from, match->begin - from);
    if ((flags & TOKEN_STRIP_RIGHT) != 0)
        match->end += unicode_space_at_start(text + match->end, length - match->end);
    return true;
}

bool special_tokens_find(const struct special_tokens *specials, const char *text, size_t length,
                         size_t from, bool controls, struct special_match *match)
{
    for (size_t at = from; at < length;) {
        const struct special_token *token = longest(specials, text + at, length - at, controls);
        if (token == NULL) {
            at++;
            continue;
        }
        *match = (struct special_match){at, at + token->text.length, token->id};
        at = match->end;
        uint32_t flags = specials->vocabulary->tokens[token->id].flags;
        if (take_surroundings(text, length, from, flags, match))
            return true;
    }
    return false;
}
