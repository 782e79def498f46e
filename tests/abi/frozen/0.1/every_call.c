/*
 * A program that was built against version 0.0: it calls every function and uses every struct of
 * the lckv.h beside it, and tests/abi/check_abi.sh runs it with today's library.
 *
 *     every_call MODEL FOLDER
 *
 * What the library writes into a struct must end where this program's struct ends, though today's
 * may be longer: each of them has a guard behind it. The model is the bundled one; the folder takes
 * the files that the program writes.
 */
#include "every_call.h"

#include <stdio.h>
#include <stdlib.h>

void expect(int holds, const char *what, const char *file, int line)
{
    if (holds)
        return;
    fprintf(stderr, "%s:%d: %s: %s\n", file, line, what, lckv_last_error());
    exit(1);
}

int is_untouched(const unsigned char *guard, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (guard[i] != 0xa5)
            return 0;
    }
    return 1;
}

static void *allocate(void *user, size_t size, size_t align)
{
    __atomic_fetch_add(&((struct calls *)user)->allocations, 1, __ATOMIC_RELAXED);
    return aligned_alloc(align, (size + align - 1) / align * align);
}

static void deallocate(void *user, void *pointer, size_t size)
{
    (void)size;
    __atomic_fetch_sub(&((struct calls *)user)->allocations, 1, __ATOMIC_RELAXED);
    free(pointer);
}

void remark(void *user, const char *text, size_t length)
{
    ((struct calls *)user)->remarks += text[0] != 0 && length > 0;
}

int32_t progress(void *user, uint64_t done, uint64_t total)
{
    ((struct calls *)user)->steps += done <= total;
    return 0;
}

static lckv_model *open_model(const char *path, const lckv_allocator *allocator,
                              struct calls *calls, lckv_pool *pool)
{
    lckv_model *model, *in_memory;
    OPTIONS(lckv_model_options, options);
    options.result.kernel_set = "portable";
    options.result.precision = LCKV_PRECISION_FULL;
    options.result.gemm = LCKV_GEMM_OWN;
    options.result.weights = LCKV_WEIGHTS_COPIED;
    options.result.allocator = allocator;
    options.result.log = remark;
    options.result.log_user = calls;
    options.result.progress = progress;
    options.result.progress_user = calls;
    options.result.pool = pool;
    OK(lckv_model_open(path, &options.result, &model));
    EXPECT(calls->steps > 0 && calls->allocations > 0);
    EXPECT(lckv_model_open_memory("GGUF", 4, NULL, &in_memory) == LCKV_BAD_FORMAT);
    lckv_model_retain(model);
    lckv_model_release(model);
    return model;
}

int main(int argc, char **argv)
{
    char packed[512], sessions[512];
    lckv_token tokens[64];
    lckv_pool *pool;
    lckv_session *session;
    struct calls calls = {0};
    const lckv_allocator allocator = {sizeof allocator, &calls, allocate, deallocate};
    if (argc != 3)
        return 2;
    snprintf(packed, sizeof packed, "%s/packed.gguf", argv[2]);
    snprintf(sessions, sizeof sessions, "%s/sessions", argv[2]);
    use_library();
    use_plans();
    use_memory_planner();
    use_convert(argv[1], packed, &calls);
    OK(lckv_pool_create(2, &pool));
    lckv_pool_retain(pool);
    lckv_pool_release(pool);
    lckv_model *model = open_model(argv[1], &allocator, &calls, pool);
    use_model(model);
    size_t n_tokens = use_text(model, tokens, 64);
    lckv_cache *cache = make_cache(model, pool);
    OK(lckv_session_create(cache, &session));
    use_evaluate(cache, session, tokens, n_tokens);
    use_sessions(cache, session, tokens, n_tokens);
    use_saved(cache, session, sessions);
    lckv_sampler *sampler = use_sampler(session, &calls, &allocator);
    use_generate(session, sampler, tokens + 1, &calls);
    lckv_sampler_release(sampler);
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
    lckv_pool_release(pool);
    EXPECT(calls.allocations == 0);
    return 0;
}
