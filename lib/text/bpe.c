/*
 * Byte-pair encoding with a heap of candidates over a linked list of symbols. A word of n bytes
 * takes O(n log n), so that even a megabyte without a space does no harm.
 */
#include "text/bpe.h"

#include "base/status.h"
#include "text/byte_level.h"
#include "text/tokenizer.h"

#include <inttypes.h>
#include <string.h>

/*
 * Stands for a neighbour that does not exist, and for the token of a symbol that has none: one that
 * was joined to its left neighbour, or a byte without a token, which gives nothing but keeps its
 * neighbours apart.
 */
#define NONE UINT32_MAX

struct bpe_symbol {
    uint32_t token;
    uint32_t previous, next;
};

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

lckv_status token_list_add(struct token_list *list, lckv_token token)
{
    if (list->count == list->capacity) {
        lckv_status status = memory_grow(list->allocator, &list->tokens, &list->capacity,
                                         list->count + 1, sizeof token, "tokens");
        if (status != LCKV_OK)
            return status;
    }
    list->tokens[list->count++] = token;
    return LCKV_OK;
}

void token_list_release(struct token_list *list)
{
    memory_free(list->allocator, list->tokens, list->capacity, sizeof list->tokens[0]);
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

/* If the symbol at `left` and its right neighbour can be merged, puts that merge on the heap. */
static lckv_status consider(const struct bpe *bpe, struct bpe_workspace *workspace, uint32_t left)
{
    const struct bpe_symbol *symbols = workspace->symbols;
    if (left == NONE || symbols[left].next == NONE)
        return LCKV_OK;
    const uint32_t pair[2] = {symbols[left].token, symbols[symbols[left].next].token};
    uint32_t rank;
    if (!table_find(&bpe->ranks, pair, sizeof pair, &rank))
        return LCKV_OK;
    return heap_push(workspace, (uint64_t)rank << 32 | left);
}

static lckv_status merge_symbols(const struct bpe *bpe, struct bpe_workspace *workspace)
{
    struct bpe_symbol *symbols = workspace->symbols;
    lckv_status status = LCKV_OK;
    while (status == LCKV_OK && workspace->n_candidates > 0) {
        uint64_t candidate = heap_pop(workspace);
        const struct bpe_merge *merge = &bpe->merges[candidate >> 32];
        uint32_t left = (uint32_t)candidate;
        uint32_t right = symbols[left].next;
        /* The candidate is outdated if one of the two was joined to another symbol meanwhile. */
        if (symbols[left].token != merge->left || right == NONE ||
            symbols[right].token != merge->right)
            continue;
        symbols[left].token = merge->result;
        symbols[left].next = symbols[right].next;
        symbols[right].token = NONE;
        if (symbols[left].next != NONE)
            symbols[symbols[left].next].previous = left;
        status = consider(bpe, workspace, symbols[left].previous);
        if (status == LCKV_OK)
            status = consider(bpe, workspace, left);
    }
    return status;
}

/* The normal token that is the whole word, or -1. */
static lckv_status find_whole(const struct bpe *bpe, struct bpe_workspace *workspace,
                              const char *word, size_t length, lckv_token *token)
{
    const struct vocabulary *vocabulary = bpe->vocabulary;
    *token = -1;
    if (length > vocabulary->longest_spelling)
        return LCKV_OK;
    lckv_status status =
        memory_grow(workspace->allocator, &workspace->spelling, &workspace->spelling_capacity,
                    length * BYTE_LEVEL_MAX, 1, "a word's spelling");
    if (status != LCKV_OK)
        return status;
    size_t spelled = 0;
    for (size_t i = 0; i < length; i++)
        spelled += byte_level_spell((uint8_t)word[i], workspace->spelling + spelled);
    lckv_token found = vocabulary_find(vocabulary, (struct text){workspace->spelling, spelled});
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
    if (bpe->ignore_merges) {
        lckv_token whole;
        status = find_whole(bpe, workspace, word, length, &whole);
        if (status != LCKV_OK || whole >= 0)
            return status != LCKV_OK ? status : token_list_add(list, whole);
    }
    status = memory_grow(workspace->allocator, &workspace->symbols, &workspace->symbols_capacity,
                         length, sizeof workspace->symbols[0], "a word's symbols");
    if (status != LCKV_OK)
        return status;
    struct bpe_symbol *symbols = workspace->symbols;
    uint32_t count = (uint32_t)length;
    for (uint32_t i = 0; i < count; i++) {
        lckv_token token = bpe->vocabulary->bytes[(uint8_t)word[i]];
        uint32_t symbol = token >= 0 ? (uint32_t)token : NONE;
        if (token < 0 && bpe->unknown >= 0)
            symbol = (uint32_t)bpe->unknown;
        symbols[i] = (struct bpe_symbol){symbol, i - 1, i + 1};
    }
    symbols[0].previous = NONE;
    symbols[count - 1].next = NONE;

    workspace->n_candidates = 0;
    for (uint32_t i = 0; status == LCKV_OK && i < count; i++)
        status = consider(bpe, workspace, i);
    if (status == LCKV_OK)
        status = merge_symbols(bpe, workspace);
    for (uint32_t i = 0; status == LCKV_OK && i != NONE; i = symbols[i].next) {
        if (symbols[i].token != NONE)
            status = token_list_add(list, (lckv_token)symbols[i].token);
    }
    return status;
}
