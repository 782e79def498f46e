/*
 * ChatML: "<|im_start|>role\ncontent<|im_end|>\n" for each message. Templates are Jinja programs,
 * which nothing here runs; one is taken for ChatML if it has both markers, and searched for the
 * system message that it puts before a conversation without one.
 */
#include "text/chat.h"

#include "base/status.h"

#include <string.h>

#define START "<|im_start|>"
#define END "<|im_end|>"

/* How many times a template may say how a system message begins; bounds the search. */
#define MAX_SYSTEMS 64

/* The first `needle` in [begin, end), or NULL. */
static const char *find(const char *begin, const char *end, const char *needle)
{
    size_t length = strlen(needle);
    for (; (size_t)(end - begin) >= length; begin++) {
        begin = memchr(begin, needle[0], (size_t)(end - begin) - length + 1);
        if (begin == NULL)
            return NULL;
        if (memcmp(begin, needle, length) == 0)
            return begin;
    }
    return NULL;
}

/* The last `needle` in [begin, end), or NULL. */
static const char *find_last(const char *begin, const char *end, const char *needle)
{
    size_t length = strlen(needle);
    for (const char *at = end; (size_t)(at - begin) >= length; at--) {
        if (memcmp(at - length, needle, length) == 0)
            return at - length;
    }
    return NULL;
}

/*
 * Whether the last {% tag %} before `at` runs what follows only without a system message: an `if`
 * with != 'system', or the `else` of one with == 'system'.
 */
static bool is_without_system(const char *begin, const char *at)
{
    const char *tag = find_last(begin, at, "{%");
    if (tag == NULL)
        return false;
    const char *tag_end = find(tag, at, "%}");
    if (tag_end == NULL)
        return false;
    if (find(tag, tag_end, "!= 'system'") != NULL || find(tag, tag_end, "!= \"system\"") != NULL)
        return find(tag, tag_end, "if") != NULL;
    return find(tag, tag_end, "else") != NULL &&
           (find(begin, tag, "== 'system'") != NULL || find(begin, tag, "== \"system\"") != NULL);
}

/* The end of the Jinja string that the quote before `at` opens, or NULL. */
static const char *string_end(const char *at, const char *end)
{
    char quote = at[-1];
    if (quote != '\'' && quote != '"')
        return NULL;
    for (; at < end; at++) {
        if (*at == '\\')
            at++;
        else if (*at == quote)
            return at;
    }
    return NULL;
}

/* The default system message as the template's source has it, escapes included; empty if none. */
static struct text default_system(struct text template)
{
    const char *begin = template.bytes, *end = begin + template.length;
    const char *at = begin;
    for (int i = 0; i < MAX_SYSTEMS && (at = find(at, end, START "system")) != NULL; i++) {
        const char *string = at > begin ? string_end(at, end) : NULL;
        at += strlen(START "system");
        if (string == NULL || !is_without_system(begin, at))
            continue;
        const char *text = NULL;
        if (at < string && *at == '\n')
            text = at + 1;
        else if (string - at > 2 && at[0] == '\\' && at[1] == 'n')
            text = at + 2;
        const char *text_end = text != NULL ? find(text, string, END) : NULL;
        if (text_end != NULL)
            return (struct text){text, (size_t)(text_end - text)};
    }
    return (struct text){"", 0};
}

/* Text on its way to the caller; counted to the end, copied as far as there is room. */
struct sink {
    char *buffer; /* NULL: only count */
    size_t length;
};

static lckv_status put(struct sink *sink, const char *bytes, size_t length)
{
    size_t sum;
    if (!checked_add(sink->length, length, &sum))
        return fail(LCKV_INVALID_ARGUMENT, "the messages are longer than memory");
    if (sink->buffer != NULL && length > 0)
        memcpy(sink->buffer + sink->length, bytes, length);
    sink->length = sum;
    return LCKV_OK;
}

static lckv_status put_string(struct sink *sink, const char *string)
{
    return put(sink, string, strlen(string));
}

static lckv_status put_unescaped(struct sink *sink, struct text text)
{
    lckv_status status = LCKV_OK;
    for (size_t i = 0; status == LCKV_OK && i < text.length; i++) {
        char c = text.bytes[i];
        if (c == '\\' && i + 1 < text.length) {
            c = text.bytes[++i];
            c = c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c;
        }
        status = put(sink, &c, 1);
    }
    return status;
}

static lckv_status put_message(struct sink *sink, const lckv_message *message)
{
    lckv_status status = put_string(sink, START);
    if (status == LCKV_OK)
        status = put(sink, message->role, message->role_length);
    if (status == LCKV_OK)
        status = put_string(sink, "\n");
    if (status == LCKV_OK)
        status = put(sink, message->content, message->content_length);
    if (status == LCKV_OK)
        status = put_string(sink, END "\n");
    return status;
}

static bool is_system(const lckv_message *message)
{
    return message->role_length == strlen("system") &&
           memcmp(message->role, "system", strlen("system")) == 0;
}

static lckv_status put_conversation(struct sink *sink, struct text system,
                                    const lckv_message *messages, size_t stride, size_t n_messages,
                                    uint32_t flags)
{
    lckv_status status = LCKV_OK;
    if (system.length > 0 && n_messages > 0 && !is_system(messages)) {
        status = put_string(sink, START "system\n");
        if (status == LCKV_OK)
            status = put_unescaped(sink, system);
        if (status == LCKV_OK)
            status = put_string(sink, END "\n");
    }
    for (size_t i = 0; status == LCKV_OK && i < n_messages; i++)
        status = put_message(sink, (const void *)((const unsigned char *)messages + i * stride));
    if (status == LCKV_OK && (flags & LCKV_CHAT_ANSWER) != 0)
        status = put_string(sink, START "assistant\n");
    return status;
}

lckv_status chat_format(const struct tokenizer *tokenizer, const lckv_message *messages,
                        size_t stride, size_t n_messages, uint32_t flags, char *buffer,
                        size_t capacity, size_t *length)
{
    struct text template = tokenizer_chat_template(tokenizer);
    const char *end = template.bytes + template.length;
    if (template.length == 0)
        return fail(LCKV_UNSUPPORTED, "the model has no chat template");
    if (find(template.bytes, end, START) == NULL || find(template.bytes, end, END) == NULL)
        return fail(LCKV_UNSUPPORTED, "chat template %s is not ChatML, which alone is supported",
                    quoted(template.bytes, template.length).text);
    struct text system = default_system(template);
    struct sink count = {.buffer = NULL};
    lckv_status status = put_conversation(&count, system, messages, stride, n_messages, flags);
    if (status != LCKV_OK)
        return status;
    *length = count.length;
    if (count.length > capacity)
        return fail(LCKV_BUFFER_TOO_SMALL, "the conversation has %zu bytes, the buffer %zu",
                    count.length, capacity);
    if (count.length == 0)
        return LCKV_OK;
    struct sink sink = {.buffer = buffer};
    return put_conversation(&sink, system, messages, stride, n_messages, flags);
}
