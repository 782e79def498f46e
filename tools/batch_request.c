/*
 * See batch_request.h.
 *
 * A line is read twice. The first time finds out whether it is JSON, and its id, so that what is
 * wrong with another member can be told with the id.
 */
#include "batch_request.h"

#include "batch_members.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool batch_request_fail(struct batch_request *request, const char *format, ...)
{
    va_list arguments;
    if (request->problem[0] == '\0') {
        va_start(arguments, format);
        vsnprintf(request->problem, sizeof request->problem, format, arguments);
        va_end(arguments);
    }
    return false;
}

/* Takes the value of a member `id`. */
static void take_id(struct json_reader *json, struct batch_request *request, bool is_again)
{
    enum json_kind kind = json_next_kind(json);
    struct batch_id id = {.is_number = kind == JSON_NUMBER};
    if (is_again)
        batch_request_fail(request, "id is given twice");
    else if (kind != JSON_STRING && kind != JSON_NUMBER && kind != JSON_NULL)
        batch_request_fail(request, "id: expected a string or a number");
    else if (kind == JSON_STRING && json_read_string(json, &id.text))
        request->id = id;
    else if (kind == JSON_NUMBER && json_read_number(json, &id.text))
        request->id = id;
    if (is_again || (kind != JSON_STRING && kind != JSON_NUMBER))
        json_read_skip(json);
}

/* Finds out whether the line is a JSON object, and its id. */
static bool read_id(struct json_reader *json, struct batch_request *request)
{
    lckv_string name;
    bool is_seen = false;
    if (json_next_kind(json) != JSON_OBJECT)
        return batch_request_fail(request, "expected a JSON object");
    json_read_begin(json);
    while (json_read_more(json) && json_read_name(json, &name)) {
        if (name.length == 2 && memcmp(name.text, "id", 2) == 0) {
            take_id(json, request, is_seen);
            is_seen = true;
        } else {
            json_read_skip(json);
        }
    }
    if (!json_read_end(json))
        batch_request_fail(request, "not valid JSON: %s", json->problem);
    return request->problem[0] == '\0';
}

bool batch_request_read(const char *line, size_t length, uint64_t number,
                        const struct batch_defaults *defaults, struct batch_request *request)
{
    *request = (struct batch_request){.line = number,
                                      .sampling = defaults->sampling,
                                      .max_tokens = defaults->max_tokens,
                                      .stops = defaults->stops,
                                      .memory = malloc(2 * length + 1)};
    if (request->memory == NULL)
        return false;
    memcpy(request->memory, line, length);
    memcpy(request->memory + length, line, length);
    struct json_reader first = json_reader_of(request->memory, length);
    return !read_id(&first, request) ||
           batch_members_read(request->memory + length, length, request);
}

struct batch_id batch_request_id(const struct batch_request *request, struct batch_number *number)
{
    if (request->id.text.text != NULL)
        return request->id;
    snprintf(number->text, sizeof number->text, "%" PRIu64, request->line);
    return (struct batch_id){true, {number->text, strlen(number->text)}};
}

struct fingerprint batch_id_fingerprint(struct batch_id id)
{
    struct fingerprint fingerprint = fingerprint_begin();
    fingerprint_add(&fingerprint, id.is_number ? "n" : "s", 1);
    fingerprint_add_text(&fingerprint, id.text.text, id.text.length);
    return fingerprint;
}

static void add_number(struct fingerprint *fingerprint, uint64_t number)
{
    fingerprint_add(fingerprint, &number, sizeof number);
}

static void add_real(struct fingerprint *fingerprint, double number)
{
    fingerprint_add(fingerprint, &number, sizeof number);
}

void batch_request_add(struct fingerprint *fingerprint, const struct batch_request *request)
{
    const struct token_list *tokens = &request->tokens;
    const struct sampling *sampling = &request->sampling;
    fingerprint_add_text(fingerprint, request->prompt.text, request->prompt.length);
    add_number(fingerprint, tokens->count);
    fingerprint_add(fingerprint, tokens->ids, tokens->count * sizeof *tokens->ids);
    add_number(fingerprint, request->n_messages);
    for (size_t i = 0; i < request->n_messages; i++) {
        const lckv_message *message = &request->messages[i];
        fingerprint_add_text(fingerprint, message->role, message->role_length);
        fingerprint_add_text(fingerprint, message->content, message->content_length);
    }
    add_number(fingerprint, request->stops.count);
    for (size_t i = 0; i < request->stops.count; i++)
        fingerprint_add_text(fingerprint, request->stops.items[i].text,
                             request->stops.items[i].length);
    add_number(fingerprint, request->max_tokens);
    add_real(fingerprint, sampling->temperature);
    add_real(fingerprint, sampling->top_p);
    add_real(fingerprint, sampling->min_p);
    add_number(fingerprint, sampling->top_k);
    add_number(fingerprint, sampling->seed);
}

void batch_request_free(struct batch_request *request)
{
    if (request->has_own_stops)
        free(request->stops.items);
    free(request->tokens.ids);
    free(request->messages);
    free(request->memory);
    *request = (struct batch_request){0};
}
