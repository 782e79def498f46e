/*
 * Byte-pair encoding with a heap of candidates over a linked list of symbols. A word of n bytes
 * takes O(n log n), so that even a megabyte without a space does no harm.
 */
#include "text/bpe.h"

#include "base/status.h"
#include "text/bpe_symbols.h"
#include "text/byte_level.h"
#include "text/tokenizer.h"

#include <inttypes.h>
#include <string.h>

lckv_status bpe_init(struct bpe *bpe, const struct vocabulary *vocabulary, uint64_t max_merges)
{
    if (max_merges > TOKENIZER_MAX_TOKENS)
        return fail(LCKV_BAD_FORMAT, "%" PRIu64 " merges, expected at most %u", max_merges,
                    TOKENIZER_MAX_TOKENS);
    bpe->vocabulary = vocabulary;
    bpe->unknown = -1;
    lckv_status status = arena_alloc(vocabulary->arena, (size_t)max_merges, sizeof bpe->merges[0],
                                     "merges", &bpe->merges);
    if (status == LCKV_OK)
        status = table_init(&bpe->ranks, vocabulary->arena, (size_t)max_merges, "merges");
    if (status == LCKV_OK)
        status = arena_alloc(vocabulary->arena, vocabulary->longest_spelling + 1, 1, "a merge",
                             &bpe->joined);
    return status;
}

lckv_status bpe_add_merge(struct bpe *bpe, struct text left, struct text right, bool *known)
{
    const struct vocabulary *vocabulary = bpe->vocabulary;
    lckv_token left_token = vocabulary_find(vocabulary, left);
    lckv_token right_token = vocabulary_find(vocabulary, right);
    *known = false;
    if (left_token < 0 || right_token < 0 ||
        left.length + right.length > vocabulary->longest_spelling)
        return LCKV_OK;
    memcpy(bpe->joined, left.bytes, left.length);
    memcpy(bpe->joined + left.length, right.bytes, right.length);
    lckv_token result =
        vocabulary_find(vocabulary, (struct text){bpe->joined, left.length + right.length});
    if (result < 0)
        return LCKV_OK;

    struct bpe_merge *merge = &bpe->merges[bpe->n_merges];
    *merge = (struct bpe_merge){(uint32_t)left_token, (uint32_t)right_token, (uint32_t)result};
    bool added = false;
    lckv_status status =
        table_add(&bpe->ranks, merge, 2 * sizeof merge->left, bpe->n_merges, &added);
    if (status != LCKV_OK)
        return status;
    *known = true;
    if (!added && !bpe->last_counts)
        return LCKV_OK;
    if (!added)
        table_replace(&bpe->ranks, merge, 2 * sizeof merge->left, bpe->n_merges);
    bpe->n_merges++;
    return LCKV_OK;
}

bool bpe_uses_merge(const struct bpe *bpe, uint32_t index)
{
    uint32_t rank;
    return table_find(&bpe->ranks, &bpe->merges[index], 2 * sizeof bpe->merges[0].left, &rank) &&
           rank == index;
}

void bpe_workspace_release(struct bpe_workspace *workspace)
{
    memory_free(workspace->allocator, workspace->symbols, workspace->symbols_capacity,
                sizeof workspace->symbols[0]);
    memory_free(workspace->allocator, workspace->candidates, workspace->candidates_capacity,
                sizeof workspace->candidates[0]);
    memory_free(workspace->allocator, workspace->spelling, workspace->spelling_capacity, 1);
}

/* ---- The heap: smallest first ---- */

static lckv_status heap_push(struct bpe_workspace *workspace, uint64_t candidate)
{
    if (workspace->n_candidates == workspace->candidates_capacity) {
        lckv_status status = memory_grow(
            workspace->allocator, &workspace->candidates, &workspace->candidates_capacity,
            workspace->n_candidates + 1, sizeof candidate, "merge candidates");
        if (status != LCKV_OK)
            return status;
    }
    uint64_t *heap = workspace->candidates;
    size_t at = workspace->n_candidates++;
    for (; at > 0 && heap[(at - 1) / 2] > candidate; at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = candidate;
    return LCKV_OK;
}

static uint64_t heap_pop(struct bpe_workspace *workspace)
{
    uint64_t *heap = workspace->candidates;
    uint64_t top = heap[0];
    size_t count = --workspace->n_candidates;
    uint64_t last = heap[count];
    size_t at = 0;
    for (size_t child = 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count && heap[child + 1] < heap[child])
            child++;
        if (heap[child] >= last)
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = last;
    return top;
}

/* ---- A word ---- */

/* Looks a listed merge up. */
static bool find_rank(const struct bpe *bpe, struct bpe_symbol *left,
                      const struct bpe_symbol *right)
{
    const uint32_t pair[2] = {left->token, right->token};
    return table_find(&bpe->ranks, pair, sizeof pair, &left->urgency);
}

/* Maps scores to integers in the opposite order, none of which is BPE_NONE. */
static uint32_t urgency_of(float score)
{
    uint32_t bits;
    score += 0.0f; /* makes -0, the first score that SentencePiece gives, equal to 0 */
    memcpy(&bits, &score, sizeof bits);
    return (bits & 0x80000000u) != 0 ? bits : ~bits & 0x7FFFFFFFu;
}

/* Looks for the token that these bytes are. */
static bool find_score(const struct bpe *bpe, struct bpe_symbol *left, const char *bytes,
                       size_t length)
{
    if (length > VOCABULARY_MAX_PIECE)
        return false;
    lckv_token token = vocabulary_find_plain(bpe->vocabulary, (struct text){bytes, length});
    if (token < 0)
        return false;
    left->urgency = urgency_of((float)bpe->vocabulary->scores[token]);
    left->result = (uint32_t)token;
    return true;
}

/* If the symbol `index` and the next one can be joined, puts that on the heap. */
static lckv_status consider(const struct bpe *bpe, struct bpe_workspace *workspace, uint32_t index)
{
    struct bpe_symbol *symbols = workspace->symbols;
    if (index == BPE_NONE)
        return LCKV_OK;
    struct bpe_symbol *left = &symbols[index];
    uint32_t right = left->next;
    bool found = false;
    if (right != BPE_NONE && bpe->by_score)
        found = find_score(bpe, left, workspace->word.bytes + left->begin,
                           bpe_symbol_end(workspace, right) - left->begin);
    else if (right != BPE_NONE)
        found = find_rank(bpe, left, &symbols[right]);
    if (found)
        return heap_push(workspace, (uint64_t)left->urgency << 32 | index);
    left->urgency = BPE_NONE;
    return LCKV_OK;
}

static lckv_status join_symbols(const struct bpe *bpe, struct bpe_workspace *workspace)
{
    struct bpe_symbol *symbols = workspace->symbols;
    lckv_status status = LCKV_OK;
    while (status == LCKV_OK && workspace->n_candidates > 0) {
        uint64_t candidate = heap_pop(workspace);
        uint32_t index = (uint32_t)candidate;
        struct bpe_symbol *left = &symbols[index];
        /* The candidate is outdated if one of the two was joined to another symbol meanwhile. */
        if (left->urgency != candidate >> 32)
            continue;
        struct bpe_symbol *right = &symbols[left->next];
        left->token = bpe->by_score ? left->result : bpe->merges[left->urgency].result;
        left->next = right->next;
        right->urgency = BPE_NONE;
        if (left->next != BPE_NONE)
            symbols[left->next].previous = index;
        status = consider(bpe, workspace, left->previous);
        if (status == LCKV_OK)
            status = consider(bpe, workspace, index);
    }
    return status;
}

/* Puts the word as the vocabulary spells it into *spelling, which lives as long as the word. */
static lckv_status spell(const struct bpe *bpe, struct bpe_workspace *workspace, const char *word,
                         size_t length, struct text *spelling)
{
    *spelling = (struct text){word, length};
    if (bpe->characters)
        return LCKV_OK;
    lckv_status status =
        memory_grow(workspace->allocator, &workspace->spelling, &workspace->spelling_capacity,
                    length * BYTE_LEVEL_MAX, 1, "a word's spelling");
    if (status != LCKV_OK)
        return status;
    size_t spelled = 0;
    for (size_t i = 0; i < length; i++)
        spelled += byte_level_spell((uint8_t)word[i], workspace->spelling + spelled);
    *spelling = (struct text){workspace->spelling, spelled};
    return LCKV_OK;
}

/* The normal token that is the whole word, or -1. */
static lckv_status find_whole(const struct bpe *bpe, struct bpe_workspace *workspace,
                              const char *word, size_t length, lckv_token *token)
{
    const struct vocabulary *vocabulary = bpe->vocabulary;
    struct text spelling;
    *token = -1;
    if (length > vocabulary->longest_spelling)
        return LCKV_OK;
    lckv_status status = spell(bpe, workspace, word, length, &spelling);
    if (status != LCKV_OK)
        return status;
    lckv_token found = vocabulary_find(vocabulary, spelling);
    if (found >= 0 && vocabulary->tokens[found].type == LCKV_TOKEN_NORMAL)
        *token = found;
    return LCKV_OK;
}

lckv_status bpe_encode(const struct bpe *bpe, struct bpe_workspace *workspace, const char *word,
                       size_t length, struct token_list *list)
{
    lckv_status status = LCKV_OK;
    if (length == 0)
        return status;
    if (bpe->ignore_merges || (bpe->whole_newlines && word[0] == '\n')) {
        lckv_token whole;
        status = find_whole(bpe, workspace, word, length, &whole);
        if (status != LCKV_OK || whole >= 0)
            return status != LCKV_OK ? status : token_list_add(list, whole);
    }
    workspace->word = (struct text){word, length};
    status = bpe_list_symbols(bpe, workspace);
    workspace->n_candidates = 0;
    for (uint32_t i = 0; status == LCKV_OK && i < workspace->n_symbols; i++)
        status = consider(bpe, workspace, i);
    if (status == LCKV_OK)
        status = join_symbols(bpe, workspace);
    return status == LCKV_OK ? bpe_give_tokens(bpe, workspace, list) : status;
}
