/*
 * Candidates: the tokens that are still in the race, with their weights, and the filters that thin
 * them out. Nothing here sorts the whole vocabulary unless the answer needs it, and then in a time
 * that is linear in its size.
 *
 * Candidates are ordered by logit, higher first, and by id, lower first, among equals. Ids differ,
 * so that the order is strict and every result is unique. Where they go in, ids ascend among equal
 * logits. `spare` has room for as many candidates as go in, and keeps nothing.
 */
#ifndef LCKV_SAMPLE_CANDIDATES_H
#define LCKV_SAMPLE_CANDIDATES_H

#include "kernels/kernels.h"

struct candidate {
    double weight; /* exp((logit - largest logit) / temperature): 1 for the best, never 0 */
    float logit;
    lckv_token token;
};

/* Moves the `k` best to the front, in order; k <= n. */
void candidates_rank(struct candidate *candidates, struct candidate *spare, size_t n, size_t k);

/* Sets the weights. Temperature > 0. */
void candidates_weigh(const struct kernels *kernels, struct candidate *candidates, size_t n,
                      float largest, float temperature);

/*
 * Keeps, in order, the fewest best candidates whose weights add up to `top_p` of the whole. Returns
 * their number, at least one.
 */
size_t candidates_top_p(struct candidate *candidates, struct candidate *spare, size_t n,
                        float top_p);

/* Keeps those of at least `min_p` times the best one's weight. Returns how many, at least one. */
size_t candidates_min_p(struct candidate *candidates, size_t n, float min_p);

/* The candidate in whose share of the whole `fraction`, in [0, 1), falls. */
lckv_token candidates_draw(const struct candidate *candidates, size_t n, double fraction);

#endif
