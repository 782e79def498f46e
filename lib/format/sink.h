/*
 * A sink for text counts all bytes and stores those that fit.
 */
#ifndef LCKV_FORMAT_SINK_H
#define LCKV_FORMAT_SINK_H

#include "format/metadata.h"

struct sink {
    char *buffer; /* NULL if capacity is 0 */
    size_t capacity;
    size_t length; /* of all text, stored or not */
};

void sink_put(struct sink *sink, const char *bytes, size_t length);
void sink_put_string(struct sink *sink, const char *string);

/* Puts a JSON string, with quotes and escapes. Each byte that is no UTF-8 becomes a U+FFFD. */
void sink_put_json_string(struct sink *sink, struct text text);

#endif
