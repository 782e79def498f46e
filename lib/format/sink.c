/*
 * A sink for text. See sink.h.
 */
#include "format/sink.h"

#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

void sink_put(struct sink *sink, const char *bytes, size_t length)
{
    if (sink->length < sink->capacity && length > 0) {
        size_t room = sink->capacity - sink->length;
        memcpy(sink->buffer + sink->length, bytes, length < room ? length : room);
    }
    sink->length += length;
}

void sink_put_string(struct sink *sink, const char *string)
{
    sink_put(sink, string, strlen(string));
}

void sink_put_json_string(struct sink *sink, struct text text)
{
    sink_put(sink, "\"", 1);
    for (size_t i = 0; i < text.length;) {
        const char *at = text.bytes + i;
        size_t length = utf8_character(at, text.length - i);
        char escape[8];
        if (length == 0) {
            sink_put_string(sink, "\\ufffd");
        } else if (*at == '"' || *at == '\\') {
            sink_put(sink, "\\", 1);
            sink_put(sink, at, 1);
        } else if ((unsigned char)*at < 0x20 || *at == 0x7f) {
            sink_put(
                sink, escape,
                (size_t)snprintf(escape, sizeof escape, "\\u%04x", (unsigned)(unsigned char)*at));
        } else {
            sink_put(sink, at, length);
        }
        i += length == 0 ? 1 : length;
    }
    sink_put(sink, "\"", 1);
}
