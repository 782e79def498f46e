/*
 * See batch_members.h.
 */
#include "batch_members.h"

#include "suggest.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reading {
    struct json_reader json;
    struct batch_request *request;
    const char *member; /* the name of the one at hand, for messages */
    bool is_out_of_memory;
};

static bool fail_memory_of(struct reading *reading)
{
    reading->is_out_of_memory = true;
    return false;
}

static bool fail_member(struct reading *reading, const char *expected)
{
    return batch_request_fail(reading->request, "%s: expected %s", reading->member, expected);
}

/* ---- Values ---- */

/* The spelling of a number as a string, which must be short; else it stands for no number. */
struct spelling {
    char text[64];
};

static bool read_spelling(struct reading *reading, struct spelling *spelling)
{
    lckv_string number;
    if (json_next_kind(&reading->json) != JSON_NUMBER ||
        !json_read_number(&reading->json, &number) || number.length >= sizeof spelling->text)
        return false;
    memcpy(spelling->text, number.text, number.length);
    spelling->text[number.length] = '\0';
    return true;
}

static bool read_whole_number(struct reading *reading, uint64_t least, uint64_t most,
                              uint64_t *number)
{
    struct spelling spelling;
    char expected[96];
    if (read_spelling(reading, &spelling) && parse_number(spelling.text, number) &&
        *number >= least && *number <= most)
        return true;
    snprintf(expected, sizeof expected, "a whole number from %" PRIu64 " to %" PRIu64, least, most);
    return fail_member(reading, expected);
}

static bool read_real(struct reading *reading, double most, double *number)
{
    struct spelling spelling;
    char expected[64];
    if (read_spelling(reading, &spelling) && parse_real(spelling.text, number) && *number >= 0 &&
        *number <= most)
        return true;
    snprintf(expected, sizeof expected, "a number from 0 to %g", most);
    return fail_member(reading, expected);
}

static bool read_string(struct reading *reading, const char *expected, lckv_string *string)
{
    return (json_next_kind(&reading->json) == JSON_STRING &&
            json_read_string(&reading->json, string)) ||
           fail_member(reading, expected);
}

/* Makes room for one more item behind `count`. */
static bool grow(void **items, size_t count, size_t *capacity, size_t item_size)
{
    if (count < *capacity)
        return true;
    size_t larger = *capacity * 2 + 4;
    void *moved = realloc(*items, larger * item_size);
    if (moved == NULL)
        return false;
    *items = moved;
    *capacity = larger;
    return true;
}

/* ---- Members ---- */

static bool read_prompt(struct reading *reading)
{
    return read_string(reading, "a string", &reading->request->prompt);
}

static bool read_tokens(struct reading *reading)
{
    struct token_list *list = &reading->request->tokens;
    size_t capacity = 0;
    if (json_next_kind(&reading->json) != JSON_ARRAY || !json_read_begin(&reading->json))
        return fail_member(reading, "an array of token ids");
    while (json_read_more(&reading->json)) {
        uint64_t id;
        if (!read_whole_number(reading, 0, INT32_MAX, &id))
            return false;
        void *ids = list->ids;
        if (!grow(&ids, list->count, &capacity, sizeof *list->ids))
            return fail_memory_of(reading);
        list->ids = ids;
        list->ids[list->count++] = (lckv_token)id;
    }
    return list->count > 0 || fail_member(reading, "at least one token id");
}

static bool read_message(struct reading *reading, lckv_message *message)
{
    static const char expected[] = "objects with the strings \"role\" and \"content\"";
    lckv_string name, role = {0}, content = {0};
    if (json_next_kind(&reading->json) != JSON_OBJECT || !json_read_begin(&reading->json))
        return fail_member(reading, expected);
    while (json_read_more(&reading->json)) {
        json_read_name(&reading->json, &name);
        bool is_role = name.length == 4 && memcmp(name.text, "role", 4) == 0;
        lckv_string *to = is_role ? &role : &content;
        bool is_known = is_role || (name.length == 7 && memcmp(name.text, "content", 7) == 0);
        if (!is_known || to->text != NULL)
            return fail_member(reading, expected);
        if (!read_string(reading, expected, to))
            return false;
    }
    *message = (lckv_message){role.text, role.length, content.text, content.length};
    return (role.text != NULL && content.text != NULL) || fail_member(reading, expected);
}

static bool read_messages(struct reading *reading)
{
    struct batch_request *request = reading->request;
    size_t capacity = 0;
    if (json_next_kind(&reading->json) != JSON_ARRAY || !json_read_begin(&reading->json))
        return fail_member(reading, "an array of messages");
    while (json_read_more(&reading->json)) {
        void *messages = request->messages;
        if (!grow(&messages, request->n_messages, &capacity, sizeof *request->messages))
            return fail_memory_of(reading);
        request->messages = messages;
        if (!read_message(reading, &request->messages[request->n_messages++]))
            return false;
    }
    return request->n_messages > 0 || fail_member(reading, "at least one message");
}

static bool read_stops(struct reading *reading)
{
    static const char expected[] = "a string that is not empty, or an array of such strings";
    struct string_list *list = &reading->request->stops;
    bool is_array = json_next_kind(&reading->json) == JSON_ARRAY;
    size_t capacity = 0;
    *list = (struct string_list){0};
    reading->request->has_own_stops = true;
    if (is_array && !json_read_begin(&reading->json))
        return fail_member(reading, expected);
    while (is_array ? json_read_more(&reading->json) : list->count == 0) {
        void *items = list->items;
        if (!grow(&items, list->count, &capacity, sizeof *list->items))
            return fail_memory_of(reading);
        list->items = items;
        lckv_string *stop = &list->items[list->count++];
        if (!read_string(reading, expected, stop))
            return false;
        if (stop->length == 0)
            return fail_member(reading, expected);
    }
    return true;
}

static bool read_max_tokens(struct reading *reading)
{
    return read_whole_number(reading, 1, UINT32_MAX, &reading->request->max_tokens);
}

static bool read_temperature(struct reading *reading)
{
    return read_real(reading, 1000, &reading->request->sampling.temperature);
}

static bool read_top_k(struct reading *reading)
{
    return read_whole_number(reading, 0, UINT32_MAX, &reading->request->sampling.top_k);
}

static bool read_top_p(struct reading *reading)
{
    return read_real(reading, 1, &reading->request->sampling.top_p);
}

static bool read_min_p(struct reading *reading)
{
    return read_real(reading, 1, &reading->request->sampling.min_p);
}

static bool read_seed(struct reading *reading)
{
    return read_whole_number(reading, 0, UINT64_MAX, &reading->request->sampling.seed);
}

static const struct member {
    const char *name;
    bool (*read)(struct reading *reading);
} members[] = {
    {"id", NULL}, /* batch_request.c has read it */
    {"prompt", read_prompt},
    {"tokens", read_tokens},
    {"messages", read_messages},
    {"max_tokens", read_max_tokens},
    {"temperature", read_temperature},
    {"top_k", read_top_k},
    {"top_p", read_top_p},
    {"min_p", read_min_p},
    {"seed", read_seed},
    {"stop", read_stops},
};
enum { N_MEMBERS = sizeof members / sizeof members[0] };

/* ---- All of them ---- */

static bool fail_unknown(struct reading *reading, lckv_string name)
{
    struct suggestion suggestion = {.word = name.text, .length = name.length};
    for (size_t i = 0; i < N_MEMBERS; i++)
        suggest(&suggestion, members[i].name, strlen(members[i].name));
    int shown = name.length < 100 ? (int)name.length : 100;
    return suggestion.name != NULL
               ? batch_request_fail(reading->request, "unknown member \"%.*s\"; did you mean %s?",
                                    shown, name.text, suggestion.name)
               : batch_request_fail(reading->request, "unknown member \"%.*s\"", shown, name.text);
}

/* Reads what is known to be a JSON object. */
static bool read_members(struct reading *reading)
{
    struct json_reader *json = &reading->json;
    lckv_string name;
    uint32_t seen = 0;
    json_read_begin(json);
    while (json_read_more(json) && json_read_name(json, &name)) {
        size_t i = 0;
        while (i < N_MEMBERS && (strlen(members[i].name) != name.length ||
                                 memcmp(members[i].name, name.text, name.length) != 0))
            i++;
        if (i == N_MEMBERS)
            return fail_unknown(reading, name);
        if (seen >> i & 1)
            return batch_request_fail(reading->request, "%s is given twice", members[i].name);
        seen |= UINT32_C(1) << i;
        reading->member = members[i].name;
        if (members[i].read == NULL || json_next_kind(json) == JSON_NULL)
            json_read_skip(json);
        else if (!members[i].read(reading))
            return false;
    }
    const struct batch_request *request = reading->request;
    int n_given = (request->prompt.text != NULL) + (request->tokens.ids != NULL) +
                  (request->messages != NULL);
    return n_given == 1 ||
           batch_request_fail(reading->request, "expected one of prompt, tokens and messages");
}

bool batch_members_read(char *text, size_t length, struct batch_request *request)
{
    struct reading reading = {.json = json_reader_of(text, length), .request = request};
    read_members(&reading);
    return !reading.is_out_of_memory;
}
