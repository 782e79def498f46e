/*
 * Candidates: the tokens that can still be chosen, with their weights, and the filters that remove
 * some. Nothing here sorts the whole vocabulary unless the answer needs it; then the time is linear
 * in its size.
 *
 * Candidates are ordered by logit, higher first; among equal logits by id, lower first. Ids differ,
 * so the order is strict and every result is unique. Functions expect ids to ascend among equal
 * logits. `spare` has room for as many candidates as are given, and its content does not matter.
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

/* Sets the weights; temperature > 0. */
void candidates_weigh(const struct kernels *kernels, struct candidate *candidates, size_t n,
                      float largest, float temperature);

/*
 * Keeps, in order, the fewest best candidates whose weights add up to `top_p` of the whole. Returns
 * their number, which is at least one.
 */
size_t candidates_top_p(struct candidate *candidates, struct candidate *spare, size_t n,
                        float top_p);

/*
 * Keeps candidates with at least `min_p` times the best one's weight. Returns their number, at
 * least one.
 */
size_t candidates_min_p(struct candidate *candidates, size_t n, float min_p);

/* The candidate in whose share of the whole weight `fraction` falls, which is in [0, 1). */
lckv_token candidates_draw(const struct candidate *candidates, size_t n, double fraction);

#endif
