/*
 * See stream.h.
 */
#include "stream.h"

#include "interrupt.h"
#include "report.h"
#include "show.h"

#include <stdlib.h>
#include <string.h>

static bool keep_text(struct stream *stream, const char *text, size_t length)
{
    struct bytes *all = &stream->text;
    if (length > stream->text_capacity - all->length) {
        size_t larger = (all->length + length) * 2;
        char *data = realloc(all->data, larger);
        if (data == NULL)
            return false;
        all->data = data;
        stream->text_capacity = larger;
    }
    if (length > 0)
        memcpy(all->data + all->length, text, length);
    all->length += length;
    return true;
}

static bool keep_token(struct stream *stream, lckv_token token)
{
    struct token_list *all = &stream->tokens;
    if (all->count == stream->tokens_capacity) {
        size_t larger = all->count * 2 + 64;
        lckv_token *ids = realloc(all->ids, larger * sizeof *ids);
        if (ids == NULL)
            return false;
        all->ids = ids;
        stream->tokens_capacity = larger;
    }
    all->ids[all->count++] = token;
    return true;
}

static bool print(const struct stream *stream, lckv_token token, const char *text, size_t length)
{
    if (stream->shows_ids && token >= 0)
        printf("%s%d", stream->tokens.count > 1 ? "," : "", (int)token);
    show_text(text, length);
    return fflush(stdout) == 0;
}

int32_t stream_take(void *user, lckv_token token, const char *text, size_t length)
{
    struct stream *stream = user;
    if (!keep_text(stream, text, length) || (token >= 0 && !keep_token(stream, token))) {
        fail_memory();
        stream->has_failed = true;
    } else if (stream->prints && !print(stream, token, text, length)) {
        stream->has_failed = true; /* close_output() complains */
    }
    return stream->has_failed || interrupt_came();
}

void stream_end_line(const struct stream *stream)
{
    size_t length = stream->text.length;
    if (length == 0 || stream->text.data[length - 1] != '\n')
        putchar('\n');
    fflush(stdout);
}

void stream_free(struct stream *stream)
{
    free(stream->text.data);
    free(stream->tokens.ids);
    *stream = (struct stream){0};
}
