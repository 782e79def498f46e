/*
 * Takes generated text as it comes, writes it to standard output (to a terminal with control
 * characters as escapes), and keeps it in memory.
 */
#ifndef TOOLS_STREAM_H
#define TOOLS_STREAM_H

#include "values.h"

struct stream {
    bool prints;     /* write to standard output, too */
    bool shows_ids;  /* prints ids, for a model that has no tokenizer */
    bool has_failed; /* out of memory, or standard output takes no more */
    struct bytes text;
    size_t text_capacity;
    struct token_list tokens;
    size_t tokens_capacity;
};

/* An lckv_token_callback; `user` is the struct stream. Stops on failures and after Ctrl-C. */
int32_t stream_take(void *user, lckv_token token, const char *text, size_t length);

/* Ends the last line if the text has not ended it. */
void stream_end_line(const struct stream *stream);

void stream_free(struct stream *stream);

#endif
