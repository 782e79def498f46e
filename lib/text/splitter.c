/*
 * Runs the steps of a pre-tokenizer on texts. See pretokenizer.h.
 */
#include "text/pretokenizer.h"

#include "base/status.h"
#include "text/byte_level.h"

void splitter_init(struct splitter *splitter, const struct pretokenizer *pretokenizer,
                   struct matcher *matcher, pretokenizer_function function, void *context)
{
    const lckv_allocator *allocator = &pretokenizer->arena->allocator;
    *splitter = (struct splitter){.pretokenizer = pretokenizer,
                                  .matcher = matcher,
                                  .function = function,
                                  .context = context,
                                  .prefixed.allocator = allocator,
                                  .spelled.allocator = allocator,
                                  .word.allocator = allocator};
}

void splitter_release(struct splitter *splitter)
{
    text_buffer_release(&splitter->prefixed);
    text_buffer_release(&splitter->spelled);
    text_buffer_release(&splitter->word);
}

static lckv_status run_steps(struct splitter *splitter, size_t n_done, struct text text);

/* ---- Fragments of one text ---- */

/* A match, or the text between two; or several of them that were merged. */
struct fragment {
    size_t begin, end;
    bool is_match;
};

/* The fragments that one step makes of a text. The last one may still be merged with the next. */
struct fragments {
    struct splitter *splitter;
    size_t n_done; /* steps, with this one */
    enum pretokenizer_behavior behavior;
    struct text text;
    struct fragment waiting;
    bool is_waiting;
};

static lckv_status give(struct fragments *fragments, const struct fragment *fragment)
{
    struct text text = {fragments->text.bytes + fragment->begin, fragment->end - fragment->begin};
    return text.length > 0 ? run_steps(fragments->splitter, fragments->n_done, text) : LCKV_OK;
}

/* Whether the fragment joins the one that waits. */
static bool merges(const struct fragments *fragments, const struct fragment *fragment)
{
    bool waits_match = fragments->waiting.is_match;
    switch (fragments->behavior) {
    case PRETOKENIZER_MERGED_WITH_PREVIOUS:
        return fragment->is_match && !waits_match;
    case PRETOKENIZER_MERGED_WITH_NEXT:
        return !fragment->is_match && waits_match;
    case PRETOKENIZER_CONTIGUOUS:
        return fragment->is_match == waits_match;
    default:
        return false;
    }
}

static lckv_status add_fragment(struct fragments *fragments, const struct fragment *fragment)
{
    if (fragments->behavior == PRETOKENIZER_ISOLATED)
        return give(fragments, fragment);
    if (fragments->behavior == PRETOKENIZER_REMOVED)
        return fragment->is_match ? LCKV_OK : give(fragments, fragment);
    if (fragments->is_waiting && merges(fragments, fragment)) {
        fragments->waiting.end = fragment->end;
        fragments->waiting.is_match = fragment->is_match;
        return LCKV_OK;
    }
    lckv_status status = fragments->is_waiting ? give(fragments, &fragments->waiting) : LCKV_OK;
    fragments->waiting = *fragment;
    fragments->is_waiting = true;
    return status;
}

static lckv_status split(struct splitter *splitter, size_t n_done, struct text text)
{
    const struct pretokenizer_step *step = &splitter->pretokenizer->steps[n_done];
    struct fragments fragments = {splitter, n_done + 1, step->behavior, text, {0, 0, false}, false};
    struct matcher_search search = matcher_search(&step->pattern, text);
    size_t end = 0; /* of the last match */
    for (;;) {
        bool found;
        lckv_status status = matcher_next(splitter->matcher, &search, &found);
        const struct fragment gap = {end, found ? search.begin : text.length, step->inverted};
        if (status == LCKV_OK && gap.end > gap.begin)
            status = add_fragment(&fragments, &gap);
        if (status == LCKV_OK && !found)
            return fragments.is_waiting ? give(&fragments, &fragments.waiting) : LCKV_OK;
        const struct fragment match = {search.begin, search.end, !step->inverted};
        if (status == LCKV_OK)
            status = add_fragment(&fragments, &match);
        if (status != LCKV_OK)
            return status;
        end = search.end;
    }
}

/* ---- Steps that change the text ---- */

static lckv_status prefix(struct splitter *splitter, size_t n_done, struct text text)
{
    if (text.bytes[0] == ' ')
        return run_steps(splitter, n_done + 1, text);
    splitter->prefixed.length = 0;
    lckv_status status = text_buffer_append(&splitter->prefixed, " ", 1);
    if (status == LCKV_OK)
        status = text_buffer_append(&splitter->prefixed, text.bytes, text.length);
    if (status != LCKV_OK)
        return status;
    return run_steps(splitter, n_done + 1, text_buffer_text(&splitter->prefixed));
}

static lckv_status spell(struct splitter *splitter, size_t n_done, struct text text)
{
    lckv_status status = LCKV_OK;
    splitter->spelled.length = 0;
    for (size_t i = 0; status == LCKV_OK && i < text.length; i++) {
        char spelling[BYTE_LEVEL_MAX];
        size_t length = byte_level_spell((uint8_t)text.bytes[i], spelling);
        status = text_buffer_append(&splitter->spelled, spelling, length);
    }
    if (status != LCKV_OK)
        return status;
    splitter->is_spelled = true;
    status = run_steps(splitter, n_done + 1, text_buffer_text(&splitter->spelled));
    splitter->is_spelled = false;
    return status;
}

/* Gives a word, as bytes. */
static lckv_status give_word(struct splitter *splitter, struct text word)
{
    if (splitter->is_spelled) {
        size_t n_bytes;
        splitter->word.length = 0;
        lckv_status status = text_buffer_append(&splitter->word, word.bytes, word.length);
        if (status != LCKV_OK)
            return status;
        if (!byte_level_bytes(word.bytes, word.length, splitter->word.bytes, &n_bytes))
            return fail(LCKV_INTERNAL, "a pre-tokenizer left its alphabet");
        word = (struct text){splitter->word.bytes, n_bytes};
    }
    return splitter->function(splitter->context, word.bytes, word.length);
}

static lckv_status run_steps(struct splitter *splitter, size_t n_done, struct text text)
{
    if (n_done == splitter->pretokenizer->n_steps)
        return give_word(splitter, text);
    switch (splitter->pretokenizer->steps[n_done].behavior) {
    case PRETOKENIZER_PREFIX:
        return prefix(splitter, n_done, text);
    case PRETOKENIZER_SPELL:
        return spell(splitter, n_done, text);
    default:
        return split(splitter, n_done, text);
    }
}

lckv_status splitter_run(struct splitter *splitter, const char *text, size_t length)
{
    return length > 0 ? run_steps(splitter, 0, (struct text){text, length}) : LCKV_OK;
}
