/*
 * Writes values of a document as JSON on one line, in which numbers stay as they were written, and
 * as metadata.
 */
#include "format/json.h"

#include "format/sink.h"

static void put_value(struct sink *sink, const struct json_value *value)
{
    if (value->type == JSON_STRING) {
        sink_put_json_string(sink, json_text(value));
        return;
    }
    if (value->type < JSON_ARRAY) {
        sink_put(sink, value->text, value->length);
        return;
    }
    bool object = value->type == JSON_OBJECT;
    const struct json_value *first = json_first(value);
    sink_put(sink, object ? "{" : "[", 1);
    for (const struct json_value *item = first; item != NULL; item = json_next(value, item)) {
        if (item != first)
            sink_put_string(sink, ", ");
        if (object) {
            sink_put_json_string(sink, json_name(item));
            sink_put_string(sink, ": ");
        }
        put_value(sink, item);
    }
    sink_put(sink, object ? "}" : "]", 1);
}

size_t json_write(const struct json_value *value, char *buffer, size_t capacity)
{
    struct sink sink = {buffer, capacity, 0};
    put_value(&sink, value);
    return sink.length;
}

static lckv_status set_written(struct metadata *metadata, struct metadata_value *member,
                               const struct json_value *value)
{
    const lckv_allocator *allocator = &metadata->arena->allocator;
    size_t length = json_write(value, NULL, 0);
    char *text = NULL;
    lckv_status status = memory_alloc(allocator, length, 1, "metadata", &text);
    if (status != LCKV_OK)
        return status;
    json_write(value, text, length);
    member->as.string = (struct text){text, length};
    status = metadata_set_value(metadata, member);
    memory_free(allocator, text, length, 1);
    return status;
}

lckv_status json_to_metadata(const struct json_value *object, struct metadata *metadata)
{
    lckv_status status = LCKV_OK;
    for (const struct json_value *value = json_first(object); status == LCKV_OK && value != NULL;
         value = json_next(object, value)) {
        struct metadata_value member = {
            .key = json_name(value), .type = METADATA_STRING, .count = 1};
        member.as.string = json_text(value);
        if (json_is(value, JSON_ARRAY) || json_is(value, JSON_OBJECT))
            status = set_written(metadata, &member, value);
        else
            status = metadata_set_value(metadata, &member);
    }
    return status;
}
