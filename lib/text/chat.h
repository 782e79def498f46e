/*
 * Chat formatting turns messages into the form of text that the model was trained on, and into its
 * tokens. template.h puts that text together.
 */
#ifndef LCKV_TEXT_CHAT_H
#define LCKV_TEXT_CHAT_H

#include "base/checked.h"
#include "text/tokenizer.h"

/* The messages of a call, already checked: each has the pointers that its lengths need. */
struct chat {
    const lckv_message *messages;
    size_t stride, n_messages;
    uint32_t flags;
};

/* As lckv_chat_format and lckv_chat_tokenize. */
CHECKED lckv_status chat_format(const struct tokenizer *tokenizer, const struct chat *chat,
                                char *buffer, size_t capacity, size_t *length);
CHECKED lckv_status chat_tokenize(const struct tokenizer *tokenizer, const struct chat *chat,
                                  lckv_token *tokens, size_t capacity, size_t *n_tokens);

#endif
