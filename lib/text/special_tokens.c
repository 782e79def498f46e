/*
 * Builds the automaton for special tokens. See special_tokens.h.
 */
#include "text/special_tokens.h"

#include "base/status.h"
#include "format/order.h"

#include <string.h>

/* The text of a special token, reversed. */
struct ending {
    struct text text;
    lckv_token id;
    bool control;
};

/* The endings [begin, end) of a state, which all begin with its `depth` bytes. */
struct span {
    uint32_t begin, end;
    uint32_t depth;
};

struct building {
    struct special_tokens *specials;
    struct normalizing *normalizing;
    struct ending *endings; /* sorted by text, then by id */
    struct span *spans;     /* of each state */
    uint32_t n_states;
};

static int compare(const void *a, const void *b)
{
    const struct ending *left = a, *right = b;
    int order = text_compare(left->text, right->text);
    return order != 0 ? order : (left->id > right->id) - (left->id < right->id);
}

static bool is_special(const struct special_tokens *specials, const struct vocabulary_token *token)
{
    return token->spelling.length > 0 && (token->flags & TOKEN_WEIGHED) == 0 &&
           ((token->flags & TOKEN_NORMALIZED) != 0) == specials->normalized &&
           vocabulary_is_special(token->type);
}

static lckv_status reverse(struct arena *scratch, struct text text, struct text *reversed)
{
    char *bytes;
    lckv_status status = arena_alloc(scratch, text.length, 1, "special tokens", &bytes);
    for (size_t i = 0; status == LCKV_OK && i < text.length; i++)
        bytes[i] = text.bytes[text.length - 1 - i];
    *reversed = (struct text){bytes, text.length};
    return status;
}

/* Normalises the text of a token, if there is a normaliser. */
static lckv_status normalise(struct building *building, struct text *text, size_t *total)
{
    if (building->normalizing == NULL)
        return LCKV_OK;
    lckv_status status = normalizing_run(building->normalizing, *text, NULL, 0, text);
    *total += text->length;
    if (status == LCKV_OK && *total > SPECIAL_TOKENS_MAX_STATES)
        return fail(LCKV_UNSUPPORTED, "normalized tokens of more than %u bytes in all",
                    SPECIAL_TOKENS_MAX_STATES);
    return status;
}

/* Of normalized tokens whose texts have become the same, the first counts. */
static lckv_status list_endings(struct building *building, struct arena *scratch, size_t *count)
{
    struct special_tokens *specials = building->specials;
    const struct vocabulary *vocabulary = specials->vocabulary;
    size_t n_specials = 0, length = 0, total = 0;
    for (uint32_t id = 0; id < vocabulary->n_tokens; id++) {
        if (is_special(specials, &vocabulary->tokens[id])) {
            n_specials++;
            length += vocabulary->tokens[id].spelling.length;
        }
    }
    if (building->normalizing != NULL)
        matcher_allow(building->normalizing->matcher, length);
    lckv_status status = arena_alloc(scratch, n_specials, sizeof building->endings[0],
                                     "special tokens", &building->endings);
    *count = 0;
    for (uint32_t id = 0; status == LCKV_OK && id < vocabulary->n_tokens; id++) {
        const struct vocabulary_token *token = &vocabulary->tokens[id];
        if (!is_special(specials, token))
            continue;
        struct text text = token->spelling;
        status = normalise(building, &text, &total);
        if (status != LCKV_OK || text.length == 0)
            continue;
        struct ending *ending = &building->endings[(*count)++];
        ending->id = (lckv_token)id;
        ending->control = token->type != LCKV_TOKEN_USER_DEFINED;
        if (text.length > specials->longest)
            specials->longest = text.length;
        status = reverse(scratch, text, &ending->text);
    }
    if (status == LCKV_OK)
        order_sort(building->endings, *count, sizeof building->endings[0], compare);
    return status;
}

static lckv_status list_entries(const struct building *building, size_t count)
{
    struct special_tokens *specials = building->specials;
    lckv_status status =
        arena_alloc(specials->vocabulary->arena, count, sizeof specials->entries[0],
                    "special tokens", &specials->entries);
    for (size_t i = 0; status == LCKV_OK && i < count; i++)
        specials->entries[i] = (struct special_entry){building->endings[i].id,
                                                      (uint32_t)building->endings[i].text.length};
    return status;
}

/* Counts one state for no text, and one for each beginning that no ending before it has. */
static lckv_status count_states(const struct ending *endings, size_t count, size_t *n_states)
{
    *n_states = 1;
    for (size_t i = 0; i < count; i++) {
        size_t shared = 0, length = endings[i].text.length;
        while (i > 0 && shared < length && shared < endings[i - 1].text.length &&
               endings[i].text.bytes[shared] == endings[i - 1].text.bytes[shared])
            shared++;
        *n_states += length - shared;
        if (*n_states > SPECIAL_TOKENS_MAX_STATES)
            return fail(LCKV_UNSUPPORTED, "special tokens of more than %u bytes in all",
                        SPECIAL_TOKENS_MAX_STATES);
    }
    return LCKV_OK;
}

/* The end of the endings from `begin` on that agree in the next byte, by binary search. */
static uint32_t group_end(const struct building *building, struct span span, uint32_t begin)
{
    uint8_t byte = (uint8_t)building->endings[begin].text.bytes[span.depth];
    uint32_t end = span.end;
    for (uint32_t low = begin + 1; low < end;) {
        uint32_t middle = low + (end - low) / 2;
        if ((uint8_t)building->endings[middle].text.bytes[span.depth] == byte)
            low = middle + 1;
        else
            end = middle;
    }
    return end;
}

/*
 * Sets the tokens of a state and makes its children. All states before it are finished, and its
 * fallback is known.
 */
static void finish_state(struct building *building, uint32_t state)
{
    struct special_tokens *specials = building->specials;
    struct special_state *states = specials->states;
    struct span span = building->spans[state];
    const struct special_state *fallback = &states[states[state].fallback];
    int32_t entry[2] = {-1, -1};
    uint32_t begin = span.begin;
    for (; begin < span.end && building->endings[begin].text.length == span.depth; begin++) {
        entry[1] = entry[1] < 0 ? (int32_t)begin : entry[1];
        if (!building->endings[begin].control && entry[0] < 0)
            entry[0] = (int32_t)begin;
    }
    for (int i = 0; i < 2; i++)
        states[state].entry[i] = entry[i] >= 0 || state == 0 ? entry[i] : fallback->entry[i];

    states[state].first_child = building->n_states;
    while (begin < span.end) {
        uint32_t end = group_end(building, span, begin), child = building->n_states++;
        uint8_t byte = (uint8_t)building->endings[begin].text.bytes[span.depth];
        states[child].byte = byte;
        states[child].fallback =
            state == 0 ? 0 : special_tokens_next(specials, states[state].fallback, byte);
        building->spans[child] = (struct span){begin, end, span.depth + 1};
        if (state == 0)
            specials->roots[byte] = child;
        begin = end;
    }
    states[state + 1].first_child = building->n_states;
}

static lckv_status build(struct building *building, struct arena *scratch)
{
    struct special_tokens *specials = building->specials;
    size_t count = 0, n_states = 0;
    lckv_status status = list_endings(building, scratch, &count);
    if (status == LCKV_OK)
        status = count_states(building->endings, count, &n_states);
    if (status == LCKV_OK)
        status = list_entries(building, count);
    if (status == LCKV_OK)
        status = arena_alloc(scratch, n_states, sizeof building->spans[0], "special tokens",
                             &building->spans);
    if (status == LCKV_OK)
        status = arena_alloc(specials->vocabulary->arena, n_states + 1, sizeof specials->states[0],
                             "special tokens", &specials->states);
    if (status != LCKV_OK)
        return status;
    building->n_states = 1;
    building->spans[0] = (struct span){0, (uint32_t)count, 0};
    for (uint32_t state = 0; state < n_states; state++)
        finish_state(building, state);
    return LCKV_OK;
}

lckv_status special_tokens_init(struct special_tokens *specials,
                                const struct vocabulary *vocabulary,
                                struct normalizing *normalizing)
{
    struct arena scratch;
    *specials =
        (struct special_tokens){.vocabulary = vocabulary, .normalized = normalizing != NULL};
    arena_init(&scratch, &vocabulary->arena->allocator);
    struct building building = {.specials = specials, .normalizing = normalizing};
    lckv_status status = build(&building, &scratch);
    arena_release(&scratch);
    return status;
}
