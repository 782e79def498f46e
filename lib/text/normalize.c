/*
 * Runs the steps of a normaliser on texts. See normalizer.h.
 */
#include "text/normalizer.h"

#include "base/status.h"
#include "base/utf8.h"
#include "text/unicode.h"

#include <string.h>

void normalizing_init(struct normalizing *normalizing, const struct normalizer *normalizer,
                      struct matcher *matcher)
{
    const lckv_allocator *allocator = &normalizer->arena->allocator;
    *normalizing =
        (struct normalizing){.normalizer = normalizer,
                             .matcher = matcher,
                             .buffers = {{.allocator = allocator}, {.allocator = allocator}},
                             .points.allocator = allocator};
}

void normalizing_release(struct normalizing *normalizing)
{
    text_buffer_release(&normalizing->buffers[0]);
    text_buffer_release(&normalizing->buffers[1]);
    code_points_release(&normalizing->points);
}

/* ---- Output ---- */

/* The next `length` bytes of the input are done; the marks in them go to the output's end. */
static lckv_status pass(struct normalizing *n, size_t length)
{
    n->at += length;
    for (; n->next_mark < n->n_marks && n->marks[n->next_mark] <= n->at; n->next_mark++)
        n->marks[n->next_mark] = n->output->length;
    if (n->output->length > n->limit)
        return fail(
            LCKV_UNSUPPORTED,
            "the tokenizer's normalizer makes this text more than %d times longer; expected "
            "one that keeps its length within that",
            NORMALIZER_MAX_GROWTH);
    return LCKV_OK;
}

static lckv_status replace(struct normalizing *n, size_t length, const char *bytes, size_t n_bytes)
{
    lckv_status status = text_buffer_append(n->output, bytes, n_bytes);
    return status == LCKV_OK ? pass(n, length) : status;
}

/* Copies up to this place in the input. */
static lckv_status copy(struct normalizing *n, size_t end)
{
    size_t shift = n->output->length - n->at; /* may wrap around, and back again */
    for (; n->next_mark < n->n_marks && n->marks[n->next_mark] <= end; n->next_mark++)
        n->marks[n->next_mark] += shift;
    return replace(n, end - n->at, n->input.bytes + n->at, end - n->at);
}

/* ---- Steps ---- */

static lckv_status run_form(struct normalizing *n, const struct normalizer_step *step)
{
    struct text input = n->input;
    lckv_status status = LCKV_OK;
    for (size_t at = 0; status == LCKV_OK && at < input.length;) {
        size_t part = normal_form_part(input.bytes + at, input.length - at);
        at += part;
        if (part == 1) /* ASCII stays as it is */
            continue;
        status = copy(n, at - part);
        if (status == LCKV_OK)
            status = normal_form_append(step->form, input.bytes + at - part, part, &n->points,
                                        n->output);
        if (status == LCKV_OK)
            status = pass(n, part);
    }
    return status == LCKV_OK ? copy(n, input.length) : status;
}

/* Changes characters one by one: to lower case, or to nothing if they are combining marks. */
static lckv_status run_characters(struct normalizing *n, const struct normalizer_step *step)
{
    struct text input = n->input;
    lckv_status status = LCKV_OK;
    size_t n_bytes;
    for (size_t at = 0; status == LCKV_OK && at < input.length; at += n_bytes) {
        char bytes[UNICODE_MAX_LOWER];
        int32_t character = unicode_character(input.bytes + at, input.length - at, &n_bytes);
        size_t length = n_bytes;
        memcpy(bytes, input.bytes + at, n_bytes);
        if (step->kind == NORMALIZER_LOWERCASE)
            length = unicode_lower(character, bytes);
        else if (unicode_is_mark(character))
            length = 0;
        if (length == n_bytes && memcmp(bytes, input.bytes + at, n_bytes) == 0)
            continue;
        n->has_moved = n->has_moved || (length == 0 && n->at == at && n->output->length == 0);
        status = copy(n, at);
        if (status == LCKV_OK)
            status = replace(n, n_bytes, bytes, length);
    }
    return status == LCKV_OK ? copy(n, input.length) : status;
}

static lckv_status run_strip(struct normalizing *n, const struct normalizer_step *step)
{
    struct text input = n->input;
    size_t begin = step->at_start ? unicode_space_at_start(input.bytes, input.length) : 0;
    size_t end = input.length;
    if (step->at_end && begin < end)
        end -= unicode_space_at_end(input.bytes, input.length);
    n->has_moved = n->has_moved || begin > 0;
    lckv_status status = pass(n, begin);
    if (status == LCKV_OK)
        status = copy(n, end);
    return status == LCKV_OK ? pass(n, input.length - end) : status;
}

/*
 * Whether a content in the place of the first `end` bytes is no longer the first character: as in
 * Hugging Face's tokenizers it stands for the last one that it replaces.
 */
static bool moves(struct text input, size_t end, struct text content)
{
    return end > 0 && (content.length == 0 || utf8_character(input.bytes, input.length) < end);
}

static lckv_status run_replace(struct normalizing *n, const struct normalizer_step *step)
{
    struct matcher_search search = matcher_search(&step->pattern, n->input);
    for (;;) {
        bool found;
        lckv_status status = matcher_next(n->matcher, &search, &found);
        if (status == LCKV_OK)
            status = copy(n, found ? search.begin : n->input.length);
        if (status == LCKV_OK && found && n->output->length == 0)
            n->has_moved = n->has_moved || moves(n->input, search.end, step->content);
        if (status == LCKV_OK && found)
            status =
                replace(n, search.end - search.begin, step->content.bytes, step->content.length);
        if (status != LCKV_OK || !found)
            return status;
    }
}

static lckv_status run_prepend(struct normalizing *n, const struct normalizer_step *step)
{
    lckv_status status = replace(n, 0, step->content.bytes, step->content.length);
    return status == LCKV_OK ? copy(n, n->input.length) : status;
}

static lckv_status run_rules(struct normalizing *n, const struct normalizer_step *step)
{
    struct text input = n->input, made = {"", 0};
    lckv_status status = LCKV_OK;
    for (size_t at = 0; status == LCKV_OK && at < input.length;) {
        const size_t length =
            charsmap_find(&step->rules, input.bytes + at, input.length - at, &made);
        if (length > 0)
            status = copy(n, at);
        if (status == LCKV_OK && length > 0)
            status = replace(n, length, made.bytes, made.length);
        at += length > 0 ? length : utf8_character(input.bytes + at, input.length - at);
    }
    return status == LCKV_OK ? copy(n, input.length) : status;
}

static lckv_status run_repair(struct normalizing *n)
{
    static const char replacement[] = "\xEF\xBF\xBD"; /* U+FFFD */
    struct text input = n->input;
    lckv_status status = LCKV_OK;
    while (status == LCKV_OK && n->at < input.length) {
        const size_t valid = utf8_valid_run(input.bytes + n->at, input.length - n->at);
        status = copy(n, n->at + valid);
        size_t invalid = utf8_invalid_run(input.bytes + n->at, input.length - n->at);
        for (; status == LCKV_OK && invalid > 0; invalid--)
            status = replace(n, 1, replacement, sizeof replacement - 1);
    }
    return status;
}

static lckv_status run_step(struct normalizing *n, const struct normalizer_step *step)
{
    if (n->input.length == 0)
        return pass(n, 0);
    switch (step->kind) {
    case NORMALIZER_FORM:
        return run_form(n, step);
    case NORMALIZER_STRIP:
        return run_strip(n, step);
    case NORMALIZER_REPLACE:
        return run_replace(n, step);
    case NORMALIZER_PREPEND:
        return run_prepend(n, step);
    case NORMALIZER_PRECOMPILED:
        return run_rules(n, step);
    case NORMALIZER_REPAIR:
        return run_repair(n);
    default:
        return run_characters(n, step);
    }
}

lckv_status normalizing_run(struct normalizing *normalizing, struct text text, size_t *marks,
                            size_t n_marks, struct text *result)
{
    const struct normalizer *normalizer = normalizing->normalizer;
    size_t limit = NORMALIZER_FREE_BYTES + text.length * NORMALIZER_MAX_GROWTH;
    *result = text;
    normalizing->has_moved = false;
    for (size_t i = 0; i < normalizer->n_steps; i++) {
        struct text_buffer *output = &normalizing->buffers[i % 2];
        output->length = 0;
        normalizing->input = *result;
        normalizing->at = normalizing->next_mark = 0;
        normalizing->limit = limit;
        normalizing->output = output;
        normalizing->marks = marks;
        normalizing->n_marks = n_marks;
        lckv_status status = run_step(normalizing, &normalizer->steps[i]);
        if (status != LCKV_OK)
            return status;
        *result = text_buffer_text(output);
    }
    return LCKV_OK;
}
