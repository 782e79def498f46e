/*
 * Attention over stored keys and values agrees with its definition, and what is stored is finite,
 * for every kernel set that this machine runs.
 */
#include "kernel_sets.h"
#include "kernels/kv_blocks.h"
#include "random.h"
#include "support.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { POSITIONS = 2 * KV_SEGMENT + 300, HEADS = 3, QUERIES = KV_MAX_QUERIES, STEEP = 6 };

/* Repeats a job of one query segment by segment, and merges the partials. */
static void merge_parts(const struct kernels *kernels, attend_function attend,
                        struct attend_job one)
{
    size_t head_dim = one.layout->head_dim, n_floats = attend_partial_floats(head_dim), n = 0;
    uint64_t last = *one.end, begin, end;
    float *partials = NULL, *out = *one.out, *part;
    ck_assert(posix_memalign((void **)&partials, 64, 3 * n_floats * sizeof *partials) == 0);
    const uint64_t first = *one.begin;
    one.partials = true;
    one.begin = &begin;
    one.end = &end;
    one.out = &part;
    for (uint64_t segment = first / KV_SEGMENT * KV_SEGMENT; segment < last || n == 0;
         segment += KV_SEGMENT) {
        begin = first > segment ? first : segment;
        end = last < segment + KV_SEGMENT ? last : segment + KV_SEGMENT;
        part = partials + n++ * n_floats;
        attend(&one);
    }
    memset(out, 0xff, head_dim * sizeof *out);
    kernels->attend_merge(partials, n, head_dim, one.scratch, out);
    free(partials);
}

static bool is_quantised(lckv_dtype dtype)
{
    return dtype == LCKV_DTYPE_Q8_0 || dtype == LCKV_DTYPE_Q4_0;
}

/* Whether fast precision rounds queries for these keys, or probabilities for these values. */
static bool is_rounded(const struct kernels *kernels, lckv_dtype dtype)
{
    return is_quantised(dtype) ||
           (dtype == LCKV_DTYPE_BF16 && strcmp(kernels->name, "avx512bf16") == 0);
}

/*
 * Repeats a job of one query in two calls: the first takes the first segment, and the second merges
 * what that gave with the rest.
 */
static void attend_behind(attend_function attend, struct attend_job one)
{
    const uint64_t first = *one.begin, last = *one.end;
    const uint64_t behind = (first / KV_SEGMENT + 1) * KV_SEGMENT;
    uint64_t begin = first, end = last < behind ? last : behind;
    static float before[512 + 32] __attribute__((aligned(64)));
    float *const out = *one.out, *part = before;
    one.begin = &begin;
    one.end = &end;
    one.out = &part;
    one.partials = true;
    attend(&one);
    memset(out, 0xff, one.layout->head_dim * sizeof *out);
    begin = first > behind ? first : behind;
    end = last;
    one.out = &(float *){out};
    one.partials = false;
    one.before = before;
    attend(&one);
}

/*
 * In full precision only the order of float32 sums differs from the definition. In fast precision
 * bfloat16 queries and probabilities are each off by a factor of up to 1 + 2^-9. For quantised keys
 * the numbers of a query are off by up to 1/254 of the largest of 32.
 */
static void check_attention(const struct kernels *kernels, lckv_dtype k_dtype, lckv_dtype v_dtype,
                            bool fast, uint32_t head_dim, uint32_t page_positions)
{
    struct kv_layout layout;
    ck_assert_ok(kv_layout_init(&layout, k_dtype, v_dtype, HEADS, head_dim, page_positions));
    random_seed = 7; /* so that earlier tests of this process do not matter */
    size_t n_pages = (POSITIONS + page_positions - 1) / page_positions;
    uint8_t *arena = NULL;
    uint32_t *pages = calloc(n_pages, sizeof *pages);
    float *k = malloc((size_t)POSITIONS * HEADS * head_dim * sizeof *k);
    float *v = malloc((size_t)POSITIONS * HEADS * head_dim * sizeof *v);
    ck_assert(posix_memalign((void **)&arena, 64, n_pages * layout.page_bytes + KV_SLACK) == 0);
    memset(arena, 0, n_pages * layout.page_bytes + KV_SLACK);
    for (size_t p = 0; p < n_pages; p++)
        pages[p] = (uint32_t)((n_pages - 1 - p)); /* backwards */
    for (size_t p = 0; p < POSITIONS; p++) {
        uint8_t *page = arena + pages[p / page_positions] * layout.page_bytes;
        float *kp = k + p * HEADS * head_dim, *vp = v + p * HEADS * head_dim;
        for (size_t d = 0; d < HEADS * head_dim; d++) {
            kp[d] = (float)random_uniform();
            vp[d] = (float)random_uniform();
        }
        for (uint32_t h = 0; h < HEADS; h++)
            kernels->kv_store(&layout, page, (uint32_t)(p % page_positions), h, kp + h * head_dim,
                              vp + h * head_dim);
        kv_load(&layout, page, (uint32_t)(p % page_positions), kp, vp);
    }
    static const uint64_t begins[5] = {0, 0, 40, KV_SEGMENT - 20, 7};
    static const uint64_t ends[5] = {1, POSITIONS, 700, KV_SEGMENT + 60, 7};
    uint64_t begin[QUERIES], end[QUERIES];
    for (size_t j = 0; j < QUERIES; j++) {
        begin[j] = begins[j % 5];
        end[j] = ends[j % 5];
    }
    static const uint8_t later[2 * ATTEND_NEXT_BYTES]; /* fetched by the job of all queries */
    static float q[QUERIES][512], out[QUERIES][512], some[QUERIES][512], alone[512];
    const float *queries[QUERIES];
    float *outs[QUERIES], *scratch = NULL;
    ck_assert(posix_memalign((void **)&scratch, 64, attend_scratch_floats(head_dim) * 4) == 0);
    attend_function attend = fast ? kernels->attend_fast : kernels->attend_full;
    const bool exact = !fast || (!is_rounded(kernels, k_dtype) && !is_rounded(kernels, v_dtype));
    for (size_t j = 0; j < QUERIES; j++) {
        /*
         * Scaled, as the job wants it. For one query of the whole context the scores are far apart.
         */
        double scale = (exact && j == STEEP ? 150 : 1) / sqrt(head_dim);
        for (size_t d = 0; d < head_dim; d++)
            q[j][d] = (float)(random_uniform() * scale);
        queries[j] = q[j];
        outs[j] = out[j];
    }
    struct attend_job job = {.layout = &layout,
                             .base = arena,
                             .pages = pages,
                             .kv_head = 1,
                             .n_queries = QUERIES,
                             .queries = queries,
                             .begin = begin,
                             .end = end,
                             .out = outs,
                             .scratch = scratch,
                             .next = later,
                             .next_bytes = sizeof later};
    attend(&job);
    for (size_t j = 0; j < QUERIES; j++) {
        double tolerance = !exact ? 4e-3 : j == STEEP ? 1e-4 : 2e-6;
        static double expected[512];
        double total = 0;
        memset(expected, 0, sizeof expected);
        for (uint64_t p = begin[j]; p < end[j]; p++) {
            double score = 0;
            const float *kp = k + (p * HEADS + 1) * head_dim, *vp = v + (p * HEADS + 1) * head_dim;
            for (size_t d = 0; d < head_dim; d++)
                score += (double)q[j][d] * kp[d];
            total += exp(score);
            for (size_t d = 0; d < head_dim; d++)
                expected[d] += exp(score) * vp[d];
        }
        for (size_t d = 0; d < head_dim; d++)
            ck_assert_msg(fabs(out[j][d] - (total > 0 ? expected[d] / total : 0)) < tolerance,
                          "%s query %zu element %zu: %g, expected %g", kernels->name, j, d,
                          (double)out[j][d], expected[d] / total);
        /* Computes the query alone, with the pages outside its span gone. */
        struct attend_job one = job;
        uint32_t *kept = calloc(n_pages, sizeof *kept);
        for (size_t p = 0; p < n_pages; p++) {
            bool inside = (p + 1) * page_positions > begin[j] && p * page_positions < end[j];
            kept[p] = inside ? pages[p] : UINT32_MAX;
        }
        float *one_out = alone;
        one.pages = kept;
        one.n_queries = 1;
        one.queries += j;
        one.begin += j;
        one.end += j;
        one.out = &one_out;
        one.next_bytes = 0;
        attend(&one);
        ck_assert(memcmp(alone, out[j], head_dim * sizeof(float)) == 0);
        merge_parts(kernels, attend, one);
        ck_assert(memcmp(alone, out[j], head_dim * sizeof(float)) == 0);
        attend_behind(attend, one);
        ck_assert(memcmp(alone, out[j], head_dim * sizeof(float)) == 0);
        free(kept);
    }
    /*
     * Computes any number of queries at once. Those of a tile or fewer meet keys and values as they
     * are stored.
     */
    static const uint32_t counts[] = {2, 3, 4, 5, 7, 8, 9, 12, 16, 31};
    for (size_t j = 0; j < QUERIES; j++)
        outs[j] = some[j];
    for (size_t i = 0; i < COUNT(counts); i++) {
        job.n_queries = counts[i];
        memset(some, 0xff, sizeof some);
        attend(&job);
        for (size_t j = 0; j < counts[i]; j++)
            ck_assert_msg(memcmp(some[j], out[j], head_dim * sizeof(float)) == 0,
                          "%s: query %zu of %u differs", kernels->name, j, counts[i]);
    }
    free(arena);
    free(pages);
    free(scratch);
    free(k);
    free(v);
}

static const lckv_dtype types[] = {LCKV_DTYPE_F32, LCKV_DTYPE_F16, LCKV_DTYPE_BF16, LCKV_DTYPE_Q8_0,
                                   LCKV_DTYPE_Q4_0};
enum { N_TYPES = COUNT(types) };

/* _i: precision, type of keys, type of values. */
START_TEST(attention_agrees_with_its_definition)
{
    const lckv_dtype k_dtype = types[_i / N_TYPES % N_TYPES], v_dtype = types[_i % N_TYPES];
    const bool fast = _i >= N_TYPES * N_TYPES;
    FOR_KERNEL_SETS(kernels)
    {
        check_attention(kernels, k_dtype, v_dtype, fast, 64, 64);
        if (k_dtype != v_dtype)
            continue;
        check_attention(kernels, k_dtype, v_dtype, fast, is_quantised(k_dtype) ? 32 : 12, 16);
        check_attention(kernels, k_dtype, v_dtype, fast, is_quantised(k_dtype) ? 96 : 18, 1024);
        check_attention(kernels, k_dtype, v_dtype, fast, 128, 48);
    }
}
END_TEST

/* Numbers that the type cannot hold become its largest finite number. */
START_TEST(what_is_stored_is_finite)
{
    enum { HEAD_DIM = 18 };
    const float beyond[] = {1e6f, -1e6f, 3.4e38f, -3.4e38f, INFINITY, -INFINITY, 1.5f};
    const float largest[] = {FLT_MAX, 65504.0f, 0x1.fep127f};
    FOR_KERNEL_SETS(kernels)
    for (size_t t = 0; t < COUNT(largest); t++) {
        struct kv_layout layout;
        float k[HEAD_DIM] = {0}, loaded_k[HEAD_DIM], loaded_v[HEAD_DIM];
        static uint8_t page[8 * HEAD_DIM * 16 + KV_SLACK] __attribute__((aligned(64)));
        ck_assert_ok(kv_layout_init(&layout, types[t], 0, 1, HEAD_DIM, 16));
        memcpy(k + HEAD_DIM - COUNT(beyond), beyond, sizeof beyond);
        kernels->kv_store(&layout, page, 5, 0, k, k);
        kv_load(&layout, page, 5, loaded_k, loaded_v);
        for (size_t d = 0; d < HEAD_DIM; d++) {
            float most = largest[t];
            float expected = k[d] > most ? most : k[d] < -most ? -most : k[d];
            if (types[t] == LCKV_DTYPE_BF16 && fabsf(k[d]) == 1e6f)
                expected = k[d] < 0 ? -999424.0f : 999424.0f;
            ck_assert_msg(loaded_k[d] == expected && loaded_v[d] == expected,
                          "%s: %g is stored as %g", kernels->name, (double)k[d],
                          (double)loaded_k[d]);
        }
    }
}
END_TEST

/* Stores a block as a key and as a value, and reads it back. */
static void store_block(const struct kernels *kernels, lckv_dtype dtype, const float *block,
                        float *key, float *value)
{
    enum { HEAD_DIM = 96, POSITION = 21 };
    struct kv_layout layout;
    static uint8_t page[HEAD_DIM * 8 * 32] __attribute__((aligned(64)));
    float k[HEAD_DIM] = {0}, v[HEAD_DIM] = {0};
    memcpy(k + 32, block, 32 * sizeof *k);
    memcpy(v + 32, block, 32 * sizeof *v);
    ck_assert_ok(kv_layout_init(&layout, dtype, dtype, 1, HEAD_DIM, 32));
    ck_assert_uint_le(layout.page_bytes, sizeof page);
    memset(page, 0xa5, sizeof page);
    kernels->kv_store(&layout, page, POSITION, 0, k, v);
    kv_load(&layout, page, POSITION, k, v);
    for (size_t d = 0; d < 32; d++)
        ck_assert(k[d] == 0 && v[d] == 0 && k[64 + d] == 0 && v[64 + d] == 0);
    memcpy(key, k + 32, 32 * sizeof *k);
    memcpy(value, v + 32, 32 * sizeof *v);
}

/* The sum of squares that q4_0 loses if the largest magnitude becomes -8 times the scale. */
static double plain_loss(const float *block)
{
    float extreme = 0;
    double loss = 0;
    for (size_t i = 0; i < 32; i++)
        extreme = fabsf(block[i]) > fabsf(extreme) ? block[i] : extreme;
    double scale = (double)extreme / -8;
    for (size_t i = 0; i < 32 && scale != 0; i++) {
        double number = round(block[i] / scale);
        loss += pow(block[i] - scale * fmin(number, 7), 2);
    }
    return loss;
}

static double loss_of(const float *stored, const float *block)
{
    double loss = 0;
    for (size_t i = 0; i < 32; i++)
        loss += pow((double)stored[i] - block[i], 2);
    return loss;
}

/* Blocks of all magnitudes that f16 scales have. */
START_TEST(numbers_of_q8_0_are_the_nearest)
{
    FOR_KERNEL_SETS(kernels)
    for (int round = 0; round < 400; round++) {
        float block[32], key[32], value[32], largest = 0;
        random_seed = (uint32_t)round + 1;
        const float magnitude = ldexpf(1, round % 40 - 22);
        for (size_t i = 0; i < 32; i++) {
            block[i] = (float)random_uniform() * magnitude;
            largest = fmaxf(largest, fabsf(block[i]));
        }
        /* Half a step, and what rounding the scale to f16, or to a multiple of 2^-24, costs. */
        const float step = largest / 127, scale_error = fmaxf(step * 0x1p-11f, 0x1p-25f);
        store_block(kernels, LCKV_DTYPE_Q8_0, block, key, value);
        ck_assert(memcmp(key, value, sizeof key) == 0);
        for (size_t i = 0; i < 32; i++)
            ck_assert_msg(fabsf(key[i] - block[i]) <= step * 0.5f + 127 * scale_error,
                          "%s: %g is stored as %g", kernels->name, (double)block[i],
                          (double)key[i]);
    }
}
END_TEST

/* Keys, which are rotated, and values lose no more than with the scale of the largest magnitude. */
START_TEST(blocks_of_q4_0_lose_little)
{
    FOR_KERNEL_SETS(kernels)
    {
        double losses = 0, plain_losses = 0; /* of values, as multiples of the magnitude */
        for (int round = 0; round < 400; round++) {
            float block[32], rotated[32], key[32], value[32];
            random_seed = (uint32_t)round + 1;
            const float magnitude = ldexpf(1, round % 40 - 22);
            for (size_t i = 0; i < 32; i++)
                block[i] = (float)random_uniform() * magnitude;
            memcpy(rotated, block, sizeof rotated);
            kv_rotate(rotated, 32);
            store_block(kernels, LCKV_DTYPE_Q4_0, block, key, value);
            const double found[] = {loss_of(key, block), loss_of(value, block)};
            const double plain[] = {plain_loss(rotated), plain_loss(block)};
            for (size_t i = 0; i < 2; i++) {
                if (magnitude > 0x1p-8f) /* else rounding the scale costs more */
                    ck_assert_msg(found[i] <= plain[i] * 1.01, "%s: block %d loses %g, not %g",
                                  kernels->name, round, found[i], plain[i]);
                else
                    ck_assert(found[i] <= 32 * pow(magnitude / 4 + 8 * 0x1p-25f, 2));
            }
            if (magnitude > 0x1p-8f) {
                losses += found[1] / pow(magnitude, 2);
                plain_losses += plain[1] / pow(magnitude, 2);
            }
        }
        /* Other scales than that of the largest magnitude are tried, and gain a tenth. */
        ck_assert_msg(losses < 0.93 * plain_losses, "%s: blocks lose %g, not less than %g",
                      kernels->name, losses, 0.93 * plain_losses);
    }
}
END_TEST

/* A column that is much larger than its neighbours, as some columns of keys are. */
START_TEST(a_large_column_leaves_its_neighbours_their_steps)
{
    FOR_KERNEL_SETS(kernels)
    for (size_t large = 0; large < 32; large++) {
        float block[32], key[32], value[32];
        for (size_t i = 0; i < 32; i++)
            block[i] = i == large ? 20 : (float)random_uniform();
        store_block(kernels, LCKV_DTYPE_Q4_0, block, key, value);
        const double loss = loss_of(key, block);
        ck_assert_msg(loss < 3, "%s: %g", kernels->name, loss); /* without rotation 8 to 12 */
        ck_assert(loss < loss_of(value, block) / 2);
    }
}
END_TEST

/* Infinite numbers become the largest, and one NaN spoils its block of a key, but no values. */
START_TEST(quantised_numbers_are_finite)
{
    const lckv_dtype quantised[] = {LCKV_DTYPE_Q8_0, LCKV_DTYPE_Q4_0};
    const float largest[] = {127 * 65504.0f, 7 * 65504.0f};
    FOR_KERNEL_SETS(kernels)
    for (size_t t = 0; t < 2; t++) {
        float block[32] = {1.5f, INFINITY, -INFINITY}, key[32], value[32];
        store_block(kernels, quantised[t], block, key, value);
        for (size_t i = 0; i < 32; i++) {
            float expected = i == 1 ? largest[t] : i == 2 ? -largest[t] : 0;
            ck_assert_msg(fabsf(key[i] - expected) <= largest[t] / 7, "%s: %g is stored as %g",
                          kernels->name, (double)block[i], (double)key[i]);
            ck_assert(fabsf(value[i] - expected) <= largest[t] / 7);
        }
        memset(block, 0, sizeof block);
        store_block(kernels, quantised[t], block, key, value); /* asserts that zeros stay */
        for (size_t i = 0; i < 32; i++)
            ck_assert(key[i] == 0 && value[i] == 0);
    }
}
END_TEST

enum { MOST_DIM = 32 };

/*
 * Computes queries before, at and behind position 40. `spoilt` says what is NaN there: the key (0),
 * a value (1) or nothing (2); or that a value is infinite (3).
 */
static void attend_around(const struct kernels *kernels, lckv_dtype kv_dtype, bool fast, int spoilt,
                          uint32_t head_dim, float out[3][MOST_DIM])
{
    enum { ODD = 40, N = 60 };
    struct kv_layout layout;
    static uint8_t page[64 * MOST_DIM * 8 + KV_SLACK] __attribute__((aligned(64)));
    static float scratch[1 << 15] __attribute__((aligned(64)));
    static float q[MOST_DIM];
    ck_assert_ok(kv_layout_init(&layout, kv_dtype, kv_dtype, 1, head_dim, 64));
    ck_assert_uint_le(attend_scratch_floats(head_dim), COUNT(scratch));
    memset(page, 0, sizeof page);
    random_seed = 7;
    for (size_t d = 0; d < head_dim; d++)
        q[d] = (float)random_uniform();
    for (uint32_t p = 0; p < N; p++) {
        float k[MOST_DIM], v[MOST_DIM];
        for (size_t d = 0; d < head_dim; d++) {
            k[d] = (float)random_uniform();
            v[d] = (float)random_uniform();
        }
        if (p == ODD && spoilt == 0)
            k[11] = NAN;
        if (p == ODD && (spoilt == 1 || spoilt == 3))
            v[17] = spoilt == 1 ? NAN : INFINITY;
        kernels->kv_store(&layout, page, p, 0, k, v);
    }
    const uint32_t pages = 0;
    const float *queries[] = {q, q, q};
    float *outs[] = {out[0], out[1], out[2]};
    const uint64_t begin[] = {0, 0, ODD + 1}, end[] = {ODD, ODD + 1, N};
    struct attend_job job = {.layout = &layout,
                             .base = page,
                             .pages = &pages,
                             .n_queries = 3,
                             .queries = queries,
                             .begin = begin,
                             .end = end,
                             .out = outs,
                             .scratch = scratch};
    (fast ? kernels->attend_fast : kernels->attend_full)(&job);
}

/* _i: precision, type. */
START_TEST(nan_reaches_those_who_attend_to_it)
{
    const bool fast = _i >= N_TYPES;
    const lckv_dtype dtype = types[_i % N_TYPES];
    const uint32_t head_dim = is_quantised(dtype) ? 32 : 18;
    FOR_KERNEL_SETS(kernels)
    {
        float clean[3][MOST_DIM], out[3][MOST_DIM];
        attend_around(kernels, dtype, fast, 2, head_dim, clean);
        for (int spoilt = 0; spoilt < 4; spoilt++) {
            attend_around(kernels, dtype, fast, spoilt, head_dim, out);
            ck_assert(memcmp(out[0], clean[0], head_dim * sizeof(float)) == 0);
            ck_assert(memcmp(out[2], clean[2], head_dim * sizeof(float)) == 0);
            for (size_t d = 0; d < head_dim; d++)
                ck_assert_msg(isnan(out[1][d]) == (spoilt < 2), "%s: NaN %d is lost", kernels->name,
                              spoilt);
        }
    }
}
END_TEST

static void add_all(Suite *suite)
{
    TCase *tcase = tcase_create("attention");
    tcase_set_timeout(tcase, 120);
    tcase_add_loop_test(tcase, attention_agrees_with_its_definition, 0, 2 * N_TYPES * N_TYPES);
    tcase_add_test(tcase, what_is_stored_is_finite);
    tcase_add_test(tcase, numbers_of_q8_0_are_the_nearest);
    tcase_add_test(tcase, blocks_of_q4_0_lose_little);
    tcase_add_test(tcase, a_large_column_leaves_its_neighbours_their_steps);
    tcase_add_test(tcase, quantised_numbers_are_finite);
    tcase_add_loop_test(tcase, nan_reaches_those_who_attend_to_it, 0, 2 * N_TYPES);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("attention", add_all)
