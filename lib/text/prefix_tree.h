/*
 * A prefix tree over the spellings of the tokens that are weighed (vocabulary.h): it tells which of
 * them begin at a place in a text, a byte at a time.
 */
#ifndef LCKV_TEXT_PREFIX_TREE_H
#define LCKV_TEXT_PREFIX_TREE_H

#include "base/checked.h"
#include "text/vocabulary.h"

struct prefix_node {
    uint32_t first_child; /* its children end where those of the next node begin */
    int32_t token;        /* that ends here, or -1 */
    uint8_t byte;         /* that leads here from the parent */
};

struct prefix_tree {
    struct prefix_node *nodes; /* by depth, so that children lie together; one more at the end */
    uint32_t roots[256];       /* the node after one byte; 0: none */
};

/* Of tokens with one spelling the first counts. The tree lies in the vocabulary's arena. */
CHECKED lckv_status prefix_tree_init(struct prefix_tree *tree, const struct vocabulary *vocabulary);

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
