/*
 * Measures the rate of each product and of attention alone: what the kernels reach of the machine,
 * without the rest of a token.
 *
 *     build/bench/kernels [THREADS [TYPE|attention]]      LCKV_CPU chooses the kernel set
 *
 * A product runs over layers of 5632 x 2048 weights. For up to 16 rows there are more layers than
 * caches hold, as in decoding; for more rows there are two. GB/s is what one row reads of the
 * layers; GOP/s counts two operations for each weight and row. Attention is that of one token with
 * 32 query heads and 4 KV heads of 64 over 22 layers of 8192 positions, then that of four tokens of
 * a prompt there. The best of several passes counts.
 */
#include "kernels/kernels.h"
#include "base/pool.h"
#include "base/status.h"

#include "tools/tiles.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define N_ROWS 5632
#define N_COLUMNS 2048
#define MOST_INPUTS 512
#define WEIGHTS_BYTES ((size_t)320 << 20)
#define CLAIM_ROWS 128
#define DEPTH 8192 /* positions that attention reads */
#define HEAD_DIM 64
#define KV_HEADS 4
#define QUERIES 8 /* for each KV head and token */
#define KV_LAYERS 22
#define PAGE 64

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void check(lckv_status status)
{
    if (status != LCKV_OK) {
        fprintf(stderr, "kernels: %s\n", lckv_last_error());
        exit(1);
    }
}

static void *allocate(size_t n_bytes)
{
    void *bytes;
    check(memory_alloc(&memory_default_allocator, 1, n_bytes, "a buffer", &bytes));
    return bytes;
}

static uint32_t random_state = 1;

static uint32_t random_bits(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    return random_state ^= random_state << 5;
}

/* Makes a row as files store it: random numbers, scales and floats of moderate size. */
static void random_row(lckv_dtype dtype, uint8_t *row, size_t n_bytes, size_t block_bytes)
{
    for (size_t i = 0; i < n_bytes; i++)
        row[i] = (uint8_t)(random_bits() >> 7);
    size_t step = block_bytes, at = 1, n = 2; /* the high bytes of n halves, from byte `at` on */
    if (dtype == LCKV_DTYPE_F32)
        step = 4, at = 3, n = 1;
    else if (dtype == LCKV_DTYPE_F16 || dtype == LCKV_DTYPE_BF16)
        step = 2, n = 1;
    else if (dtype == LCKV_DTYPE_Q6_K)
        at = 209, n = 1;
    else if (dtype == LCKV_DTYPE_Q3_K)
        at = 109, n = 1;
    else if (dtype == LCKV_DTYPE_Q2_K)
        at = 81;
    else if (dtype == LCKV_DTYPE_MXFP4)
        at = 0, n = 1;
    else if (dtype != LCKV_DTYPE_Q4_1 && dtype != LCKV_DTYPE_Q5_1 && dtype != LCKV_DTYPE_Q4_K &&
             dtype != LCKV_DTYPE_Q5_K)
        n = 1;
    for (size_t block = 0; block < n_bytes; block += step) {
        for (size_t i = 0; i < n; i++)
            row[block + at + 2 * i] = 0x22;
    }
}

struct product {
    _Atomic size_t next; /* claimed of a pass */
    multiply_function multiply;
    struct matrix *layers;
    size_t n_layers;
    struct activations x;
    float *out; /* [n_inputs, N_ROWS] */
};

static void product_worker(const struct worker *worker, void *context)
{
    struct product *product = context;
    const size_t pieces = N_ROWS / CLAIM_ROWS;
    (void)worker;
    for (size_t i; (i = atomic_fetch_add(&product->next, 1)) < product->n_layers * pieces;) {
        size_t n = i % pieces * CLAIM_ROWS;
        product->multiply(&product->layers[i / pieces], &product->x, n, n + CLAIM_ROWS,
                          product->out + n, N_ROWS);
    }
}

/* Seconds of the best pass. Its workers count in `next` what they have claimed. */
static double best_pass(struct lckv_pool *pool, pool_function function, void *context,
                        _Atomic size_t *next)
{
    double best = 1e9, begin = now(), last = begin;
    for (int pass = 0; pass < 5 || last - begin < 1; pass++) {
        atomic_store(next, 0);
        pool_run(pool, 0, function, context);
        double end = now();
        best = end - last < best && pass > 0 ? end - last : best;
        last = end;
    }
    return best;
}

static void measure_products(struct lckv_pool *pool, const struct kernels *kernels,
                             lckv_dtype dtype, bool fast)
{
    static const size_t inputs[] = {1, 2, 4, 8, 16, 32, 64, 512};
    struct product product = {.multiply = kernels_multiply(kernels, dtype, fast)};
    const struct dtype_info *info = dtype_info(dtype);
    size_t row_bytes = N_COLUMNS / info->block_elements * info->block_bytes;
    product.n_layers = WEIGHTS_BYTES / (row_bytes * N_ROWS) + 1;
    product.layers = allocate(product.n_layers * sizeof *product.layers);
    uint8_t *rows = allocate(PACKED_MAX_STRIP * row_bytes);
    const uint8_t *at[PACKED_MAX_STRIP];
    for (size_t i = 0; i < PACKED_MAX_STRIP; i++) {
        at[i] = rows + i * row_bytes;
        random_row(dtype, rows + i * row_bytes, row_bytes, info->block_bytes);
    }
    double n_bytes = 0;
    for (size_t i = 0; i < product.n_layers; i++) {
        check(matrix_create(&product.layers[i], dtype, N_ROWS, N_COLUMNS, kernels->layout,
                            &memory_default_allocator));
        for (uint32_t g = 0; g < product.layers[i].size.n_strips; g++)
            matrix_pack_strip(&product.layers[i], at,
                              product.layers[i].owned + g * product.layers[i].size.strip_bytes);
        n_bytes += (double)product.layers[i].size.n_bytes;
    }
    float *values = allocate(MOST_INPUTS * N_COLUMNS * sizeof(float));
    for (size_t i = 0; i < MOST_INPUTS * N_COLUMNS; i++)
        values[i] = (float)(random_bits() >> 8) / 8388608.0f - 1;
    product.x = (struct activations){.values = values, .stride = N_COLUMNS, .columns = N_COLUMNS};
    enum input_form form = kernels_input(kernels, dtype, fast);
    uint8_t *panels = allocate(MOST_INPUTS * N_COLUMNS / ACTIVATION_BLOCK * BF16_BLOCK_BYTES);
    product.x.int8 = form == INPUT_INT8 ? panels : NULL;
    product.x.bf16 = form == INPUT_BF16 ? panels : NULL;
    product.out = allocate(MOST_INPUTS * N_ROWS * sizeof(float));
    printf("%-5s %-5s", info->name, fast ? "fast" : "full");
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++) {
        product.x.n_rows = inputs[i];
        for (size_t m = 0; m < inputs[i]; m++)
            kernels_prepare(kernels, &product.x, m, 0, N_COLUMNS);
        double n_layers = (double)product.n_layers;
        if (inputs[i] > 16)
            product.n_layers = 2;
        double seconds = best_pass(pool, product_worker, &product, &product.next);
        double weights = (double)product.n_layers * N_ROWS * N_COLUMNS;
        if (inputs[i] == 1)
            printf(" %7.1f GB/s", n_bytes / seconds / 1e9);
        printf(" %7.0f", 2 * weights * (double)inputs[i] / seconds / 1e9);
        fflush(stdout);
        product.n_layers = (size_t)n_layers;
    }
    printf("\n");
    for (size_t i = 0; i < product.n_layers; i++)
        matrix_release(&product.layers[i], &memory_default_allocator);
    memory_free(&memory_default_allocator, product.layers, 1,
                product.n_layers * sizeof *product.layers);
    memory_free(&memory_default_allocator, rows, 1, PACKED_MAX_STRIP * row_bytes);
    memory_free(&memory_default_allocator, values, 1, MOST_INPUTS * N_COLUMNS * sizeof(float));
    memory_free(&memory_default_allocator, panels, 1,
                MOST_INPUTS * N_COLUMNS / ACTIVATION_BLOCK * BF16_BLOCK_BYTES);
    memory_free(&memory_default_allocator, product.out, 1, MOST_INPUTS * N_ROWS * sizeof(float));
}

struct attention {
    _Atomic size_t next; /* claimed of a pass */
    attend_function attend;
    struct kv_layout layout;
    uint8_t *base;
    uint32_t pages[KV_LAYERS][DEPTH / PAGE];
    uint32_t n_queries; /* for each KV head, of one token or of several */
    float *queries, *out,
        *scratch; /* [KV_HEADS, n_queries, HEAD_DIM]; the scratch of every thread */
    size_t scratch_floats;
};

static void attention_worker(const struct worker *worker, void *context)
{
    struct attention *attention = context;
    const size_t n_units = (size_t)KV_LAYERS * KV_HEADS;
    for (size_t unit; (unit = atomic_fetch_add(&attention->next, 1)) < n_units;) {
        const float *queries[KV_MAX_QUERIES];
        float *out[KV_MAX_QUERIES];
        uint64_t begin[KV_MAX_QUERIES] = {0}, end[KV_MAX_QUERIES];
        for (size_t j = 0; j < attention->n_queries; j++) {
            size_t at = (unit % KV_HEADS * attention->n_queries + j) * HEAD_DIM;
            queries[j] = attention->queries + at;
            out[j] = attention->out + at;
            end[j] = DEPTH;
        }
        struct attend_job job = {.layout = &attention->layout,
                                 .base = attention->base,
                                 .pages = attention->pages[unit / KV_HEADS],
                                 .kv_head = (uint32_t)(unit % KV_HEADS),
                                 .n_queries = attention->n_queries,
                                 .queries = queries,
                                 .begin = begin,
                                 .end = end,
                                 .out = out,
                                 .scratch = attention->scratch +
                                            worker->index * attention->scratch_floats};
        attention->attend(&job);
    }
}

static void measure_attention(struct lckv_pool *pool, const struct kernels *kernels,
                              lckv_dtype dtype, bool fast)
{
    static struct attention a;
    static float k[HEAD_DIM], v[HEAD_DIM];
    check(kv_layout_init(&a.layout, dtype, dtype, KV_HEADS, HEAD_DIM, PAGE));
    a.attend = fast ? kernels->attend_fast : kernels->attend_full;
    size_t n_bytes = (size_t)KV_LAYERS * (DEPTH / PAGE) * a.layout.page_bytes;
    uint8_t *arena = a.base = allocate(n_bytes + KV_SLACK);
    for (size_t p = 0; p < (size_t)KV_LAYERS * DEPTH; p++) {
        uint8_t *page = arena + p / PAGE * a.layout.page_bytes;
        a.pages[p / DEPTH][p % DEPTH / PAGE] = (uint32_t)(p / PAGE);
        for (size_t d = 0; d < HEAD_DIM; d++) {
            k[d] = (float)(random_bits() >> 8) / 8388608.0f - 1;
            v[d] = (float)(random_bits() >> 8) / 8388608.0f - 1;
        }
        for (uint32_t head = 0; head < KV_HEADS; head++)
            kernels->kv_store(&a.layout, page, (uint32_t)(p % PAGE), head, k, v);
    }
    size_t n = (size_t)KV_HEADS * KV_MAX_QUERIES * HEAD_DIM;
    a.scratch_floats = (attend_scratch_floats(HEAD_DIM) + 15) / 16 * 16;
    a.queries = allocate(n * sizeof(float));
    a.out = allocate(n * sizeof(float));
    a.scratch = allocate(pool_size(pool) * a.scratch_floats * sizeof(float));
    for (size_t i = 0; i < n; i++)
        a.queries[i] = ((float)(random_bits() >> 8) / 8388608.0f - 1) / 8;
    a.n_queries = QUERIES;
    double seconds = best_pass(pool, attention_worker, &a, &a.next);
    a.n_queries = KV_MAX_QUERIES;
    double prompt = best_pass(pool, attention_worker, &a, &a.next);
    double n_operations = 4.0 * KV_LAYERS * KV_HEADS * KV_MAX_QUERIES * HEAD_DIM * DEPTH;
    printf("attention %-4s %s: %.1f ms, %.1f GB/s; of a prompt %.1f ms, %.0f GFLOP/s\n",
           dtype_info(dtype)->name, fast ? "fast" : "full", seconds * 1e3,
           (double)n_bytes / seconds / 1e9, prompt * 1e3, n_operations / prompt / 1e9);
    memory_free(&memory_default_allocator, arena, 1, n_bytes + KV_SLACK);
    memory_free(&memory_default_allocator, a.queries, 1, n * sizeof(float));
    memory_free(&memory_default_allocator, a.out, 1, n * sizeof(float));
    memory_free(&memory_default_allocator, a.scratch, 1,
                pool_size(pool) * a.scratch_floats * sizeof(float));
}

static bool is_known(const char *what)
{
    for (int d = LCKV_DTYPE_F32; d < DTYPE_COUNT; d++) {
        if (strcmp(what, dtype_info((lckv_dtype)d)->name) == 0)
            return true;
    }
    return strcmp(what, "attention") == 0;
}

int main(int argc, char **argv)
{
    const struct kernels *kernels;
    struct lckv_pool *pool;
    if (argc > 3 || (argc > 1 && atoi(argv[1]) <= 0) || (argc > 2 && !is_known(argv[2]))) {
        fprintf(stderr, "usage: build/bench/kernels [THREADS [TYPE|attention]], TYPE as in q4_0\n");
        return 2;
    }
    request_tiles();
    check(kernels_choose(NULL, &kernels));
    check(pool_create(argc > 1 ? (uint32_t)atoi(argv[1]) : 0, &memory_default_allocator, &pool));
    printf("kernel set %s, %u threads\n", kernels->name, (unsigned)pool_size(pool));
    printf("%-11s %7s %4s %7s %7s %7s %7s %7s %7s %7s %7s  GOP/s at so many rows\n", "weights", "1",
           "", "1", "2", "4", "8", "16", "32", "64", "512");
    for (int fast = 1; fast >= 0; fast--) {
        for (int d = LCKV_DTYPE_F32; d < DTYPE_COUNT; d++) {
            lckv_dtype dtype = (lckv_dtype)d;
            bool same = fast && kernels_input(kernels, dtype, true) == INPUT_FLOAT;
            if (same || (argc > 2 && strcmp(argv[2], dtype_info(dtype)->name) != 0))
                continue;
            measure_products(pool, kernels, dtype, fast != 0);
        }
    }
    bool attention = argc <= 2 || strcmp(argv[2], "attention") == 0;
    for (int d = LCKV_DTYPE_F32; attention && d <= LCKV_DTYPE_Q4_0; d++) {
        measure_attention(pool, kernels, (lckv_dtype)d, false);
        if (d >= LCKV_DTYPE_Q8_0 ||
            (d == LCKV_DTYPE_BF16 && strcmp(kernels->name, "avx512bf16") == 0))
            measure_attention(pool, kernels, (lckv_dtype)d, true);
    }
    pool_release(pool);
    return 0;
}
