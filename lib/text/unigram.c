/*
 * Viterbi's algorithm over the bytes of a text. See unigram.h.
 *
 * Sums are made in the order and with the precision of the reference, because many cuts of a text
 * have nearly the same sum: "aa" and "a" beside "a" and "aa".
 */
#include "text/unigram.h"

#include "base/status.h"
#include "base/utf8.h"

#include <math.h>

#define UNREACHED UINT32_MAX

/* SentencePiece subtracts what has been summed so far when single precision gets too coarse. */
#define RESET_THRESHOLD 100000.0f

/* The best way to a place in the text. */
struct unigram_node {
    double score;
    uint32_t begin;   /* of the last token */
    lckv_token token; /* -1: a character without one */
};

static double add(const struct unigram *unigram, double a, double b)
{
    return unigram->single ? (float)a + (float)b : a + b;
}

/* Makes the tree of the tokens that are weighed. */
static lckv_status make_tree(struct unigram *unigram, struct arena *scratch)
{
    const struct vocabulary *vocabulary = unigram->vocabulary;
    struct prefix_entry *entries;
    size_t count = 0;
    lckv_status status = arena_alloc(scratch, vocabulary->n_tokens, sizeof entries[0],
                                     "the spellings of a vocabulary", &entries);
    if (status != LCKV_OK)
        return status;
    for (uint32_t id = 0; id < vocabulary->n_tokens; id++) {
        const struct vocabulary_token *token = &vocabulary->tokens[id];
        if (vocabulary_weighs(token) && token->spelling.length > 0)
            entries[count++] = (struct prefix_entry){token->spelling, (lckv_token)id};
    }
    return prefix_tree_init(&unigram->tree, entries, count, UINT32_MAX - 1,
                            "the spellings of a vocabulary", vocabulary->arena);
}

lckv_status unigram_init(struct unigram *unigram, const struct vocabulary *vocabulary,
                         lckv_token unknown)
{
    double smallest = INFINITY;
    unigram->vocabulary = vocabulary;
    unigram->unknown = unknown;
    for (uint32_t id = 0; id < vocabulary->n_tokens; id++) {
        if (vocabulary->tokens[id].type == LCKV_TOKEN_NORMAL)
            smallest = fmin(smallest, vocabulary->scores[id]);
    }
    unigram->unknown_score = add(unigram, isinf(smallest) ? 0 : smallest, -UNIGRAM_UNKNOWN_PENALTY);
    lckv_status status = vocabulary_check_pieces(vocabulary);
    if (status != LCKV_OK)
        return status;
    struct arena scratch;
    arena_init(&scratch, &vocabulary->arena->allocator);
    status = make_tree(unigram, &scratch);
    arena_release(&scratch);
    return status;
}

void unigram_workspace_release(struct unigram_workspace *workspace)
{
    memory_free(workspace->allocator, workspace->nodes, workspace->capacity,
                sizeof workspace->nodes[0]);
}

/* The score of a user-defined token grows with its length, so that it is nearly always taken. */
static double score_of(const struct unigram *unigram, lckv_token token, size_t length)
{
    const struct vocabulary *vocabulary = unigram->vocabulary;
    if (vocabulary->tokens[token].type != LCKV_TOKEN_USER_DEFINED)
        return vocabulary->scores[token];
    return (float)(0.1 * (double)(length - 1));
}

/* Takes this way to `node` if it is better than the best one so far. */
static void reach(struct unigram_node *node, double score, uint32_t begin, lckv_token token)
{
    if (node->begin == UNREACHED || score > node->score)
        *node = (struct unigram_node){score, begin, token};
}

/* Goes on from a place by all tokens that begin there. Returns the farthest end. */
static size_t go_on(const struct unigram *unigram, struct unigram_node *nodes, const char *text,
                    size_t length, size_t begin, size_t character)
{
    const struct prefix_tree *tree = &unigram->tree;
    double so_far = nodes[begin].score;
    bool is_token = false; /* the first character */
    size_t farthest = begin;
    uint32_t at = tree->roots[(uint8_t)text[begin]];
    for (size_t end = begin + 1; at != 0; end++) {
        lckv_token token = tree->nodes[at].token;
        if (token >= 0) {
            double score = add(unigram, score_of(unigram, token, end - begin), so_far);
            reach(&nodes[end], score, (uint32_t)begin, token);
            is_token = is_token || end == begin + character;
            farthest = end;
        }
        at = end < length ? prefix_tree_next(tree, at, (uint8_t)text[end]) : 0;
    }
    if (is_token)
        return farthest;
    reach(&nodes[begin + character], add(unigram, unigram->unknown_score, so_far), (uint32_t)begin,
          -1);
    return farthest > begin + character ? farthest : begin + character;
}

/* Lets the sum at `begin` be 0. */
static void reset(struct unigram_node *nodes, size_t begin, size_t farthest)
{
    float offset = (float)nodes[begin].score;
    for (size_t i = begin; i <= farthest; i++) {
        if (i == begin || nodes[i].begin != UNREACHED)
            nodes[i].score = (float)nodes[i].score - offset;
    }
}

static void find_best(const struct unigram *unigram, struct unigram_node *nodes, const char *text,
                      size_t length)
{
    size_t farthest = 0, character;
    for (size_t i = 0; i <= length; i++)
        nodes[i] = (struct unigram_node){0, UNREACHED, -1};
    for (size_t at = 0; at < length; at += character) {
        character = utf8_character(text + at, length - at);
        character = character > 0 ? character : 1;
        if (unigram->single && fabs(nodes[at].score) > RESET_THRESHOLD)
            reset(nodes, at, farthest);
        size_t end = go_on(unigram, nodes, text, length, at, character);
        farthest = end > farthest ? end : farthest;
    }
}

/* Links the tokens of the best way forwards: `begin` becomes the end of the token behind. */
static void turn_round(struct unigram_node *nodes, size_t length)
{
    uint32_t end = (uint32_t)length, next = UNREACHED;
    while (end > 0) {
        uint32_t begin = nodes[end].begin;
        nodes[end].begin = next;
        next = end;
        end = begin;
    }
    nodes[0].begin = next;
}

lckv_status unigram_encode(const struct unigram *unigram, struct unigram_workspace *workspace,
                           const char *text, size_t length, struct token_list *list)
{
    if (length == 0)
        return LCKV_OK;
    lckv_status status = memory_grow(workspace->allocator, &workspace->nodes, &workspace->capacity,
                                     length + 1, sizeof workspace->nodes[0], "a text's best cuts");
    if (status != LCKV_OK)
        return status;
    struct unigram_node *nodes = workspace->nodes;
    find_best(unigram, nodes, text, length);
    turn_round(nodes, length);
    bool was_unknown = false;
    for (uint32_t begin = 0, end; status == LCKV_OK && begin < length; begin = end) {
        end = nodes[begin].begin;
        if (nodes[end].token < 0) {
            status = vocabulary_give_unknown(unigram->vocabulary,
                                             (struct text){text + begin, end - begin},
                                             unigram->unknown, &was_unknown, list);
            continue;
        }
        was_unknown = false;
        status = token_list_add(list, nodes[end].token);
    }
    return status;
}
