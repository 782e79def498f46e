/*
 * A prefix tree over texts that stand for tokens. It tells which of them begin at a place in a
 * text, a byte at a time.
 */
#ifndef LCKV_TEXT_PREFIX_TREE_H
#define LCKV_TEXT_PREFIX_TREE_H

#include "base/arena.h"
#include "base/checked.h"
#include "base/text.h"
#include "lckv.h"

/* A text of a tree, and its token. */
struct prefix_entry {
    struct text text;
    lckv_token token;
};

struct prefix_node {
    uint32_t first_child; /* its children end where those of the next node begin */
    int32_t token;        /* that ends here, or -1 */
    uint8_t byte;         /* that leads here from the parent */
};

struct prefix_tree {
    struct prefix_node *nodes; /* by depth, so that children lie together; one more at the end */
    uint32_t n_nodes;
    uint32_t roots[256]; /* the node after one byte; 0: none */
};

/*
 * Builds the tree of `count` entries, none of which is empty, and sorts these by text and token. Of
 * entries with one text the first counts. The tree lies in `arena` and needs the entries no longer.
 * Fails with LCKV_UNSUPPORTED if it had more than `most_nodes`; `what` names the entries.
 */
CHECKED lckv_status prefix_tree_init(struct prefix_tree *tree, struct prefix_entry *entries,
                                     size_t count, uint32_t most_nodes, const char *what,
                                     struct arena *arena);

/* The node that a byte leads to from `node`, or 0. From the root take roots[byte]. */
static inline uint32_t prefix_tree_next(const struct prefix_tree *tree, uint32_t node, uint8_t byte)
{
    uint32_t begin = tree->nodes[node].first_child, end = tree->nodes[node + 1].first_child;
    while (begin < end) {
        uint32_t middle = begin + (end - begin) / 2;
        if (tree->nodes[middle].byte == byte)
            return middle;
        if (tree->nodes[middle].byte < byte)
            begin = middle + 1;
        else
            end = middle;
    }
    return 0;
}

#endif
