/*
 * Builds the prefix tree from the sorted texts, level by level. See prefix_tree.h.
 */
#include "text/prefix_tree.h"

#include "base/status.h"
#include "format/order.h"

/* The entries [begin, end) of a node, which all begin with its `depth` bytes. */
struct span {
    uint32_t begin, end;
    uint32_t depth;
};

struct building {
    struct prefix_tree *tree;
    const struct prefix_entry *entries; /* sorted by text, then by token */
    struct span *spans;                 /* of each node */
};

static int compare(const void *a, const void *b)
{
    const struct prefix_entry *left = a, *right = b;
    int order = text_compare(left->text, right->text);
    return order != 0 ? order : (left->token > right->token) - (left->token < right->token);
}

/* Counts one node for no text, and one for each beginning that no entry before it has. */
static size_t count_nodes(const struct prefix_entry *entries, size_t count)
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

static uint8_t byte_at(const struct building *building, uint32_t entry, uint32_t depth)
{
    return (uint8_t)building->entries[entry].text.bytes[depth];
}

/* The end of the entries from `begin` on that agree in the next byte, by binary search. */
static uint32_t group_end(const struct building *building, struct span span, uint32_t begin)
{
    uint8_t byte = byte_at(building, begin, span.depth);
    uint32_t end = span.end;
    for (uint32_t low = begin + 1; low < end;) {
        uint32_t middle = low + (end - low) / 2;
        if (byte_at(building, middle, span.depth) == byte)
            low = middle + 1;
        else
            end = middle;
    }
    return end;
}

/* Sets the token of a node and makes its children. All nodes before it are finished. */
static void finish_node(struct building *building, uint32_t node)
{
    struct prefix_tree *tree = building->tree;
    const struct span span = building->spans[node];
    uint32_t begin = span.begin;
    tree->nodes[node].token = -1;
    for (; begin < span.end && building->entries[begin].text.length == span.depth; begin++) {
        if (tree->nodes[node].token < 0)
            tree->nodes[node].token = building->entries[begin].token;
    }
    tree->nodes[node].first_child = tree->n_nodes;
    while (begin < span.end) {
        const uint32_t end = group_end(building, span, begin), child = tree->n_nodes++;
        tree->nodes[child].byte = byte_at(building, begin, span.depth);
        building->spans[child] = (struct span){begin, end, span.depth + 1};
        if (node == 0)
            tree->roots[tree->nodes[child].byte] = child;
        begin = end;
    }
    tree->nodes[node + 1].first_child = tree->n_nodes;
}

static lckv_status build(struct building *building, size_t count, size_t n_nodes,
                         struct arena *arena, struct arena *scratch)
{
    struct prefix_tree *tree = building->tree;
    lckv_status status =
        arena_alloc(scratch, n_nodes, sizeof building->spans[0], "a prefix tree", &building->spans);
    if (status == LCKV_OK)
        status =
            arena_alloc(arena, n_nodes + 1, sizeof tree->nodes[0], "a prefix tree", &tree->nodes);
    if (status != LCKV_OK)
        return status;
    tree->n_nodes = 1;
    building->spans[0] = (struct span){0, (uint32_t)count, 0};
    for (uint32_t node = 0; node < n_nodes; node++)
        finish_node(building, node);
    return LCKV_OK;
}

lckv_status prefix_tree_init(struct prefix_tree *tree, struct prefix_entry *entries, size_t count,
                             uint32_t most_nodes, const char *what, struct arena *arena)
{
    struct arena scratch;
    struct building building = {.tree = tree, .entries = entries};
    *tree = (struct prefix_tree){.nodes = NULL};
    order_sort(entries, count, sizeof entries[0], compare);
    const size_t n_nodes = count_nodes(entries, count);
    if (n_nodes > most_nodes)
        return fail(LCKV_UNSUPPORTED, "%s of more than %u bytes in all", what, most_nodes);
    arena_init(&scratch, &arena->allocator);
    lckv_status status = build(&building, count, n_nodes, arena, &scratch);
    arena_release(&scratch);
    return status;
}
