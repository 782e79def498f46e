/*
 * What a server relies on: calls that mix prompt chunks and decode steps read each weight once, and
 * every session gets bitwise the logits that it would get alone, whatever comes and goes beside it.
 * Uses the public header only.
 */
#include "random.h"
#include "sessions.h"

#include <stdbool.h>

#define MOST_VOCAB 160
#define N_CLIENTS 7
#define LENGTH 90 /* tokens of each client's text */

/* Plans that are standard, downward, windowed, upward, and upward with a window. */
static const char *const names[] = {"standard-llama", "cla2",    "yoco-windows",
                                    "mixattention",   "lckv-w2", "cycle3-window"};
enum { N_NAMES = sizeof names / sizeof names[0] };

static lckv_token texts[N_CLIENTS][LENGTH];
static float alone[N_CLIENTS][LENGTH * MOST_VOCAB], got[LENGTH * MOST_VOCAB];

static void make_texts(void)
{
    for (size_t c = 0; c < N_CLIENTS; c++) {
        for (size_t t = 0; t < LENGTH; t++)
            texts[c][t] = (lckv_token)((t * (37 + c) + c * 11 + t / 7) % 131);
    }
}

/* ---- Passes ---- */

static int32_t count_passes(void *user, uint64_t done, uint64_t total)
{
    (void)done, (void)total;
    ++*(int *)user;
    return 0;
}

/* The passes of a call; each reads each weight once, and then tells its progress. */
static int passes_of(lckv_cache *cache, const lckv_item *items, size_t n, lckv_prefill prefill)
{
    int n_passes = 0;
    lckv_evaluate_options options = {.size = sizeof options,
                                     .prefill = prefill,
                                     .window = prefill == LCKV_PREFILL_AUTO,
                                     .progress = count_passes,
                                     .progress_user = &n_passes};
    lckv_evaluate_report report = {.size = sizeof report};
    ck_assert_ok(lckv_evaluate(cache, items, sizeof *items, n, &options, &report));
    ck_assert_uint_eq(report.n_rows, report.n_tokens);
    return n_passes;
}

/*
 * Prompt chunks share a pass with decode steps as long as there are rows. Plans with upward layers
 * take a prompt token by token through a cyclic stage, but all sessions in step: that takes as many
 * passes as the longest chunk has tokens. Below and above it a pass takes all tokens for which
 * there is room, so that each session's eight rows need three. _i: model, for AUTO with a window of
 * one token and for EXACT.
 */
START_TEST(mixed_calls_read_each_weight_once)
{
    enum { ROWS = 48 };
    static const size_t sizes[] = {1, 20, 1, 1, 17, 8}; /* 48 together */
    const lckv_prefill prefill = _i < N_NAMES ? LCKV_PREFILL_AUTO : LCKV_PREFILL_EXACT;
    lckv_model *model = open_golden(names[_i % N_NAMES], LCKV_PRECISION_FAST);
    lckv_cache *cache =
        make_cache(model, (lckv_cache_options){.max_rows = ROWS, .max_sessions = N_CLIENTS});
    lckv_item items[N_CLIENTS];
    for (size_t c = 0; c < N_CLIENTS; c++) {
        items[c] = (lckv_item){.session = make_session(cache), .tokens = texts[c], .n_tokens = 5};
        ck_assert_ok(run(cache, &items[c], 1, LCKV_PREFILL_AUTO));
    }
    bool is_upward = plan_info_of(model).n_upward > 0;
    for (size_t c = 0; c < 6; c++)
        items[c] = (lckv_item){.session = items[c].session,
                               .tokens = texts[c] + 5,
                               .n_tokens = sizes[c],
                               .want = sizes[c] == 1 ? LCKV_WANT_LAST : LCKV_WANT_NOTHING};
    int n_passes = passes_of(cache, items, 6, prefill);
    ck_assert_int_ge(n_passes, is_upward ? 20 : 1);
    ck_assert_int_le(n_passes, is_upward ? 20 + 2 * 3 : 1);
    /* One row more needs another pass; in step, it is a row of the first. */
    for (size_t c = 0; c < 6; c++)
        items[c].tokens = texts[c] + 30;
    items[6].tokens = texts[6] + 5;
    items[6].n_tokens = 1;
    n_passes = passes_of(cache, items, 7, prefill);
    ck_assert_int_ge(n_passes, is_upward ? 20 : 2);
    ck_assert_int_le(n_passes, is_upward ? 20 + 2 * 4 : 2);
    for (size_t c = 0; c < N_CLIENTS; c++)
        lckv_session_release(items[c].session);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

/* ---- Bits ---- */

/* A client of a server; all zero while it is not there. */
struct client {
    lckv_session *session;
    size_t n_prompt;
    size_t done; /* tokens in the session */
};

static void leave(struct client *client)
{
    lckv_session_release(client->session);
    *client = (struct client){0};
}

/* Clients come after a while, with prompts of any length, and sometimes go in the middle. */
static void come_and_go(lckv_cache *cache, struct client *client)
{
    if (client->session != NULL && random_bits() % 40 == 0)
        leave(client);
    if (client->session == NULL && random_bits() % 4 == 0)
        *client = (struct client){.session = make_session(cache),
                                  .n_prompt = 1 + random_bits() % (LENGTH - 10)};
}

static void compute_alone(const lckv_model *model, size_t n_vocab)
{
    lckv_cache *cache = make_cache(model, (lckv_cache_options){.n_threads = 1});
    for (size_t c = 0; c < N_CLIENTS; c++) {
        lckv_session *session = make_session(cache);
        for (size_t t = 0; t < LENGTH; t++) {
            lckv_item item = make_item(session, texts[c] + t, 1, alone[c] + t * n_vocab, n_vocab);
            ck_assert_ok(run(cache, &item, 1, LCKV_PREFILL_EXACT));
        }
        lckv_session_release(session);
    }
    lckv_cache_release(cache);
}

struct call {
    lckv_item items[N_CLIENTS];
    size_t clients[N_CLIENTS]; /* whose items they are */
    size_t n, n_decoding;
};

/* One token for each client that decodes, and chunks of prompts in a limited number of rows. */
static struct call make_call(const struct client *clients, size_t n_vocab)
{
    enum { PROMPT_ROWS = 24 };
    struct call call = {.n = 0};
    size_t room = PROMPT_ROWS, n_floats = 0;
    for (size_t c = 0; c < N_CLIENTS; c++) {
        const struct client *client = &clients[c];
        bool decodes = client->done >= client->n_prompt;
        size_t left = decodes ? 1 : client->n_prompt - client->done;
        size_t size = decodes || left < room ? left : room;
        if (client->session == NULL || size == 0)
            continue;
        room -= decodes ? 0 : size;
        call.n_decoding += decodes;
        call.clients[call.n] = c;
        call.items[call.n++] =
            make_item(client->session, texts[c] + client->done, size, got + n_floats, n_vocab);
        n_floats += size * n_vocab;
    }
    return call;
}

/* Compares what came out, and lets those whose texts are over go. */
static void take_results(const struct call *call, struct client *clients, size_t n_vocab)
{
    for (size_t i = 0; i < call->n; i++) {
        const lckv_item *item = &call->items[i];
        struct client *client = &clients[call->clients[i]];
        const float *expected = alone[call->clients[i]] + client->done * n_vocab;
        ck_assert_mem_eq(item->logits, expected, item->n_tokens * n_vocab * sizeof(float));
        client->done += item->n_tokens;
        if (client->done == LENGTH)
            leave(client);
    }
}

/*
 * The cache is too small for all; when it is full, the last client goes, and its pages serve
 * others. _i: model and precision.
 */
START_TEST(served_sessions_get_the_bits_of_sessions_alone)
{
    enum { N_CALLS = 250 };
    lckv_model *model =
        open_golden(names[_i % N_NAMES], _i < N_NAMES ? LCKV_PRECISION_FAST : LCKV_PRECISION_FULL);
    size_t n_vocab = info_of(model).n_vocab, n_full = 0, n_mixed = 0;
    compute_alone(model, n_vocab);
    lckv_cache *cache = make_cache(model, (lckv_cache_options){.n_tokens = 3 * LENGTH,
                                                               .max_sessions = N_CLIENTS,
                                                               .page_positions = 16,
                                                               .n_threads = 2,
                                                               .max_rows = 40});
    struct client clients[N_CLIENTS] = {{0}};
    random_seed = 7;
    for (int i = 0; i < N_CALLS; i++) {
        for (size_t c = 0; c < N_CLIENTS; c++)
            come_and_go(cache, &clients[c]);
        struct call call = make_call(clients, n_vocab);
        if (call.n == 0)
            continue;
        lckv_status status = run(cache, call.items, call.n, LCKV_PREFILL_AUTO);
        if (status == LCKV_CACHE_FULL) {
            leave(&clients[call.clients[call.n - 1]]);
            n_full++;
            continue;
        }
        ck_assert_ok(status);
        n_mixed += call.n_decoding > 0 && call.n_decoding < call.n;
        take_results(&call, clients, n_vocab);
    }
    ck_assert_uint_gt(n_mixed, N_CALLS / 4);
    ck_assert_uint_gt(n_full, 0);
    for (size_t c = 0; c < N_CLIENTS; c++)
        leave(&clients[c]);
    lckv_cache_release(cache);
    lckv_model_release(model);
}
END_TEST

static void add_all(Suite *suite)
{
    TCase *tcase = tcase_create("batching");
    tcase_set_timeout(tcase, 300);
    tcase_add_checked_fixture(tcase, make_texts, NULL);
    tcase_add_loop_test(tcase, mixed_calls_read_each_weight_once, 0, 2 * N_NAMES);
    tcase_add_loop_test(tcase, served_sessions_get_the_bits_of_sessions_alone, 0, 2 * N_NAMES);
    suite_add_tcase(suite, tcase);
}

TEST_MAIN("batching", add_all)
