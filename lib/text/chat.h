/*
 * Chat formatting: messages to the text that the model was trained on. ChatML for now.
 */
#ifndef LCKV_TEXT_CHAT_H
#define LCKV_TEXT_CHAT_H

#include "text/tokenizer.h"

/* As lckv_chat_format, arguments already checked. */
lckv_status chat_format(const struct tokenizer *tokenizer, const lckv_message *messages,
                        size_t stride, size_t n_messages, uint32_t flags, char *buffer,
                        size_t capacity, size_t *length);

#endif
