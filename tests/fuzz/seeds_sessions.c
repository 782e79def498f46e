/*
 * Writes the seeds about sessions: plans and the memory that sessions take with them, for
 * fuzz_plan.c; calls, for fuzz_calls.c; saved sessions, for fuzz_restore.c.
 */
#include "restore.h"
#include "seeds.h"

/* Writes plans, each behind the same numbers. */
static void write_plans(void)
{
    static const char *const plans[] = {"0_1_2_3", "0_3_3_3",         "0s_1s_2_2",
                                        "3_3_3_3", "0_6_6_6_6_6_6_7", "0_0_2_2s"};
    static const char numbers[] = {1, 0, 2, 0, 64, 0, 2, 3, 1, 1, 1, 4, 3, 2, 1, 9, 1, 20, 2, 0};
    for (size_t i = 0; i < COUNT(plans); i++) {
        FILE *seed = begin_seed("plan", plans[i]);
        fwrite(numbers, 1, sizeof numbers, seed);
        fputs(plans[i], seed);
        end_seed(seed);
    }
}

/* Writes bytes without a pattern. Each is an argument or a call of fuzz_calls.c. */
static void write_calls(void)
{
    uint32_t bits = 1;
    for (int i = 0; i < 120; i++) {
        char name[16];
        snprintf(name, sizeof name, "%03d", i);
        FILE *seed = begin_seed("calls", name);
        fputc(i % 7, seed);
        for (int k = 0; k < 400; k++) {
            bits = bits * 1664525 + 1013904223;
            fputc((int)(bits >> 24), seed);
        }
        end_seed(seed);
    }
}

/*
 * Writes sessions that share pages, and some that do not, saved from pages of each size, without
 * and with a context window.
 */
static void write_saved(void)
{
    const size_t n_ordinary = COUNT(restore_tinies) * COUNT(restore_pages);
    for (size_t i = 0; i < 2 * n_ordinary; i++) {
        const uint32_t flags = i < n_ordinary ? 0 : RESTORE_ENDLESS;
        const size_t model = i % n_ordinary / COUNT(restore_pages), page = i % COUNT(restore_pages);
        lckv_cache *cache = restore_cache(model, page, flags);
        lckv_session *sessions[3];
        lckv_token tokens[45];
        for (size_t t = 0; t < COUNT(tokens); t++)
            tokens[t] = (lckv_token)((t * 7 + i) % TINY_VOCAB);
        require_ok(lckv_session_create(cache, &sessions[0]));
        require_ok(lckv_session_create(cache, &sessions[2]));
        lckv_item item = {.session = sessions[0], .tokens = tokens, .n_tokens = COUNT(tokens)};
        require_ok(lckv_evaluate(cache, &item, sizeof item, 1, NULL, NULL));
        require_ok(lckv_session_fork(sessions[0], &sessions[1]));
        item = (lckv_item){.session = sessions[1], .tokens = tokens, .n_tokens = 6};
        require_ok(lckv_evaluate(cache, &item, sizeof item, 1, NULL, NULL));
        struct bytes stream = {0}, empty = saved_empty(cache);
        const lckv_save_options options = {
            .size = sizeof options, .note = "a note", .note_length = i % 2 * 6};
        require_ok(lckv_sessions_save(sessions, COUNT(sessions), bytes_put, &stream, &options));
        struct bytes payload = unframed(&stream), description = unframed(&empty);
        const size_t begin = description.length - RESTORE_COUNTS - RESTORE_EMPTY_SESSION;
        char name[32];
        snprintf(name, sizeof name, "%s%zu-%u", flags != 0 ? "endless-" : "", model,
                 restore_pages[page]);
        FILE *seed = begin_seed("restore", name);
        fputc((int)model, seed);
        fputc((int)((page + i) % COUNT(restore_pages)), seed);
        fputc((int)flags, seed);
        fputc((int)(i * 20 % 256), seed);
        fwrite(payload.data + begin, 1, payload.length - begin, seed);
        end_seed(seed);
        for (size_t s = 0; s < COUNT(sessions); s++)
            lckv_session_release(sessions[s]);
        lckv_cache_release(cache);
        free(stream.data);
        free(empty.data);
        free(payload.data);
        free(description.data);
    }
}

void write_session_seeds(void)
{
    write_plans();
    write_calls();
    write_saved();
}
