/*
 * The parser follows RFC 8259 by recursive descent, at most JSON_MAX_DEPTH deep.
 *
 * It reads its copy of the text twice. The first time it checks the text and counts the values. The
 * second time it has exactly the room that it needs, decodes the strings and refuses names that an
 * object has twice.
 */
#include "format/json_parser.h"

#include "base/status.h"
#include "base/text.h"

#include <string.h>

/* ---- Messages ---- */

lckv_status json_at(const struct json_parser *p, size_t position, lckv_status status)
{
    size_t line = 1, column = 1; /* columns count characters, as editors do */
    for (size_t i = 0; i < position; i++) {
        column += ((unsigned char)p->source[i] & 0xC0) != 0x80;
        if (p->source[i] == '\n') {
            line++;
            column = 1;
        }
    }
    return fail_in(status, "%s: line %zu, column %zu", p->what, line, column);
}

lckv_status json_expected(const struct json_parser *p, const char *what)
{
    const size_t longest = 24;
    size_t position = p->position;
    size_t left = json_left(p);
    struct quoted found = quoted(p->source + position, left < longest ? left : longest);
    fail(LCKV_BAD_FORMAT, "not valid JSON: expected %s, found %s", what,
         left > 0 ? found.text : "the end of the text");
    return json_at(p, position, LCKV_BAD_FORMAT);
}

/* ---- Tokens ---- */

static void skip_space(struct json_parser *p)
{
    for (int c = json_peek(p); c == ' ' || c == '\n' || c == '\r' || c == '\t'; c = json_peek(p))
        json_step(p);
}

/* Skips white space, and then `byte` if it comes next. */
static bool take(struct json_parser *p, char byte)
{
    skip_space(p);
    if (json_peek(p) != byte)
        return false;
    json_step(p);
    return true;
}

size_t json_add(struct json_parser *p, enum json_type type, size_t begin, size_t end)
{
    if (p->values != NULL)
        p->values[p->n_values] = (struct json_value){
            .text = p->text + begin, .length = (uint32_t)(end - begin), .type = type, .nodes = 1};
    return p->n_values++;
}

static lckv_status parse_word(struct json_parser *p, const char *word, enum json_type type)
{
    size_t begin = p->position;
    for (size_t i = 0; word[i] != '\0'; i++) {
        if (json_peek(p) != word[i]) {
            p->position = begin;
            return json_expected(p, "a value");
        }
        json_step(p);
    }
    json_add(p, type, begin, p->position);
    return LCKV_OK;
}

static bool skip_digits(struct json_parser *p)
{
    size_t begin = p->position;
    for (int c = json_peek(p); c >= '0' && c <= '9'; c = json_peek(p))
        json_step(p);
    return p->position > begin;
}

static lckv_status parse_number(struct json_parser *p)
{
    size_t begin = p->position;
    if (json_peek(p) == '-')
        json_step(p);
    if (json_peek(p) == '0') {
        json_step(p);
        if (skip_digits(p)) {
            p->position = begin;
            return json_expected(p, "a number without leading zeros");
        }
    } else if (!skip_digits(p)) {
        return json_expected(p, p->position > begin ? "a digit" : "a value");
    }
    if (json_peek(p) == '.') {
        json_step(p);
        if (!skip_digits(p))
            return json_expected(p, "a digit behind the point");
    }
    if (json_peek(p) == 'e' || json_peek(p) == 'E') {
        json_step(p);
        if (json_peek(p) == '+' || json_peek(p) == '-')
            json_step(p);
        if (!skip_digits(p))
            return json_expected(p, "a digit of the exponent");
    }
    json_add(p, JSON_NUMBER, begin, p->position);
    return LCKV_OK;
}

/* ---- Values ---- */

static lckv_status parse_value(struct json_parser *p);

static lckv_status parse_member(struct json_parser *p)
{
    skip_space(p);
    if (json_peek(p) != '"')
        return json_expected(p, "a name in quotes");
    lckv_status status = json_parse_string(p);
    if (status == LCKV_OK && !take(p, ':'))
        status = json_expected(p, "a colon");
    return status == LCKV_OK ? parse_value(p) : status;
}

/* Parses an array or an object, from its bracket to the bracket `close`. */
static lckv_status parse_container(struct json_parser *p, enum json_type type, char close,
                                   const char *close_name,
                                   lckv_status (*parse_item)(struct json_parser *p))
{
    lckv_status status = LCKV_OK;
    size_t begin = p->position, count = 0;
    size_t node = json_add(p, type, begin, begin);
    if (p->depth++ == JSON_MAX_DEPTH)
        return json_at(p, begin,
                       fail(LCKV_BAD_FORMAT, "nested deeper than %d levels", JSON_MAX_DEPTH));
    json_step(p);
    if (!take(p, close)) {
        do {
            status = parse_item(p);
            count++;
        } while (status == LCKV_OK && take(p, ','));
        if (status == LCKV_OK && !take(p, close))
            status = json_expected(p, close_name);
    }
    p->depth--;
    if (status != LCKV_OK || p->values == NULL)
        return status;
    struct json_value *value = &p->values[node];
    value->length = (uint32_t)count;
    value->nodes = (uint32_t)(p->n_values - node);
    return type == JSON_OBJECT ? json_check_names(p, value) : LCKV_OK;
}

static lckv_status parse_value(struct json_parser *p)
{
    skip_space(p);
    switch (json_peek(p)) {
    case '{':
        return parse_container(p, JSON_OBJECT, '}', "a comma or }", parse_member);
    case '[':
        return parse_container(p, JSON_ARRAY, ']', "a comma or ]", parse_value);
    case '"':
        return json_parse_string(p);
    case 't':
        return parse_word(p, "true", JSON_TRUE);
    case 'f':
        return parse_word(p, "false", JSON_FALSE);
    case 'n':
        return parse_word(p, "null", JSON_NULL);
    default:
        return parse_number(p);
    }
}

/* Names what would else be called an unexpected character, which nobody sees. */
static lckv_status check_encoding(const struct json_parser *p)
{
    struct text text = {p->source, p->length};
    const char *found = NULL;
    if (text_begins(text, "\xef\xbb\xbf"))
        found = "a byte order mark at its beginning";
    else if (text_begins(text, "\xff\xfe") || text_begins(text, "\xfe\xff"))
        found = "UTF-16 or UTF-32";
    if (found == NULL)
        return LCKV_OK;
    fail(LCKV_BAD_FORMAT, "not valid JSON: expected UTF-8 without a byte order mark, found %s",
         found);
    return json_at(p, 0, LCKV_BAD_FORMAT);
}

/* Reads the whole text once. */
static lckv_status pass(struct json_parser *p)
{
    p->n_values = 0;
    p->position = 0;
    lckv_status status = check_encoding(p);
    if (status == LCKV_OK)
        status = parse_value(p);
    skip_space(p);
    if (status == LCKV_OK && json_left(p) > 0)
        status = json_expected(p, "nothing behind the value");
    return status;
}

lckv_status json_parse(const char *bytes, size_t length, const char *what,
                       const lckv_allocator *allocator, struct json_document *document)
{
    *document = (struct json_document){.allocator = *allocator};
    if (length > JSON_MAX_BYTES)
        return fail(LCKV_BAD_FORMAT, "%s: %zu bytes of JSON, expected at most %u", what, length,
                    JSON_MAX_BYTES);
    lckv_status status = memory_alloc_raw(allocator, length, what, &document->text);
    if (status != LCKV_OK)
        return status;
    document->n_bytes = length;
    if (length > 0)
        memcpy(document->text, bytes, length);

    struct json_parser p = {.what = what,
                            .source = length > 0 ? bytes : "",
                            .text = document->text,
                            .length = length,
                            .allocator = allocator};
    status = pass(&p);
    if (status == LCKV_OK)
        status = memory_alloc(allocator, p.n_values, sizeof *p.values, what, &document->values);
    if (status == LCKV_OK) {
        document->n_values = p.n_values;
        p.values = document->values;
        status = pass(&p);
        memory_free(allocator, p.slots, p.n_slots, sizeof *p.slots);
    }
    if (status == LCKV_OK)
        document->root = document->values;
    else
        json_release(document);
    return status;
}

void json_release(struct json_document *document)
{
    memory_free(&document->allocator, document->values, document->n_values,
                sizeof *document->values);
    memory_free(&document->allocator, document->text, document->n_bytes, 1);
    *document = (struct json_document){.allocator = document->allocator};
}
