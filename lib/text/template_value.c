/*
 * The values of chat templates. See template_value.h.
 */
#include "text/template_value.h"

#include "base/status.h"
#include "base/text.h"
#include "text/unicode.h"

#include <string.h>

/* The pieces that one call may make: some for the template, and some more for each message. */
#define FREE_PIECES ((size_t)1 << 16)
#define PIECES_PER_MESSAGE 256

/*
 * A template writes most of its own text once for each message, and each message a few times. One
 * that repeats more than that would take time and memory out of proportion.
 */
#define FREE_BYTES ((size_t)1 << 16)
#define REPEATS 8
#define READINGS 4 /* of the template for each message */

void scope_allow(struct scope *scope, size_t template_length)
{
    const struct template_input *input = scope->input;
    uint64_t bytes = FREE_BYTES + (uint64_t)template_length * READINGS * (input->n_messages + 1);
    for (size_t i = 0; i < input->n_messages; i++) {
        const lckv_message *message = template_message(input, i);
        bytes += REPEATS * ((uint64_t)message->role_length + message->content_length);
    }
    scope->bytes_left = bytes < SIZE_MAX ? (size_t)bytes : SIZE_MAX;
}

lckv_status scope_spend(struct scope *scope, size_t bytes)
{
    if (bytes > scope->bytes_left)
        return fail(LCKV_UNSUPPORTED, "the chat template repeats its texts too often");
    scope->bytes_left -= bytes;
    return LCKV_OK;
}

struct value value_bool(bool value)
{
    return (struct value){.kind = VALUE_BOOL, .number = value};
}

struct value value_integer(int64_t value)
{
    return (struct value){.kind = VALUE_INTEGER, .number = value};
}

static lckv_status make_pieces(struct scope *scope, size_t count, struct piece **pieces)
{
    size_t most = FREE_PIECES + scope->input->n_messages * PIECES_PER_MESSAGE;
    if (count > TEMPLATE_MAX_PIECES || scope->n_made + count > most)
        return fail(LCKV_UNSUPPORTED, "the chat template joins too many texts");
    scope->n_made += count;
    return arena_alloc(&scope->arena, count, sizeof **pieces, "a conversation", pieces);
}

lckv_status value_text(struct scope *scope, struct text text, bool is_message, struct value *value)
{
    struct piece *piece;
    lckv_status status = make_pieces(scope, 1, &piece);
    if (status != LCKV_OK)
        return status;
    *piece = (struct piece){text, is_message};
    *value = (struct value){.kind = VALUE_TEXT, .pieces = piece, .n_pieces = 1};
    return LCKV_OK;
}

size_t value_count(const struct scope *scope, const struct value *messages)
{
    size_t begin = (size_t)messages->number, n_messages = scope->input->n_messages;
    return begin < n_messages ? n_messages - begin : 0;
}

static bool text_is_empty(const struct value *value)
{
    for (size_t i = 0; i < value->n_pieces; i++) {
        if (value->pieces[i].text.length > 0)
            return false;
    }
    return true;
}

lckv_status value_truth(const struct scope *scope, const struct value *value, bool *holds)
{
    switch (value->kind) {
    case VALUE_BOOL:
    case VALUE_INTEGER:
        *holds = value->number != 0;
        return LCKV_OK;
    case VALUE_TEXT:
        *holds = !text_is_empty(value);
        return LCKV_OK;
    case VALUE_MESSAGES:
        *holds = value_count(scope, value) > 0;
        return LCKV_OK;
    case VALUE_RANGE:
        *holds = value->n_pieces > 0;
        return LCKV_OK;
    case VALUE_LIST:
        *holds = value->number > 0;
        return LCKV_OK;
    case VALUE_UNKNOWN:
        return fail(LCKV_UNSUPPORTED, "a condition on a selection is not supported");
    default:
        *holds = value->kind != VALUE_UNDEFINED && value->kind != VALUE_NONE;
        return LCKV_OK;
    }
}

struct value value_element(const struct scope *scope, const struct value *messages, int64_t index)
{
    int64_t count = (int64_t)value_count(scope, messages);
    index = index < 0 ? index + count : index;
    if (index < 0 || index >= count)
        return (struct value){.kind = VALUE_UNDEFINED};
    if (messages->is_reversed)
        index = count - 1 - index;
    return (struct value){.kind = VALUE_MESSAGE, .number = messages->number + index};
}

/* Compares byte by byte, because the pieces of equal texts may end at different offsets. */
static bool texts_are_equal(const struct value *a, const struct value *b, size_t *n_compared)
{
    size_t piece_a = 0, piece_b = 0, at_a = 0, at_b = 0;
    *n_compared = 0;
    for (;;) {
        while (piece_a < a->n_pieces && at_a == a->pieces[piece_a].text.length) {
            piece_a++;
            at_a = 0;
        }
        while (piece_b < b->n_pieces && at_b == b->pieces[piece_b].text.length) {
            piece_b++;
            at_b = 0;
        }
        if (piece_a == a->n_pieces || piece_b == b->n_pieces)
            return piece_a == a->n_pieces && piece_b == b->n_pieces;
        ++*n_compared;
        if (a->pieces[piece_a].text.bytes[at_a++] != b->pieces[piece_b].text.bytes[at_b++])
            return false;
    }
}

static bool is_number(const struct value *value)
{
    return value->kind == VALUE_BOOL || value->kind == VALUE_INTEGER;
}

lckv_status value_equals(struct scope *scope, const struct value *a, const struct value *b,
                         bool *equal)
{
    size_t n_compared = 0;
    if (a->kind >= VALUE_MESSAGES || b->kind >= VALUE_MESSAGES)
        return fail(LCKV_UNSUPPORTED, "comparing these values is not supported");
    if (is_number(a) && is_number(b))
        *equal = a->number == b->number;
    else if (a->kind == VALUE_TEXT && b->kind == VALUE_TEXT)
        *equal = texts_are_equal(a, b, &n_compared);
    else
        *equal = a->kind == b->kind;
    return scope_spend(scope, n_compared);
}

lckv_status value_join(struct scope *scope, const struct value *a, const struct value *b,
                       struct value *joined)
{
    struct piece *pieces;
    size_t count = a->n_pieces + b->n_pieces;
    lckv_status status = make_pieces(scope, count, &pieces);
    if (status != LCKV_OK)
        return status;
    for (size_t i = 0; i < count; i++)
        pieces[i] = i < a->n_pieces ? a->pieces[i] : b->pieces[i - a->n_pieces];
    *joined = (struct value){.kind = VALUE_TEXT, .pieces = pieces, .n_pieces = count};
    return LCKV_OK;
}

/* The four control characters that are white space in Python, but not in Unicode. */
static bool is_separator(char c)
{
    return c >= 0x1C && c <= 0x1F;
}

size_t template_space_at_start(struct text text)
{
    size_t at = 0;
    for (size_t space = 1; space > 0 && at < text.length; at += space)
        space = is_separator(text.bytes[at])
                    ? 1
                    : unicode_space_at_start(text.bytes + at, text.length - at);
    return at;
}

size_t template_space_at_end(struct text text)
{
    size_t left = text.length;
    for (size_t space = 1; space > 0 && left > 0; left -= space)
        space = is_separator(text.bytes[left - 1]) ? 1 : unicode_space_at_end(text.bytes, left);
    return text.length - left;
}

lckv_status value_trim(struct scope *scope, struct value *value, bool start, bool end)
{
    struct piece *pieces;
    size_t n = value->n_pieces, n_removed = 0;
    if (value->kind != VALUE_TEXT)
        return fail(LCKV_UNSUPPORTED, "trimming this value is not supported");
    lckv_status status = make_pieces(scope, n, &pieces);
    if (status != LCKV_OK)
        return status;
    memcpy(pieces, value->pieces, n * sizeof *pieces);
    for (size_t i = 0; start && i < n && (i == 0 || pieces[i - 1].text.length == 0); i++) {
        size_t space = template_space_at_start(pieces[i].text);
        pieces[i].text.bytes += space;
        pieces[i].text.length -= space;
        n_removed += space;
    }
    for (size_t i = n; end && i-- > 0 && (i + 1 == n || pieces[i + 1].text.length == 0);) {
        size_t space = template_space_at_end(pieces[i].text);
        pieces[i].text.length -= space;
        n_removed += space;
    }
    value->pieces = pieces;
    return scope_spend(scope, n_removed);
}

lckv_status value_flat(struct scope *scope, const struct value *value, struct piece *flat)
{
    size_t length = 0, n_full = 0;
    char *bytes;
    *flat = (struct piece){{"", 0}, false};
    for (size_t i = 0; i < value->n_pieces; i++) {
        const struct piece *piece = &value->pieces[i];
        if (piece->text.length == 0)
            continue;
        if (n_full++ > 0 && piece->is_message != flat->is_message)
            return fail(LCKV_UNSUPPORTED, "this use of a text that is joined from a message and "
                                          "the template is not supported");
        *flat = *piece;
        length += piece->text.length;
    }
    if (n_full < 2)
        return LCKV_OK;
    lckv_status status = scope_spend(scope, length);
    if (status == LCKV_OK)
        status = arena_alloc(&scope->arena, length, 1, "a conversation", &bytes);
    if (status != LCKV_OK)
        return status;
    flat->text = (struct text){bytes, length};
    for (size_t i = 0; i < value->n_pieces; i++) {
        memcpy(bytes, value->pieces[i].text.bytes, value->pieces[i].text.length);
        bytes += value->pieces[i].text.length;
    }
    return LCKV_OK;
}

lckv_status value_part(struct scope *scope, const struct value *value, struct text *part)
{
    struct piece flat;
    lckv_status status = value->kind == VALUE_TEXT
                             ? value_flat(scope, value, &flat)
                             : fail(LCKV_UNSUPPORTED, "looking for this value is not supported");
    if (status == LCKV_OK && flat.text.length > TEMPLATE_MAX_PART)
        return fail(LCKV_UNSUPPORTED, "looking for a text of more than %d bytes is not supported",
                    TEMPLATE_MAX_PART);
    if (status == LCKV_OK)
        *part = flat.text;
    return status;
}

size_t template_find(struct text whole, struct text part, size_t from)
{
    for (size_t at = from; at + part.length <= whole.length; at++) {
        if (memcmp(whole.bytes + at, part.bytes, part.length) == 0)
            return at;
    }
    return SIZE_MAX;
}
