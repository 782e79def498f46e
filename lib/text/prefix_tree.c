/*
 * Builds the prefix tree from the sorted spellings, level by level. See prefix_tree.h.
 */
#include "text/prefix_tree.h"

#include "base/status.h"
#include "format/order.h"

struct entry {
    struct text text;
    lckv_token token;
};

/* The entries [begin, end) of a node, which all begin with its `depth` bytes. */
struct span {
    uint32_t begin, end;
    uint32_t depth;
};

struct building {
    struct prefix_tree *tree;
    struct entry *entries; /* sorted by text, then by token */
    struct span *spans;    /* of each node */
    uint32_t n_nodes;
};

static int compare(const void *a, const void *b)
{
    const struct entry *left = a, *right = b;
    int order = text_compare(left->text, right->text);
    return order != 0 ? order : (left->token > right->token) - (left->token < right->token);
}

static lckv_status list_entries(struct building *building, const struct vocabulary *vocabulary,
                                struct arena *scratch, size_t *count)
{
    lckv_status status = arena_alloc(scratch, vocabulary->n_tokens, sizeof building->entries[0],
                                     "the spellings of a vocabulary", &building->entries);
    if (status != LCKV_OK)
        return status;
    *count = 0;
    for (uint32_t id = 0; id < vocabulary->n_tokens; id++) {
        const struct vocabulary_token *token = &vocabulary->tokens[id];
        if (vocabulary_weighs(token) && token->spelling.length > 0)
            building->entries[(*count)++] = (struct entry){token->spelling, (lckv_token)id};
    }
    order_sort(building->entries, *count, sizeof building->entries[0], compare);
    return LCKV_OK;
}

/* Counts one node for no text, and one for each beginning that no entry before it has. */
static size_t count_nodes(const struct entry *entries, size_t count)
{
    size_t n_nodes = 1;
    for (size_t i = 0; i < count; i++) {
        size_t shared = 0, length = entries[i].text.length;
        while (i > 0 && shared < length && shared < entries[i - 1].text.length &&
               entries[i].text.bytes[shared] == entries[i - 1].text.bytes[shared])
            shared++;
        n_nodes += length - shared;
    }
    return n_nodes;
}

/* Sets the token of a node and makes its children. All nodes before it are finished. */
static void finish_node(struct building *building, uint32_t node)
{
    struct prefix_node *nodes = building->tree->nodes;
    struct span span = building->spans[node];
    uint32_t at = span.begin;
    nodes[node].token = -1;
    for (; at < span.end && building->entries[at].text.length == span.depth; at++) {
        if (nodes[node].token < 0)
            nodes[node].token = building->entries[at].token;
    }
    nodes[node].first_child = building->n_nodes;
    while (at < span.end) {
        uint8_t byte = (uint8_t)building->entries[at].text.bytes[span.depth];
        uint32_t begin = at, child = building->n_nodes++;
        while (at < span.end && (uint8_t)building->entries[at].text.bytes[span.depth] == byte)
            at++;
        nodes[child].byte = byte;
        building->spans[child] = (struct span){begin, at, span.depth + 1};
        if (node == 0)
            building->tree->roots[byte] = child;
    }
    nodes[node + 1].first_child = building->n_nodes;
}

static lckv_status build(struct building *building, const struct vocabulary *vocabulary,
                         struct arena *scratch)
{
    size_t count = 0;
    lckv_status status = list_entries(building, vocabulary, scratch, &count);
    if (status != LCKV_OK)
        return status;
    size_t n_nodes = count_nodes(building->entries, count);
    if (n_nodes >= UINT32_MAX)
        return fail(LCKV_UNSUPPORTED, "a vocabulary of %zu bytes or more", n_nodes);
    status =
        arena_alloc(scratch, n_nodes, sizeof building->spans[0], "a prefix tree", &building->spans);
    if (status == LCKV_OK)
        status = arena_alloc(vocabulary->arena, n_nodes + 1, sizeof building->tree->nodes[0],
                             "a prefix tree", &building->tree->nodes);
    if (status != LCKV_OK)
        return status;
    building->n_nodes = 1;
    building->spans[0] = (struct span){0, (uint32_t)count, 0};
    for (uint32_t node = 0; node < n_nodes; node++)
        finish_node(building, node);
    return LCKV_OK;
}

lckv_status prefix_tree_init(struct prefix_tree *tree, const struct vocabulary *vocabulary)
{
    struct arena scratch;
    *tree = (struct prefix_tree){.nodes = NULL};
    arena_init(&scratch, &vocabulary->arena->allocator);
    struct building building = {.tree = tree};
    lckv_status status = build(&building, vocabulary, &scratch);
    arena_release(&scratch);
    return status;
}
