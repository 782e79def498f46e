/*
 * How much stack a host must give to the threads that call the library. Everything runs on a thread
 * whose stack was painted before. docs/guide.md promises MOST_BYTES.
 */
#include "folder.h"
#include "sessions.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>

#define MOST_BYTES (64 << 10)
#define PAINTED_BYTES (1 << 20)
#define MODEL "examples/models/stories-lckv-q8_0.gguf"

static int32_t go_on(void *user, uint64_t done, uint64_t total)
{
    (void)user, (void)done, (void)total;
    return 0;
}

static void open_and_convert(const char *input)
{
    lckv_model_options opening = {.size = sizeof opening, .progress = go_on};
    lckv_convert_options converting = {
        .size = sizeof converting, .dtype = LCKV_DTYPE_Q8_0, .packed = 1};
    lckv_model *model;
    const char *output = folder_path("packed.gguf");
    ck_assert_ok(lckv_convert(input, output, &converting, NULL));
    ck_assert_ok(lckv_model_open(output, &opening, &model));
    lckv_model_release(model);
    ck_assert(lckv_model_open("tests/data", &opening, &model) != LCKV_OK); /* a long message */
}

static void write_and_generate(void)
{
    lckv_token tokens[512];
    char text[2048];
    size_t n, length;
    lckv_model *model = open_model(MODEL, (lckv_model_options){.progress = go_on});
    lckv_cache *cache = make_cache(model, (lckv_cache_options){.n_threads = 2});
    lckv_session *session = make_session(cache);
    lckv_sampler_options sampling = {.size = sizeof sampling,
                                     .temperature = 0.9f,
                                     .top_k = 2000,
                                     .top_p = 0.9f,
                                     .frequency_penalty = 0.1f};
    lckv_sampler *sampler;
    memset(text, 'a', sizeof text);
    for (size_t i = 0; i < sizeof text; i += 7)
        text[i] = ' ';
    ck_assert_ok(lckv_tokenize(model, text, 300, 0, tokens, COUNT(tokens), &n));
    ck_assert_ok(lckv_detokenize(model, tokens, n, 0, text, sizeof text, &length));
    ck_assert_ok(lckv_sampler_create(&sampling, &sampler));
    lckv_string stop = {"zzz", 3};
    lckv_generate_options options = {
        .size = sizeof options, .max_tokens = 20, .stops = &stop, .n_stops = 1};
    ck_assert_ok(lckv_generate(session, sampler, tokens, n, &options, NULL));
    options.prefill = LCKV_PREFILL_ITERATED;
    ck_assert_ok(lckv_generate(session, sampler, tokens, n < 200 ? n : 200, &options, NULL));
    ck_assert_ok(lckv_plan_describe(lckv_model_plan(model), text, sizeof text, &length));
    lckv_sampler_release(sampler);
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
}

static void *everything(void *user)
{
    (void)user;
    write_and_generate();
    open_and_convert(MODEL);
    open_and_convert("tests/data/goldens/lckv-w2");
    return NULL;
}

START_TEST(so_much_stack_is_enough)
{
    if (getenv("LCKV_TEST_SHORT") != NULL)
        return; /* sanitizers and valgrind take more */
    pthread_attr_t attributes;
    pthread_t thread;
    unsigned char *stack = mmap(NULL, PAINTED_BYTES, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    ck_assert(stack != MAP_FAILED);
    memset(stack, 0xA5, PAINTED_BYTES);
    folder_make();
    ck_assert_int_eq(pthread_attr_init(&attributes), 0);
    ck_assert_int_eq(pthread_attr_setstack(&attributes, stack, PAINTED_BYTES), 0);
    ck_assert_int_eq(pthread_create(&thread, &attributes, everything, NULL), 0);
    pthread_join(thread, NULL);
    size_t untouched = 0;
    while (untouched < PAINTED_BYTES && stack[untouched] == 0xA5)
        untouched++;
    const size_t used = PAINTED_BYTES - untouched;
    printf("%zu bytes of stack were used\n", used);
    ck_assert_uint_gt(used, 4096);
    ck_assert_uint_le(used, MOST_BYTES);
    pthread_attr_destroy(&attributes);
    munmap(stack, PAINTED_BYTES);
    folder_remove();
}
END_TEST

static void add_all(Suite *suite)
{
    TCase *tcase = tcase_create("stack");
    tcase_set_timeout(tcase, 300);
    tcase_add_test(tcase, so_much_stack_is_enough);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("stack", add_all)
