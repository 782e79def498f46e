/*
 * Turns bytes into tokens. Special tokens are found first; the text between them is normalised and
 * cut into words, and each word is encoded. Bytes that are no UTF-8 become words of their own, so
 * that no byte is an error.
 */
#include "text/tokenizer_parts.h"

#include "base/status.h"
#include "base/utf8.h"
#include "text/unicode.h"

#include <string.h>

/* Offsets in a word have 32 bits, and so have PCRE2's step counts. */
#define MAX_TEXT (1u << 30)

#define REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */

/* One call of tokenizer_encode. */
struct encoding {
    const struct tokenizer *tokenizer;
    struct splitter splitter;
    struct bpe_workspace workspace;
    struct unicode_buffer normalised;
    struct token_list tokens;
};

static lckv_status encode_word(void *context, const char *word, size_t length)
{
    struct encoding *encoding = context;
    return bpe_encode(&encoding->tokenizer->bpe, &encoding->workspace, word, length,
                      &encoding->tokens);
}

static lckv_status encode_valid(struct encoding *encoding, const char *text, size_t length)
{
    if (!encoding->tokenizer->nfc)
        return splitter_run(&encoding->splitter, text, length);
    lckv_status status = unicode_nfc(text, length, &encoding->normalised);
    if (status != LCKV_OK)
        return status;
    return splitter_run(&encoding->splitter, encoding->normalised.bytes,
                        encoding->normalised.length);
}

/*
 * Encodes bytes that are no UTF-8. For those that the vocabulary lacks (some vocabularies have no
 * token for bytes that UTF-8 never has) it encodes U+FFFD, as the field's tools do for all of them.
 */
static lckv_status encode_invalid(struct encoding *encoding, const char *text, size_t length)
{
    const lckv_token *known = encoding->tokenizer->vocabulary.bytes;
    lckv_status status = LCKV_OK;
    for (size_t at = 0; status == LCKV_OK && at < length;) {
        size_t end = at;
        while (end < length && known[(uint8_t)text[end]] >= 0)
            end++;
        if (end > at) {
            status = encode_word(encoding, text + at, end - at);
            at = end;
        } else {
            status = encode_word(encoding, REPLACEMENT, strlen(REPLACEMENT));
            at++;
        }
    }
    return status;
}

/* Encodes a text without special tokens. */
static lckv_status encode_plain(struct encoding *encoding, const char *text, size_t length)
{
    lckv_status status = LCKV_OK;
    for (size_t at = 0; status == LCKV_OK && at < length;) {
        size_t valid = utf8_valid_run(text + at, length - at);
        if (valid > 0)
            status = encode_valid(encoding, text + at, valid);
        at += valid;
        size_t invalid = utf8_invalid_run(text + at, length - at);
        if (status == LCKV_OK && invalid > 0)
            status = encode_invalid(encoding, text + at, invalid);
        at += invalid;
    }
    return status;
}

/* A stretch of the text that is one part, or lies between two special tokens of one. */
struct stretch {
    size_t begin, end;
    bool is_plain;
};

/*
 * Encodes a stretch up to and with its last special token; *plain is the first byte not encoded
 * yet. Normalized tokens are looked for in what the others leave, each gap for itself.
 */
static lckv_status encode_stretch(struct encoding *encoding, const char *text,
                                  const struct stretch *stretch, bool normalized, size_t *plain)
{
    const struct tokenizer *tokenizer = encoding->tokenizer;
    struct special_finder finder;
    struct special_match match;
    struct stretch gap = *stretch;
    lckv_status status = special_finder_init(&finder, &tokenizer->special_tokens[normalized],
                                             &tokenizer->arena.allocator, text + stretch->begin,
                                             stretch->end - stretch->begin, !stretch->is_plain);
    if (status != LCKV_OK)
        return status;
    while (status == LCKV_OK && special_finder_next(&finder, &match)) {
        gap.end = stretch->begin + match.begin;
        if (!normalized && gap.end > gap.begin)
            status = encode_stretch(encoding, text, &gap, true, plain);
        if (status == LCKV_OK && gap.end > *plain)
            status = encode_plain(encoding, text + *plain, gap.end - *plain);
        if (status == LCKV_OK)
            status = token_list_add(&encoding->tokens, match.id);
        *plain = gap.begin = stretch->begin + match.end;
    }
    special_finder_release(&finder);
    gap.end = stretch->end;
    if (status == LCKV_OK && !normalized && gap.end > gap.begin)
        status = encode_stretch(encoding, text, &gap, true, plain);
    return status;
}

static lckv_status encode_text(struct encoding *encoding, const char *text,
                               const struct text_part *parts, size_t n_parts, size_t length)
{
    lckv_status status = LCKV_OK;
    size_t begin = 0, plain = 0;
    splitter_allow(&encoding->splitter, length);
    for (size_t i = 0; status == LCKV_OK && i < n_parts; i++) {
        const struct stretch part = {begin, begin + parts[i].length, parts[i].is_plain};
        status = encode_stretch(encoding, text, &part, false, &plain);
        begin = part.end;
    }
    return status == LCKV_OK ? encode_plain(encoding, text + plain, length - plain) : status;
}

static lckv_status encode_all(struct encoding *encoding, const char *text,
                              const struct text_part *parts, size_t n_parts, size_t length,
                              uint32_t flags)
{
    const struct tokenizer *tokenizer = encoding->tokenizer;
    lckv_token bos = tokenizer->ids.special[LCKV_SPECIAL_BOS];
    lckv_token eos = tokenizer->ids.special[LCKV_SPECIAL_EOS];
    bool own_rule = (flags & (LCKV_TOKENIZE_BOS | LCKV_TOKENIZE_NO_BOS)) == 0;
    if (bos < 0 && (flags & LCKV_TOKENIZE_BOS) != 0)
        return fail(LCKV_UNSUPPORTED, "the tokenizer has no BOS token to begin with");

    lckv_status status = LCKV_OK;
    if ((flags & LCKV_TOKENIZE_BOS) != 0 || (own_rule && tokenizer->add_bos && bos >= 0))
        status = token_list_add(&encoding->tokens, bos);
    if (status == LCKV_OK)
        status = encode_text(encoding, text, parts, n_parts, length);
    if (status == LCKV_OK && own_rule && tokenizer->add_eos && eos >= 0)
        status = token_list_add(&encoding->tokens, eos);
    return status;
}

static lckv_status give(const struct token_list *list, lckv_token *tokens, size_t capacity,
                        size_t *n_tokens)
{
    *n_tokens = list->count;
    if (list->count > capacity)
        return fail(LCKV_BUFFER_TOO_SMALL, "the text has %zu tokens, the buffer room for %zu",
                    list->count, capacity);
    if (list->count > 0)
        memcpy(tokens, list->tokens, list->count * sizeof tokens[0]);
    return LCKV_OK;
}

lckv_status tokenizer_encode_parts(const struct tokenizer *tokenizer, const char *text,
                                   const struct text_part *parts, size_t n_parts, uint32_t flags,
                                   lckv_token *tokens, size_t capacity, size_t *n_tokens)
{
    const lckv_allocator *allocator = &tokenizer->arena.allocator;
    size_t length = 0;
    for (size_t i = 0; i < n_parts; i++) {
        if (parts[i].length > MAX_TEXT - length)
            return fail(LCKV_INVALID_ARGUMENT, "a text of more than %u bytes", MAX_TEXT);
        length += parts[i].length;
    }
    if (text == NULL)
        text = ""; /* of no bytes */
    struct encoding encoding = {.tokenizer = tokenizer,
                                .workspace.allocator = allocator,
                                .normalised.allocator = allocator,
                                .tokens.allocator = allocator};
    lckv_status status =
        splitter_init(&encoding.splitter, &tokenizer->pretokenizer, encode_word, &encoding);
    if (status == LCKV_OK)
        status = encode_all(&encoding, text, parts, n_parts, length, flags);
    if (status == LCKV_OK)
        status = give(&encoding.tokens, tokens, capacity, n_tokens);
    splitter_release(&encoding.splitter);
    bpe_workspace_release(&encoding.workspace);
    unicode_buffer_release(&encoding.normalised);
    token_list_release(&encoding.tokens);
    return status;
}

lckv_status tokenizer_encode(const struct tokenizer *tokenizer, const char *text, size_t length,
                             uint32_t flags, lckv_token *tokens, size_t capacity, size_t *n_tokens)
{
    const struct text_part whole = {length, (flags & LCKV_TOKENIZE_NO_SPECIAL) != 0};
    return tokenizer_encode_parts(tokenizer, text, &whole, 1, flags, tokens, capacity, n_tokens);
}
