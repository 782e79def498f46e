/*
 * Ranks, filters and draws candidates. See candidates.h.
 */
#include "sample/candidates.h"

#include <string.h>

/* Up to so many best candidates are found faster by a heap than by sorting all of them. */
#define MOST_BY_HEAP 1024
#define FEW 128 /* up to so many candidates are ranked by a heap in any case */

/*
 * Candidates are sorted by the 32 bits of their logits, one digit after the other from the lowest.
 */
#define DIGIT_BITS 11
#define DIGIT_VALUES (1u << DIGIT_BITS)

#define PIECE 256 /* candidates that are weighed at a time */

static bool better(const struct candidate *a, const struct candidate *b)
{
    return a->logit > b->logit || (a->logit == b->logit && a->token < b->token);
}

/*
 * Restores the heap below `root`, whose candidate may be too good for its place. The worst is on
 * top.
 */
static void sift_down(struct candidate *heap, size_t n, size_t root)
{
    struct candidate moved = heap[root];
    for (;;) {
        size_t child = 2 * root + 1;
        if (child >= n)
            break;
        if (child + 1 < n && better(&heap[child], &heap[child + 1]))
            child++;
        if (!better(&moved, &heap[child]))
            break;
        heap[root] = heap[child];
        root = child;
    }
    heap[root] = moved;
}

static void swap(struct candidate *a, struct candidate *b)
{
    struct candidate kept = *a;
    *a = *b;
    *b = kept;
}

/*
 * Keeps a heap of the k best so far with the worst of them on top, so that most of the others cost
 * one comparison. Taking the top away k times then leaves them in order, best first.
 */
static void rank_by_heap(struct candidate *candidates, size_t n, size_t k)
{
    for (size_t i = k / 2; i-- > 0;)
        sift_down(candidates, k, i);
    for (size_t i = k; i < n; i++) {
        if (better(&candidates[i], &candidates[0])) {
            swap(&candidates[i], &candidates[0]);
            sift_down(candidates, k, 0);
        }
    }
    for (size_t last = k - 1; last > 0; last--) {
        swap(&candidates[0], &candidates[last]);
        sift_down(candidates, last, 0);
    }
}

/* A number that is smaller for a higher logit, and the same for both zeros. */
static uint32_t rank_key(const struct candidate *candidate)
{
    const float logit = candidate->logit + 0.0f; /* -0 + 0 = 0 */
    uint32_t bits;
    memcpy(&bits, &logit, sizeof bits);
    return (bits & 0x80000000u) != 0 ? bits : ~(bits | 0x80000000u);
}

/* Copies the candidates, ordered by one digit of their keys. Equal ones stay in their order. */
static void order_by_digit(const struct candidate *from, struct candidate *to, size_t n,
                           unsigned shift)
{
    uint32_t next[DIGIT_VALUES] = {0}, sum = 0;
    for (size_t i = 0; i < n; i++)
        next[rank_key(&from[i]) >> shift & (DIGIT_VALUES - 1)]++;
    for (size_t digit = 0; digit < DIGIT_VALUES; digit++) {
        const uint32_t count = next[digit];
        next[digit] = sum;
        sum += count;
    }
    for (size_t i = 0; i < n; i++)
        to[next[rank_key(&from[i]) >> shift & (DIGIT_VALUES - 1)]++] = from[i];
}

/* Sorts the candidates of `spare`, whose ids ascend among equals, into `candidates`. */
static void sort_from_spare(struct candidate *candidates, struct candidate *spare, size_t n)
{
    order_by_digit(spare, candidates, n, 0);
    order_by_digit(candidates, spare, n, DIGIT_BITS);
    order_by_digit(spare, candidates, n, 2 * DIGIT_BITS);
}

void candidates_rank(struct candidate *candidates, struct candidate *spare, size_t n, size_t k)
{
    if (k == 0)
        return;
    if (k <= MOST_BY_HEAP) {
        rank_by_heap(candidates, n, k);
    } else {
        memcpy(spare, candidates, n * sizeof *candidates);
        sort_from_spare(candidates, spare, n);
    }
}

/* The test for equality keeps an infinite logit from giving inf - inf. */
void candidates_weigh(const struct kernels *kernels, struct candidate *candidates, size_t n,
                      float largest, float temperature)
{
    for (size_t begin = 0; begin < n; begin += PIECE) {
        struct candidate *piece = candidates + begin;
        size_t count = n - begin < PIECE ? n - begin : PIECE;
        float logits[PIECE];
        double weights[PIECE];
        for (size_t i = 0; i < count; i++)
            logits[i] = piece[i].logit;
        kernels->weigh(logits, count, largest, temperature, weights);
        for (size_t i = 0; i < count; i++)
            piece[i].weight = logits[i] == largest ? 1.0 : weights[i];
    }
}

/* Four sums, so that no addition waits for the one before. */
static double total_weight(const struct candidate *candidates, size_t n)
{
    double sums[4] = {0};
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        for (size_t j = 0; j < 4; j++)
            sums[j] += candidates[i + j].weight;
    }
    for (size_t j = 0; i < n; i++, j++)
        sums[j] += candidates[i].weight;
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

/*
 * Candidates below half the average share of what top_p leaves out are never needed: all of them
 * together weigh less than that. So only the others are sorted, and these are mostly few.
 */
size_t candidates_top_p(struct candidate *candidates, struct candidate *spare, size_t n,
                        float top_p)
{
    const double total = total_weight(candidates, n), wanted = total * (double)top_p;
    const double least = 0.5 * (total - wanted) / (double)n;
    double sum = 0.0;
    size_t n_likely = 0;
    for (size_t i = 0; i < n; i++) {
        spare[n_likely] = candidates[i];
        n_likely += candidates[i].weight >= least;
    }
    if (n_likely <= FEW) {
        memcpy(candidates, spare, n_likely * sizeof *candidates);
        rank_by_heap(candidates, n_likely, n_likely);
    } else {
        sort_from_spare(candidates, spare, n_likely);
    }
    for (size_t kept = 0; kept < n_likely; kept++) {
        sum += candidates[kept].weight;
        if (sum >= wanted)
            return kept + 1;
    }
    return n_likely;
}

size_t candidates_min_p(struct candidate *candidates, size_t n, float min_p)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (candidates[i].weight >= (double)min_p)
            candidates[kept++] = candidates[i];
    }
    return kept;
}

lckv_token candidates_draw(const struct candidate *candidates, size_t n, double fraction)
{
    double wanted = total_weight(candidates, n) * fraction;
    double sum = 0.0;
    for (size_t i = 0; i + 1 < n; i++) {
        sum += candidates[i].weight;
        if (sum > wanted)
            return candidates[i].token;
    }
    return candidates[n - 1].token;
}
