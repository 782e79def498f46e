/*
 * Tokens and text of a model: tokenize, detokenize, special tokens, chat formatting. detokenizer.c
 * has the streaming detokenizer.
 */
#include "api/options.h"
#include "base/status.h"
#include "model/model.h"
#include "text/chat.h"

static lckv_status tokenize(const struct lckv_model *model, const char *text, size_t length,
                            uint32_t flags, lckv_token *tokens, size_t capacity, size_t *n_tokens)
{
    const char *call = "lckv_tokenize";
    const uint32_t both = LCKV_TOKENIZE_BOS | LCKV_TOKENIZE_NO_BOS;
    lckv_status status = argument_array(call, "text", text, length);
    if (status == LCKV_OK)
        status = argument_flags(call, flags, both | LCKV_TOKENIZE_NO_SPECIAL);
    if (status == LCKV_OK && (flags & both) == both)
        status = fail(LCKV_INVALID_ARGUMENT, "%s: flags asks for BOS and for no BOS", call);
    if (status == LCKV_OK)
        status = argument_buffer(call, tokens, capacity, n_tokens);
    if (status == LCKV_OK)
        status = model_check_tokenizer(model);
    if (status != LCKV_OK)
        return status;
    return tokenizer_encode(model->tokenizer, text, length, flags, tokens, capacity, n_tokens);
}

lckv_status lckv_tokenize(const lckv_model *model, const char *text, size_t length, uint32_t flags,
                          lckv_token *tokens, size_t capacity, size_t *n_tokens)
{
    if (model == NULL)
        return argument_null(__func__, "model");
    return failure_keep(model->failure,
                        tokenize(model, text, length, flags, tokens, capacity, n_tokens));
}

static lckv_status detokenize(const struct lckv_model *model, const lckv_token *tokens,
                              size_t n_tokens, uint32_t flags, char *buffer, size_t capacity,
                              size_t *length)
{
    const char *call = "lckv_detokenize";
    lckv_status status = argument_array(call, "tokens", tokens, n_tokens);
    if (status == LCKV_OK)
        status = argument_flags(call, flags, LCKV_DETOKENIZE_SPECIAL | LCKV_DETOKENIZE_CONTINUES);
    if (status == LCKV_OK)
        status = argument_buffer(call, buffer, capacity, length);
    if (status == LCKV_OK)
        status = model_check_tokenizer(model);
    if (status != LCKV_OK)
        return status;
    return tokenizer_decode(model->tokenizer, tokens, n_tokens, flags, buffer, capacity, length);
}

lckv_status lckv_detokenize(const lckv_model *model, const lckv_token *tokens, size_t n_tokens,
                            uint32_t flags, char *buffer, size_t capacity, size_t *length)
{
    if (model == NULL)
        return argument_null(__func__, "model");
    return failure_keep(model->failure,
                        detokenize(model, tokens, n_tokens, flags, buffer, capacity, length));
}

lckv_token lckv_model_special_token(const lckv_model *model, lckv_special special)
{
    if (model == NULL || special < LCKV_SPECIAL_BOS || special > LCKV_SPECIAL_EOT)
        return -1;
    return model->special_ids.special[special];
}

int32_t lckv_model_is_end_token(const lckv_model *model, lckv_token token)
{
    return model != NULL && model_is_end_token(model, token);
}

static lckv_status get_token(const struct lckv_model *model, lckv_token token, const char **text,
                             size_t *length, lckv_token_type *type)
{
    struct text bytes;
    lckv_status status = model_check_tokenizer(model);
    if (status == LCKV_OK)
        status = tokenizer_token(model->tokenizer, token, &bytes, type);
    if (status != LCKV_OK)
        return status;
    *text = bytes.bytes;
    *length = bytes.length;
    return LCKV_OK;
}

lckv_status lckv_model_token(const lckv_model *model, lckv_token token, const char **text,
                             size_t *length, lckv_token_type *type)
{
    if (model == NULL)
        return argument_null(__func__, "model");
    if (text == NULL)
        return failure_keep(model->failure, argument_null(__func__, "text"));
    if (length == NULL)
        return failure_keep(model->failure, argument_null(__func__, "length"));
    if (type == NULL)
        return failure_keep(model->failure, argument_null(__func__, "type"));
    return failure_keep(model->failure, get_token(model, token, text, length, type));
}

static lckv_status check_messages(const char *call, const struct chat *chat)
{
    lckv_status status = argument_array(call, "messages", chat->messages, chat->n_messages);
    if (status != LCKV_OK)
        return status;
    if (chat->stride < sizeof(lckv_message) || chat->stride % _Alignof(lckv_message) != 0)
        return fail(LCKV_INVALID_ARGUMENT, "%s: stride is %zu; expected sizeof(lckv_message)", call,
                    chat->stride);
    for (size_t i = 0; i < chat->n_messages; i++) {
        const unsigned char *bytes = (const unsigned char *)chat->messages + i * chat->stride;
        const lckv_message *message = (const void *)bytes;
        if ((message->role == NULL && message->role_length > 0) ||
            (message->content == NULL && message->content_length > 0))
            return fail(LCKV_INVALID_ARGUMENT, "%s: message %zu has a length but no text", call, i);
    }
    return argument_flags(call, chat->flags, LCKV_CHAT_ANSWER);
}

static lckv_status format_chat(const struct lckv_model *model, const struct chat *chat,
                               char *buffer, size_t capacity, size_t *length)
{
    lckv_status status = check_messages("lckv_chat_format", chat);
    if (status == LCKV_OK)
        status = argument_buffer("lckv_chat_format", buffer, capacity, length);
    if (status == LCKV_OK)
        status = model_check_tokenizer(model);
    if (status != LCKV_OK)
        return status;
    return chat_format(model->tokenizer, chat, buffer, capacity, length);
}

lckv_status lckv_chat_format(const lckv_model *model, const lckv_message *messages, size_t stride,
                             size_t n_messages, uint32_t flags, char *buffer, size_t capacity,
                             size_t *length)
{
    if (model == NULL)
        return argument_null(__func__, "model");
    const struct chat chat = {messages, stride, n_messages, flags};
    return failure_keep(model->failure, format_chat(model, &chat, buffer, capacity, length));
}

static lckv_status tokenize_chat(const struct lckv_model *model, const struct chat *chat,
                                 lckv_token *tokens, size_t capacity, size_t *n_tokens)
{
    lckv_status status = check_messages("lckv_chat_tokenize", chat);
    if (status == LCKV_OK)
        status = argument_buffer("lckv_chat_tokenize", tokens, capacity, n_tokens);
    if (status == LCKV_OK)
        status = model_check_tokenizer(model);
    if (status != LCKV_OK)
        return status;
    return chat_tokenize(model->tokenizer, chat, tokens, capacity, n_tokens);
}

lckv_status lckv_chat_tokenize(const lckv_model *model, const lckv_message *messages, size_t stride,
                               size_t n_messages, uint32_t flags, lckv_token *tokens,
                               size_t capacity, size_t *n_tokens)
{
    if (model == NULL)
        return argument_null(__func__, "model");
    const struct chat chat = {messages, stride, n_messages, flags};
    return failure_keep(model->failure, tokenize_chat(model, &chat, tokens, capacity, n_tokens));
}
