/*
 * Finds special tokens in texts. See special_tokens.h.
 */
#include "text/special_tokens.h"

#include "text/unicode.h"

/* So many bytes of a text, or those of the longest token if it is longer, are read at a time. */
#define BLOCK 65536

uint32_t special_tokens_next(const struct special_tokens *specials, uint32_t state, uint8_t byte)
{
    for (; state != 0; state = specials->states[state].fallback) {
        uint32_t child = prefix_tree_next(&specials->tree, state, byte);
        if (child != 0)
            return child;
    }
    return specials->tree.roots[byte];
}

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
    return memory_alloc(allocator, finder->capacity, sizeof finder->states[0],
                        "the special tokens of a text", &finder->states);
}

void special_finder_release(struct special_finder *finder)
{
    memory_free(finder->allocator, finder->states, finder->capacity, sizeof finder->states[0]);
}

/* Finds the state at each byte of the block that starts at finder->at. */
static void read_block(struct special_finder *finder)
{
    const struct special_tokens *specials = finder->specials;
    size_t begin = finder->at, rest = finder->length - begin;
    size_t length = rest < finder->capacity ? rest : finder->capacity;
    size_t seen = rest - length < specials->longest ? rest : length + specials->longest;
    uint32_t state = 0;
    for (size_t i = seen; i-- > 0;) {
        state = special_tokens_next(specials, state, (uint8_t)finder->text[begin + i]);
        if (i < length)
            finder->states[i] = specials->states[state].token[finder->controls] >= 0 ? state : 0;
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
        const uint32_t at = finder->states[finder->at - finder->block_begin];
        if (at == 0) {
            finder->at++;
            continue;
        }
        const struct special_state *state = &finder->specials->states[at];
        const lckv_token id = state->token[finder->controls];
        const uint32_t flags = finder->specials->vocabulary->tokens[id].flags;
        *match =
            (struct special_match){finder->at, finder->at + state->length[finder->controls], id};
        finder->at = match->end;
        if (take_surroundings(finder, flags, match)) {
            finder->taken = match->end;
            return true;
        }
    }
    return false;
}
