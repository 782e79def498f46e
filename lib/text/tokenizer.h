/*
 * Tokenizers turn bytes into token ids and back, special tokens included. They are made from GGUF
 * metadata or from tokenizer.json.
 *
 * For chat templates see chat.h, for patterns pretokenizer.h, and for streaming detokenizer.h.
 */
#ifndef LCKV_TEXT_TOKENIZER_H
#define LCKV_TEXT_TOKENIZER_H

#include "base/checked.h"
#include "text/special_ids.h"

#define TOKENIZER_MAX_TOKENS (1u << 22)

struct tokenizer; /* immutable once made; any number of threads may use one */

/*
 * Makes the tokenizer that the checkpoint describes. If it describes none, *tokenizer becomes NULL,
 * and the status is LCKV_OK. LCKV_UNSUPPORTED for kinds that this version lacks, LCKV_BAD_FORMAT
 * for malformed ones.
 */
CHECKED lckv_status tokenizer_create(const struct checkpoint *checkpoint,
                                     const lckv_allocator *allocator, struct tokenizer **tokenizer);
void tokenizer_release(struct tokenizer *tokenizer);

uint32_t tokenizer_n_tokens(const struct tokenizer *tokenizer);

/*
 * Adds what the model has and the tokenizer lacks: ids below `n_ids`, which become unused tokens
 * without text, and special ids. Call it once, before the tokenizer is shared.
 */
CHECKED lckv_status tokenizer_extend(struct tokenizer *tokenizer, uint32_t n_ids,
                                     const struct special_ids *ids);

/* As lckv_tokenize and lckv_detokenize, flags included. */
CHECKED lckv_status tokenizer_encode(const struct tokenizer *tokenizer, const char *text,
                                     size_t length, uint32_t flags, lckv_token *tokens,
                                     size_t capacity, size_t *n_tokens);

/* A part of a text. If it is plain, no control tokens are found in it. */
struct text_part {
    size_t length;
    bool is_plain;
};

/*
 * Encodes a text that consists of these parts. A word may reach from one part into the next, a
 * special token may not.
 */
CHECKED lckv_status tokenizer_encode_parts(const struct tokenizer *tokenizer, const char *text,
                                           const struct text_part *parts, size_t n_parts,
                                           uint32_t flags, lckv_token *tokens, size_t capacity,
                                           size_t *n_tokens);
CHECKED lckv_status tokenizer_decode(const struct tokenizer *tokenizer, const lckv_token *tokens,
                                     size_t n_tokens, uint32_t flags, char *buffer, size_t capacity,
                                     size_t *length);

/* As lckv_model_token; LCKV_INVALID_ARGUMENT for an id out of range. */
CHECKED lckv_status tokenizer_token(const struct tokenizer *tokenizer, lckv_token token,
                                    struct text *text, lckv_token_type *type);

/*
 * The text that a token adds when detokenized: none if the token is hidden. *at_begin is true while
 * nothing of the text has been shown; a space that only stands for its begin is then left out.
 */
CHECKED lckv_status tokenizer_show(const struct tokenizer *tokenizer, lckv_token token,
                                   uint32_t flags, bool *at_begin, struct text *text);

/*
 * Whether a text that follows this token (-1: none) is a text of its own, so that the space in
 * front of it means nothing.
 */
CHECKED bool tokenizer_begins_after(const struct tokenizer *tokenizer, lckv_token previous);
const struct special_ids *tokenizer_special_ids(const struct tokenizer *tokenizer);

/* The source of the chat template, of length 0 if there is none. */
struct text tokenizer_chat_template(const struct tokenizer *tokenizer);

/*
 * Writes the tokenizer.ggml.* keys (and tokenizer.chat_template) that describe the tokenizer. Ids
 * that tokenizer_extend added are written as unused tokens, because other programs expect a token
 * for each id.
 */
CHECKED lckv_status tokenizer_to_metadata(const struct tokenizer *tokenizer,
                                          struct metadata *metadata);

#endif
