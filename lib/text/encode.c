/*
 * Turns bytes into tokens. Special tokens are found first; the text between them is normalised and
 * cut into words, and each word is encoded. Special tokens that are normalized are found in the
 * text that the normaliser gives. Bytes that are no UTF-8 become words of their own, or characters
 * of their own, so that no byte is an error.
 */
#include "text/tokenizer_parts.h"

#include "base/status.h"
#include "base/utf8.h"

#include <string.h>

/* Offsets in a word have 32 bits, and spacing_apply may make a text three times as long. */
#define MAX_TEXT (1u << 30)

#define REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */

/* One call of tokenizer_encode. */
struct encoding {
    const struct tokenizer *tokenizer;
    const char *text;
    const struct text_part *parts;
    size_t part, part_begin; /* the part in which the text that is encoded next begins */
    const char *first;       /* where the text begins in what is encoded now, or NULL */
    struct matcher matcher;
    struct normalizing normalizing;
    struct splitter splitter;
    struct text_buffer prepared; /* by spacing_apply */
    struct bpe_workspace workspace;
    struct unigram_workspace unigram_workspace;
    size_t *ends; /* of the parts of a stretch of text, in it and then in its normal form */
    size_t ends_capacity;
    struct token_list tokens;
};

static lckv_status encode_word(void *context, const char *word, size_t length)
{
    struct encoding *encoding = context;
    if (encoding->tokenizer->is_unigram)
        return unigram_encode(&encoding->tokenizer->unigram, &encoding->unigram_workspace, word,
                              length, &encoding->tokens);
    return bpe_encode(&encoding->tokenizer->bpe, &encoding->workspace, word, length,
                      &encoding->tokens);
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

/* Encodes what spacing_apply gave, word by word. */
static lckv_status encode_prepared(struct encoding *encoding, const char *text, size_t length)
{
    const struct spacing *spacing = &encoding->tokenizer->spacing;
    lckv_status status = LCKV_OK;
    while (status == LCKV_OK && length > 0) {
        size_t word = spacing_word(spacing, text, length);
        status = encode_word(encoding, text, word);
        text += word;
        length -= word;
    }
    return status;
}

/* Encodes a stretch of text with a spaced vocabulary. */
static lckv_status encode_spaced(struct encoding *encoding, const char *text, size_t length)
{
    const struct tokenizer *tokenizer = encoding->tokenizer;
    struct special_finder finder;
    struct special_match match;
    if (tokenizer->spacing.is_done)
        return encode_prepared(encoding, text, length);
    lckv_status status = spacing_apply(&tokenizer->spacing, text, length, text == encoding->first,
                                       &encoding->prepared);
    struct text prepared = text_buffer_text(&encoding->prepared);
    if (status != LCKV_OK || !tokenizer->spacing.before_added)
        return status != LCKV_OK ? status
                                 : encode_prepared(encoding, prepared.bytes, prepared.length);
    status =
        special_finder_init(&finder, &tokenizer->special_tokens[1], &tokenizer->arena.allocator,
                            prepared.bytes, prepared.length, false);
    if (status != LCKV_OK)
        return status;
    size_t plain = 0;
    while (status == LCKV_OK && special_finder_next(&finder, &match)) {
        if (match.begin > plain)
            status = encode_prepared(encoding, prepared.bytes + plain, match.begin - plain);
        if (status == LCKV_OK)
            status = token_list_add(&encoding->tokens, match.id);
        plain = match.end;
    }
    special_finder_release(&finder);
    return status == LCKV_OK
               ? encode_prepared(encoding, prepared.bytes + plain, prepared.length - plain)
               : status;
}

/* Encodes a stretch of normalised text, in which there are no special tokens. */
static lckv_status encode_between(struct encoding *encoding, const char *text, size_t length)
{
    return encoding->tokenizer->vocabulary.metaspace
               ? encode_spaced(encoding, text, length)
               : splitter_run(&encoding->splitter, text, length);
}

/* Finds the tokens of one part of a normalised text; *plain is the first byte not encoded yet. */
static lckv_status encode_normalized(struct encoding *encoding, struct text text, size_t begin,
                                     size_t end, bool is_plain, size_t *plain)
{
    const struct tokenizer *tokenizer = encoding->tokenizer;
    struct special_finder finder;
    struct special_match match;
    lckv_status status =
        special_finder_init(&finder, &tokenizer->special_tokens[1], &tokenizer->arena.allocator,
                            text.bytes + begin, end - begin, !is_plain);
    if (status != LCKV_OK)
        return status;
    while (status == LCKV_OK && special_finder_next(&finder, &match)) {
        size_t gap_end = begin + match.begin;
        if (gap_end > *plain)
            status = encode_between(encoding, text.bytes + *plain, gap_end - *plain);
        if (status == LCKV_OK)
            status = token_list_add(&encoding->tokens, match.id);
        *plain = begin + match.end;
    }
    special_finder_release(&finder);
    return status;
}

/* Lists where the parts of the text end that have bytes in [begin, end), counted from `begin`. */
static lckv_status list_ends(struct encoding *encoding, size_t begin, size_t end, size_t *count)
{
    lckv_status status = LCKV_OK;
    while (encoding->part_begin + encoding->parts[encoding->part].length <= begin)
        encoding->part_begin += encoding->parts[encoding->part++].length;
    size_t part_end = encoding->part_begin;
    *count = 0;
    for (size_t i = encoding->part; status == LCKV_OK && part_end < end; i++) {
        part_end += encoding->parts[i].length;
        status =
            memory_grow(&encoding->tokenizer->arena.allocator, &encoding->ends,
                        &encoding->ends_capacity, *count + 1, sizeof encoding->ends[0], "a text");
        if (status == LCKV_OK)
            encoding->ends[(*count)++] = (part_end < end ? part_end : end) - begin;
    }
    return status;
}

/*
 * Encodes the text in [begin, end), in which there are no tokens but normalized ones. They are
 * looked for in each part of the text for itself. The text must be valid UTF-8 unless the
 * vocabulary is spaced, for then a normaliser repairs it first.
 */
static lckv_status encode_valid(struct encoding *encoding, size_t begin, size_t end)
{
    struct text text = {encoding->text + begin, end - begin};
    const struct tokenizer *tokenizer = encoding->tokenizer;
    bool has_normalized =
        tokenizer->special_tokens[1].longest > 0 && !tokenizer->spacing.before_added;
    size_t n_ends = 0, plain = 0, from = 0;
    lckv_status status = has_normalized ? list_ends(encoding, begin, end, &n_ends) : LCKV_OK;
    if (status == LCKV_OK)
        status = normalizing_run(&encoding->normalizing, text, encoding->ends, n_ends, &text);
    encoding->first = begin == 0 && !encoding->normalizing.has_moved ? text.bytes : NULL;
    for (size_t i = 0; status == LCKV_OK && i < n_ends; i++) {
        bool is_plain = encoding->parts[encoding->part + i].is_plain;
        size_t to = encoding->ends[i];
        status = encode_normalized(encoding, text, from, to, is_plain, &plain);
        from = to;
    }
    if (status == LCKV_OK && plain < text.length)
        status = encode_between(encoding, text.bytes + plain, text.length - plain);
    return status;
}

/* Encodes the text in [begin, end), between two special tokens. */
static lckv_status encode_plain(struct encoding *encoding, size_t begin, size_t end)
{
    const char *text = encoding->text;
    lckv_status status = LCKV_OK;
    if (encoding->tokenizer->vocabulary.metaspace)
        return begin < end ? encode_valid(encoding, begin, end) : LCKV_OK;
    for (size_t at = begin; status == LCKV_OK && at < end;) {
        size_t valid = utf8_valid_run(text + at, end - at);
        if (valid > 0)
            status = encode_valid(encoding, at, at + valid);
        at += valid;
        size_t invalid = utf8_invalid_run(text + at, end - at);
        if (status == LCKV_OK && invalid > 0)
            status = encode_invalid(encoding, text + at, invalid);
        at += invalid;
    }
    return status;
}

/*
 * Encodes a part of the text up to and with its last special token; *plain is the first byte not
 * encoded yet.
 */
static lckv_status encode_part(struct encoding *encoding, size_t begin,
                               const struct text_part *part, size_t *plain)
{
    const struct tokenizer *tokenizer = encoding->tokenizer;
    struct special_finder finder;
    struct special_match match;
    lckv_status status =
        special_finder_init(&finder, &tokenizer->special_tokens[0], &tokenizer->arena.allocator,
                            encoding->text + begin, part->length, !part->is_plain);
    if (status != LCKV_OK)
        return status;
    while (status == LCKV_OK && special_finder_next(&finder, &match)) {
        if (begin + match.begin > *plain)
            status = encode_plain(encoding, *plain, begin + match.begin);
        if (status == LCKV_OK)
            status = token_list_add(&encoding->tokens, match.id);
        *plain = begin + match.end;
    }
    special_finder_release(&finder);
    return status;
}

static lckv_status encode_text(struct encoding *encoding, size_t n_parts, size_t length)
{
    lckv_status status = LCKV_OK;
    size_t begin = 0, plain = 0;
    matcher_allow(&encoding->matcher, length);
    for (size_t i = 0; status == LCKV_OK && i < n_parts; i++) {
        status = encode_part(encoding, begin, &encoding->parts[i], &plain);
        begin += encoding->parts[i].length;
    }
    return status == LCKV_OK ? encode_plain(encoding, plain, length) : status;
}

static lckv_status encode_all(struct encoding *encoding, size_t n_parts, size_t length,
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
        status = encode_text(encoding, n_parts, length);
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
    struct encoding encoding = {.tokenizer = tokenizer,
                                .text = text != NULL ? text : "", /* of no bytes */
                                .parts = parts,
                                .prepared.allocator = allocator,
                                .workspace.allocator = allocator,
                                .unigram_workspace.allocator = allocator,
                                .tokens.allocator = allocator};
    lckv_status status = matcher_init(&encoding.matcher, tokenizer->pretokenizer.memory);
    if (status != LCKV_OK)
        return status;
    normalizing_init(&encoding.normalizing, &tokenizer->normalizer, &encoding.matcher);
    splitter_init(&encoding.splitter, &tokenizer->pretokenizer, &encoding.matcher, encode_word,
                  &encoding);
    status = encode_all(&encoding, n_parts, length, flags);
    if (status == LCKV_OK)
        status = give(&encoding.tokens, tokens, capacity, n_tokens);
    splitter_release(&encoding.splitter);
    normalizing_release(&encoding.normalizing);
    matcher_release(&encoding.matcher);
    bpe_workspace_release(&encoding.workspace);
    unigram_workspace_release(&encoding.unigram_workspace);
    text_buffer_release(&encoding.prepared);
    memory_free(allocator, encoding.ends, encoding.ends_capacity, sizeof encoding.ends[0]);
    token_list_release(&encoding.tokens);
    return status;
}

lckv_status tokenizer_encode(const struct tokenizer *tokenizer, const char *text, size_t length,
                             uint32_t flags, lckv_token *tokens, size_t capacity, size_t *n_tokens)
{
    const struct text_part whole = {length, (flags & LCKV_TOKENIZE_NO_SPECIAL) != 0};
    return tokenizer_encode_parts(tokenizer, text, &whole, 1, flags, tokens, capacity, n_tokens);
}
