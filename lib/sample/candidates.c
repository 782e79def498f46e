/*
 * Ranking, filtering and drawing candidates. See candidates.h.
 */
#include "sample/candidates.h"

/* How many candidates top_p ranks at first, nearly always enough, and how the next steps grow. */
#define FIRST_STEP 256
#define STEP_FACTOR 4

#define PIECE 256 /* candidates weighed at a time */

static bool better(const struct candidate *a, const struct candidate *b)
{
    return a->logit > b->logit || (a->logit == b->logit && a->token < b->token);
}

/* Restores the heap below `root`, whose candidate may be too good. The worst one is on top. */
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
 * A heap of the k best so far with the worst of them on top: most of the others cost one
 * comparison. Taking the top away k times then leaves them best first.
 */
void candidates_rank(struct candidate *candidates, size_t n, size_t k)
{
    if (k == 0)
        return;
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

size_t candidates_top_p(struct candidate *candidates, size_t n, float top_p)
{
    double wanted = total_weight(candidates, n) * (double)top_p;
    double sum = 0.0;
    size_t ranked = 0;
    for (size_t step = FIRST_STEP; ranked < n; step *= STEP_FACTOR) {
        size_t end = step < n - ranked ? ranked + step : n;
        candidates_rank(candidates + ranked, n - ranked, end - ranked);
        for (; ranked < end; ranked++) {
            sum += candidates[ranked].weight;
            if (sum >= wanted)
                return ranked + 1;
        }
    }
    return n;
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

lckv_token candidates_draw(const struct candidate *candidates, size_t n, double unit)
{
    double wanted = total_weight(candidates, n) * unit;
    double sum = 0.0;
    for (size_t i = 0; i + 1 < n; i++) {
        sum += candidates[i].weight;
        if (sum > wanted)
            return candidates[i].token;
    }
    return candidates[n - 1].token;
}
