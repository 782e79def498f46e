/*
 * Chat formatting: the model's template writes the text. This file keeps apart what comes from the
 * messages, so that it never becomes structure of the conversation.
 */
#include "text/chat.h"

#include "base/status.h"
#include "text/template.h"
#include "text/tokenizer_parts.h"

#include <string.h>

/* The text of a conversation, as far as it has been written. */
struct written {
    struct text_buffer text;
    struct text_part *parts;
    size_t n_parts, parts_capacity;
};

static lckv_status write(void *context, struct text text, bool is_message)
{
    struct written *written = context;
    lckv_status status = text_buffer_append(&written->text, text.bytes, text.length);
    size_t n_parts = written->n_parts;
    bool is_new = n_parts == 0 || written->parts[n_parts - 1].is_plain != is_message;
    if (status == LCKV_OK && is_new)
        status = memory_grow(written->text.allocator, &written->parts, &written->parts_capacity,
                             n_parts + 1, sizeof written->parts[0], "a conversation");
    if (status != LCKV_OK)
        return status;
    if (is_new)
        written->parts[written->n_parts++] = (struct text_part){0, is_message};
    written->parts[written->n_parts - 1].length += text.length;
    return LCKV_OK;
}

static void written_release(struct written *written)
{
    memory_free(written->text.allocator, written->parts, written->parts_capacity,
                sizeof written->parts[0]);
    text_buffer_release(&written->text);
}

/*
 * Refuses a line break and special tokens in a role: where the template names the speaker, they
 * would end the name.
 */
static lckv_status check_role(const struct tokenizer *tokenizer, const lckv_message *message,
                              size_t index)
{
    bool found;
    for (size_t i = 0; i < message->role_length; i++) {
        if ((uint8_t)message->role[i] < ' ' || message->role[i] == 0x7F)
            return fail(LCKV_INVALID_ARGUMENT,
                        "message %zu: the role %s has a control character; expected a name such "
                        "as \"user\"",
                        index, quoted(message->role, message->role_length).text);
    }
    lckv_status status =
        tokenizer_has_special(tokenizer, message->role, message->role_length, &found);
    if (status == LCKV_OK && found)
        return fail(LCKV_INVALID_ARGUMENT,
                    "message %zu: the role %s has a special token in it; expected a name such as "
                    "\"user\"",
                    index, quoted(message->role, message->role_length).text);
    return status;
}

/* Templates see special tokens that the tokenizer's files name, but not those of config.json. */
static struct text special_text(const struct tokenizer *tokenizer, lckv_special special)
{
    lckv_token token = tokenizer->ids.special[special];
    lckv_token_type type;
    struct text text = {NULL, 0};
    if (!tokenizer->names_special[special] || tokenizer_token(tokenizer, token, &text, &type))
        text.bytes = NULL;
    return text;
}

/* Runs the template. */
static lckv_status run(const struct tokenizer *tokenizer, const struct chat *chat,
                       struct written *written)
{
    struct text source = tokenizer_chat_template(tokenizer);
    if (source.length == 0)
        return fail(LCKV_UNSUPPORTED, "the model has no chat template");
    const struct template_input input = {
        .messages = chat->messages,
        .stride = chat->stride,
        .n_messages = chat->n_messages,
        .answer = (chat->flags & LCKV_CHAT_ANSWER) != 0,
        .bos = special_text(tokenizer, LCKV_SPECIAL_BOS),
        .eos = special_text(tokenizer, LCKV_SPECIAL_EOS),
        .pad = special_text(tokenizer, LCKV_SPECIAL_PADDING),
        .date = template_today(),
    };
    for (size_t i = 0; i < chat->n_messages; i++) {
        lckv_status status = check_role(tokenizer, template_message(&input, i), i);
        if (status != LCKV_OK)
            return status;
    }
    return template_run(source, &input, written->text.allocator, write, written);
}

static lckv_status write_conversation(const struct tokenizer *tokenizer, const struct chat *chat,
                                      struct written *written)
{
    char reason[512];
    lckv_status status = run(tokenizer, chat, written);
    if (status != LCKV_UNSUPPORTED)
        return status;
    status_message_copy(reason, sizeof reason);
    return fail(status, "%s; write the conversation yourself and pass its text to lckv_tokenize",
                reason);
}

lckv_status chat_format(const struct tokenizer *tokenizer, const struct chat *chat, char *buffer,
                        size_t capacity, size_t *length)
{
    struct written written = {.text.allocator = &tokenizer->arena.allocator};
    lckv_status status = write_conversation(tokenizer, chat, &written);
    if (status == LCKV_OK) {
        *length = written.text.length;
        if (*length > capacity)
            status = fail(LCKV_BUFFER_TOO_SMALL, "the conversation has %zu bytes, the buffer %zu",
                          *length, capacity);
        else if (*length > 0)
            memcpy(buffer, written.text.bytes, *length);
    }
    written_release(&written);
    return status;
}

lckv_status chat_tokenize(const struct tokenizer *tokenizer, const struct chat *chat,
                          lckv_token *tokens, size_t capacity, size_t *n_tokens)
{
    struct written written = {.text.allocator = &tokenizer->arena.allocator};
    lckv_status status = write_conversation(tokenizer, chat, &written);
    if (status == LCKV_OK)
        status =
            tokenizer_encode_parts(tokenizer, written.text.bytes, written.parts, written.n_parts,
                                   LCKV_TOKENIZE_NO_BOS, tokens, capacity, n_tokens);
    written_release(&written);
    return status;
}
