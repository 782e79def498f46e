/*
 * See conversation.h.
 */
#include "conversation.h"

#include "interrupt.h"
#include "report.h"
#include "setup.h"

#include <stdlib.h>
#include <string.h>

bool conversation_add(struct conversation *conversation, const char *role, const char *text,
                      size_t length)
{
    if (conversation->n_messages == conversation->capacity) {
        size_t larger = conversation->capacity * 2 + 16;
        lckv_message *messages = realloc(conversation->messages, larger * sizeof *messages);
        if (messages == NULL) {
            fail_memory();
            return false;
        }
        conversation->messages = messages;
        conversation->capacity = larger;
    }
    char *content = malloc(length + 1);
    if (content == NULL) {
        fail_memory();
        return false;
    }
    if (length > 0)
        memcpy(content, text, length);
    content[length] = '\0';
    conversation->messages[conversation->n_messages++] =
        (lckv_message){role, strlen(role), content, length};
    return true;
}

void conversation_cut(struct conversation *conversation, size_t n_messages)
{
    while (conversation->n_messages > n_messages) {
        /* The library's struct has a pointer to const, but the text was allocated here. */
        const char *content = conversation->messages[--conversation->n_messages].content;
        free((void *)(uintptr_t)content);
    }
}

void conversation_end(struct conversation *conversation)
{
    conversation_cut(conversation, 0);
    free(conversation->messages);
    conversation->messages = NULL;
    free(conversation->held.ids);
    conversation->held = (struct token_list){0};
    lckv_session_release(conversation->session);
    conversation->session = NULL;
}

bool conversation_has_template(const lckv_model *model)
{
    const lckv_message message = {"user", 4, "x", 1};
    size_t length = 0;
    lckv_status status =
        lckv_chat_tokenize(model, &message, sizeof message, 1, LCKV_CHAT_ANSWER, NULL, 0, &length);
    return status == LCKV_OK || status == LCKV_BUFFER_TOO_SMALL;
}

/* The tokens of the whole conversation, up to where the answer begins. */
static int tokenize_conversation(const struct conversation *conversation, struct token_list *tokens)
{
    const lckv_message *messages = conversation->messages;
    size_t n_messages = conversation->n_messages;
    if (!conversation->has_template) {
        const lckv_message *last = &messages[n_messages - 1];
        return tokenize_prompt(conversation->model, last->content, last->content_length, tokens);
    }
    size_t count = 0;
    lckv_status status = lckv_chat_tokenize(conversation->model, messages, sizeof *messages,
                                            n_messages, LCKV_CHAT_ANSWER, NULL, 0, &count);
    if (status != LCKV_OK && status != LCKV_BUFFER_TOO_SMALL)
        return fail_library();
    tokens->ids = calloc(count + 1, sizeof *tokens->ids);
    if (tokens->ids == NULL)
        return fail_memory();
    status = lckv_chat_tokenize(conversation->model, messages, sizeof *messages, n_messages,
                                LCKV_CHAT_ANSWER, tokens->ids, count, &tokens->count);
    return status == LCKV_OK ? EXIT_SUCCESS : fail_library();
}

/*
 * Cuts the session down to the longest beginning of `tokens`, but leaves at least one of them to
 * evaluate. The tokens of an answer are not always those of its text, so they are compared.
 */
static int rewind_session(struct conversation *conversation, const struct token_list *tokens,
                          size_t *n_common)
{
    struct token_list *held = &conversation->held;
    size_t common = 0;
    *n_common = 0;
    while (common < held->count && common + 1 < tokens->count &&
           held->ids[common] == tokens->ids[common])
        common++;
    if (conversation->session != NULL &&
        lckv_session_truncate(conversation->session, common) == LCKV_OK) {
        *n_common = held->count = common;
        return EXIT_SUCCESS;
    }
    /* There is no session yet, or windows have left behind too much to go back so far. */
    lckv_session_release(conversation->session);
    conversation->session = NULL;
    held->count = 0;
    return lckv_session_create(conversation->cache, &conversation->session) == LCKV_OK
               ? EXIT_SUCCESS
               : fail_library();
}

/* Notes what the session holds now: the beginning of the prompt and the tokens behind it. */
static int note_held(struct conversation *conversation, const struct token_list *prompt,
                     const struct token_list *generated)
{
    struct token_list *held = &conversation->held;
    uint64_t length;
    if (lckv_session_length(conversation->session, &length) != LCKV_OK)
        return fail_library();
    lckv_token *ids = realloc(held->ids, ((size_t)length + 1) * sizeof *ids);
    if (ids == NULL)
        return fail_memory();
    const size_t n_prompt = length < prompt->count ? (size_t)length : prompt->count;
    if (n_prompt > 0)
        memcpy(ids, prompt->ids, n_prompt * sizeof *ids);
    if (length > n_prompt)
        memcpy(ids + n_prompt, generated->ids, ((size_t)length - n_prompt) * sizeof *ids);
    *held = (struct token_list){ids, (size_t)length};
    return EXIT_SUCCESS;
}

/* Generates the answer into `stream`. */
static enum answer answer(struct conversation *conversation, struct stream *stream)
{
    struct token_list tokens = {0};
    size_t n_common = 0;
    if (tokenize_conversation(conversation, &tokens) != EXIT_SUCCESS ||
        rewind_session(conversation, &tokens, &n_common) != EXIT_SUCCESS) {
        free(tokens.ids);
        return ANSWER_FAILED;
    }
    if (tokens.count >= conversation->context) {
        free(tokens.ids);
        return ANSWER_FULL;
    }
    uint64_t room = conversation->context - tokens.count;
    lckv_generate_options options = {
        .size = sizeof options,
        .max_tokens = room < conversation->max_tokens ? room : conversation->max_tokens,
        .callback = stream_take,
        .callback_user = stream,
    };
    lckv_generate_report report = {.size = sizeof report};
    lckv_status status =
        tokens.count == 0
            ? LCKV_OK /* the line is empty, and there is no template and no BOS */
            : lckv_generate(conversation->session, conversation->sampler, tokens.ids + n_common,
                            tokens.count - n_common, &options, &report);
    const bool is_cut = status == LCKV_CANCELLED && interrupt_came();
    bool has_failed = status != LCKV_OK && status != LCKV_CACHE_FULL && !is_cut;
    if (has_failed)
        fail_library();
    else
        has_failed = note_held(conversation, &tokens, &stream->tokens) != EXIT_SUCCESS;
    free(tokens.ids);
    if (has_failed || stream->has_failed)
        return ANSWER_FAILED;
    if (is_cut)
        return ANSWER_CUT;
    if (status == LCKV_CACHE_FULL)
        return ANSWER_FULL;
    bool is_full = report.reason == LCKV_STOP_LENGTH && room < conversation->max_tokens;
    if (is_full || report.reason == LCKV_STOP_FULL)
        return ANSWER_FULL;
    return report.reason == LCKV_STOP_END ? ANSWER_WHOLE : ANSWER_CUT;
}

enum answer conversation_say(struct conversation *conversation, const char *text, size_t length)
{
    size_t n_before = conversation->n_messages;
    if (!conversation_add(conversation, "user", text, length))
        return ANSWER_FAILED;
    struct stream stream = {.prints = true};
    enum answer result = answer(conversation, &stream);
    if (stream.text.length > 0)
        stream_end_line(&stream);
    bool is_kept =
        conversation->has_template && stream.text.length > 0 &&
        conversation_add(conversation, "assistant", stream.text.data, stream.text.length);
    if (!is_kept)
        conversation_cut(conversation, n_before);
    stream_free(&stream);
    return result;
}
