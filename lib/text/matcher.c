/*
 * Runs patterns with PCRE2, without its JIT compiler. See matcher.h.
 */
#include "text/matcher.h"

#include "base/status.h"
#include "base/utf8.h"

/*
 * The steps that the patterns may take on one text. Those of known models need 5 to 15 steps for
 * each byte, whatever the text.
 */
#define FREE_STEPS 1000000
#define STEPS_PER_BYTE 256

/* Limits of one match, so that nesting cannot grow with the text. */
#define MATCH_MAX_DEPTH 100000u
#define MATCH_MAX_HEAP_KIB 32768u

/* A repeat of at least n characters may fail after n - 1 of them, for which there is no callout. */
#define REPEATS_PER_STEP 8

/* Ends the match when the text has used up its steps. */
static int count_steps(pcre2_callout_block *block, void *user)
{
    struct matcher *matcher = user;
    size_t passed = block->current_position > matcher->position
                        ? block->current_position - matcher->position
                        : 0;
    uint64_t cost = matcher->cost + passed;
    matcher->position = block->current_position;
    if (cost > matcher->steps_left)
        return PCRE2_ERROR_CALLOUT;
    matcher->steps_left -= cost;
    return 0;
}

lckv_status matcher_init(struct matcher *matcher, pcre2_general_context *memory)
{
    *matcher = (struct matcher){.match = pcre2_match_data_create(1, memory),
                                .limits = pcre2_match_context_create(memory)};
    if (matcher->match != NULL && matcher->limits != NULL) {
        pcre2_set_depth_limit(matcher->limits, MATCH_MAX_DEPTH);
        pcre2_set_heap_limit(matcher->limits, MATCH_MAX_HEAP_KIB);
        pcre2_set_match_limit(matcher->limits, UINT32_MAX);
        pcre2_set_callout(matcher->limits, count_steps, matcher);
        return LCKV_OK;
    }
    matcher_release(matcher);
    return fail(LCKV_OUT_OF_MEMORY, "out of memory for matching patterns");
}

void matcher_release(struct matcher *matcher)
{
    pcre2_match_data_free(matcher->match);
    pcre2_match_context_free(matcher->limits);
    matcher->match = NULL;
    matcher->limits = NULL;
}

void matcher_allow(struct matcher *matcher, size_t length)
{
    matcher->steps_left = FREE_STEPS + (uint64_t)length * STEPS_PER_BYTE;
}

static lckv_status match_failed(int error, const struct pattern *pattern)
{
    struct quoted text = quoted(pattern->text.bytes, pattern->text.length);
    switch (error) {
    case PCRE2_ERROR_NOMEMORY:
        return fail(LCKV_OUT_OF_MEMORY, "out of memory for matching pattern %s", text.text);
    case PCRE2_ERROR_CALLOUT:
    case PCRE2_ERROR_MATCHLIMIT:
    case PCRE2_ERROR_DEPTHLIMIT:
    case PCRE2_ERROR_HEAPLIMIT:
        return fail(LCKV_UNSUPPORTED,
                    "the tokenizer's pattern %s needs too many steps or too much memory on this "
                    "text; expected a pattern whose time grows with the text's length: tokenize "
                    "shorter texts, or mend the pattern in the tokenizer",
                    text.text);
    default:
        return fail(LCKV_INTERNAL, "matching pattern %s: PCRE2 error %d", text.text, error);
    }
}

lckv_status matcher_next(struct matcher *matcher, struct matcher_search *search, bool *found)
{
    struct text text = search->text;
    *found = false;
    while (search->at <= text.length) {
        matcher->position = search->at;
        matcher->cost = 1 + search->pattern->largest_count / REPEATS_PER_STEP;
        int result = pcre2_match(search->pattern->code, (PCRE2_SPTR)text.bytes, text.length,
                                 search->at, PCRE2_NO_UTF_CHECK, matcher->match, matcher->limits);
        if (result == PCRE2_ERROR_NOMATCH)
            search->at = text.length + 1;
        else if (result < 0)
            return match_failed(result, search->pattern);
        if (result < 0)
            break;
        const PCRE2_SIZE *offsets = pcre2_get_ovector_pointer(matcher->match);
        size_t begin = offsets[0], end = offsets[1];
        if (begin == end && end == search->end) {
            size_t next = utf8_character(text.bytes + end, text.length - end);
            search->at = end + (next > 0 ? next : 1);
            continue;
        }
        search->at = search->end = end;
        search->begin = begin;
        *found = true;
        break;
    }
    return LCKV_OK;
}
