/*
 * A sink for text: counts everything, stores what fits.
 */
#ifndef LCKV_FORMAT_SINK_H
#define LCKV_FORMAT_SINK_H

#include "format/metadata.h"

struct sink {
    char *buffer; /* NULL if capacity is 0 */
    size_t capacity;
    size_t length; /* of everything that was put, stored or not */
};

void sink_put(struct sink *sink, const char *bytes, size_t length);
void sink_put_string(struct sink *sink, const char *string);

/* In quotes, with escapes, as JSON has it. Bytes that are no UTF-8 become U+FFFD, one each. */
void sink_put_json_string(struct sink *sink, struct text text);

#endif
