/*
 * Builds the automaton for special tokens and finds them in texts. See special_tokens.h.
 */
#include "text/special_tokens.h"

#include "base/status.h"
#include "format/order.h"
#include "text/unicode.h"

#include <string.h>

/* So many bytes of a text, or those of the longest token if it is longer, are read at a time. */
#define BLOCK 65536

/* ---- Building ---- */

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
    return token->text.length > 0 &&
           ((token->flags & TOKEN_NORMALIZED) != 0) == specials->normalized &&
           (token->type == LCKV_TOKEN_CONTROL || token->type == LCKV_TOKEN_USER_DEFINED ||
            token->type == LCKV_TOKEN_UNKNOWN);
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

static lckv_status list_endings(struct building *building, struct arena *scratch, size_t *count)
{
    struct special_tokens *specials = building->specials;
    const struct vocabulary *vocabulary = specials->vocabulary;
    size_t n_specials = 0;
    for (uint32_t id = 0; id < vocabulary->n_tokens; id++)
        n_specials += is_special(specials, &vocabulary->tokens[id]);
    lckv_status status = arena_alloc(scratch, n_specials, sizeof building->endings[0],
                                     "special tokens", &building->endings);
    *count = 0;
    for (uint32_t id = 0; status == LCKV_OK && id < vocabulary->n_tokens; id++) {
        const struct vocabulary_token *token = &vocabulary->tokens[id];
        if (!is_special(specials, token))
            continue;
        struct ending *ending = &building->endings[(*count)++];
        ending->id = (lckv_token)id;
        ending->control = token->type != LCKV_TOKEN_USER_DEFINED;
        if (token->text.length > specials->longest)
            specials->longest = token->text.length;
        status = reverse(scratch, token->text, &ending->text);
    }
    if (status == LCKV_OK)
        order_sort(building->endings, *count, sizeof building->endings[0], compare);
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

/* The state that a byte leads to from this one, or 0. */
static uint32_t find_child(const struct special_state *states, uint32_t state, uint8_t byte)
{
    uint32_t begin = states[state].first_child, end = states[state + 1].first_child;
    while (begin < end) {
        uint32_t middle = begin + (end - begin) / 2;
        if (states[middle].byte == byte)
            return middle;
        if (states[middle].byte < byte)
            begin = middle + 1;
        else
            end = middle;
    }
    return 0;
}

static uint32_t next_state(const struct special_tokens *specials, uint32_t state, uint8_t byte)
{
    for (; state != 0; state = specials->states[state].fallback) {
        uint32_t child = find_child(specials->states, state, byte);
        if (child != 0)
            return child;
    }
    return specials->roots[byte];
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
    int32_t token[2] = {-1, -1};
    uint32_t begin = span.begin;
    for (; begin < span.end && building->endings[begin].text.length == span.depth; begin++) {
        const struct ending *ending = &building->endings[begin];
        token[1] = token[1] < 0 ? ending->id : token[1];
        if (!ending->control && token[0] < 0)
            token[0] = ending->id;
    }
    for (int i = 0; i < 2; i++)
        states[state].token[i] = token[i] >= 0 || state == 0 ? token[i] : fallback->token[i];

    states[state].first_child = building->n_states;
    while (begin < span.end) {
        uint32_t end = group_end(building, span, begin), child = building->n_states++;
        uint8_t byte = (uint8_t)building->endings[begin].text.bytes[span.depth];
        states[child].byte = byte;
        states[child].fallback =
            state == 0 ? 0 : next_state(specials, states[state].fallback, byte);
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
                                const struct vocabulary *vocabulary, bool normalized)
{
    struct arena scratch;
    *specials = (struct special_tokens){.vocabulary = vocabulary, .normalized = normalized};
    arena_init(&scratch, &vocabulary->arena->allocator);
    struct building building = {.specials = specials};
    lckv_status status = build(&building, &scratch);
    arena_release(&scratch);
    return status;
}

/* ---- Finding ---- */

lckv_status special_finder_init(struct special_finder *finder,
                                const struct special_tokens *specials,
                                const lckv_allocator *allocator, const char *text, size_t length,
                                bool controls)
{
    size_t block = specials->longest > BLOCK ? specials->longest : BLOCK;
    *finder = (struct special_finder){.specials = specials,
                                      .allocator = allocator,
                                      .text = text,
                                      .length = length,
                                      .controls = controls};
    finder->capacity = specials->longest == 0 ? 0 : block < length ? block : length;
    return memory_alloc(allocator, finder->capacity, sizeof finder->tokens[0],
                        "the special tokens of a text", &finder->tokens);
}

void special_finder_release(struct special_finder *finder)
{
    memory_free(finder->allocator, finder->tokens, finder->capacity, sizeof finder->tokens[0]);
}

/* Finds which token begins at each byte of the block that starts at finder->at. */
static void read_block(struct special_finder *finder)
{
    const struct special_tokens *specials = finder->specials;
    size_t begin = finder->at, rest = finder->length - begin;
    size_t length = rest < finder->capacity ? rest : finder->capacity;
    size_t seen = rest - length < specials->longest ? rest : length + specials->longest;
    uint32_t state = 0;
    for (size_t i = seen; i-- > 0;) {
        state = next_state(specials, state, (uint8_t)finder->text[begin + i]);
        if (i < length)
            finder->tokens[i] = specials->states[state].token[finder->controls];
    }
    finder->block_begin = begin;
    finder->block_length = length;
}

/* The end of the white space at `begin`: looked for once, however many matches are within it. */
static size_t end_of_space(struct special_finder *finder, size_t begin)
{
    if (begin < finder->space_begin || begin >= finder->space_end) {
        finder->space_begin = begin;
        finder->space_end =
            begin + unicode_space_at_start(finder->text + begin, finder->length - begin);
    }
    return finder->space_end;
}

/*
 * False if a single-word token stands inside a word, or if the last match took all of a token that
 * begins behind white space.
 */
static bool take_surroundings(struct special_finder *finder, uint32_t flags,
                              struct special_match *match)
{
    const char *text = finder->text;
    size_t length = finder->length, from = finder->taken;
    if ((flags & TOKEN_SINGLE_WORD) != 0 &&
        (unicode_word_at_end(text, match->begin) ||
         unicode_word_at_start(text + match->end, length - match->end)))
        return false;
    if ((flags & TOKEN_STRIP_RIGHT) != 0)
        match->end = end_of_space(finder, match->end);
    if ((flags & TOKEN_STRIP_LEFT) == 0)
        return true;
    if (match->begin > from)
        match->begin -= unicode_space_at_end(text + from, match->begin - from);
    else
        match->begin = from;
    return match->begin < match->end;
}

bool special_finder_next(struct special_finder *finder, struct special_match *match)
{
    if (finder->capacity == 0)
        return false;
    while (finder->at < finder->length) {
        if (finder->at - finder->block_begin >= finder->block_length)
            read_block(finder);
        lckv_token id = finder->tokens[finder->at - finder->block_begin];
        if (id < 0) {
            finder->at++;
            continue;
        }
        const struct vocabulary_token *token = &finder->specials->vocabulary->tokens[id];
        *match = (struct special_match){finder->at, finder->at + token->text.length, id};
        finder->at = match->end;
        if (take_surroundings(finder, token->flags, match)) {
            finder->taken = match->end;
            return true;
        }
    }
    return false;
}
