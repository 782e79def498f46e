/*
 * The loop of a server, under a load of random requests: who gets a session, which tokens go into
 * the next call, and what happens when the cache is full or a client leaves. docs/server.md
 * explains each part. At the end it prints how long the clients waited for their tokens.
 *
 *     cc server_loop.c $(pkg-config --cflags --libs lckv) -lm -o server_loop
 *     ./server_loop MODEL [REQUESTS [REQUESTS_PER_SECOND]]
 */
#include <lckv.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    MAX_REQUESTS = 1000,
    MAX_SESSIONS = 16,    /* requests that are computed together */
    PROMPT_ROWS = 64,     /* prompt tokens in a call, beside the tokens of those that decode */
    MAX_PROMPT = 200,     /* tokens */
    MAX_ANSWER = 100,     /* tokens */
    CACHE_TOKENS = 500,   /* less than all sessions may need: sometimes the cache is full */
    PATIENCE_SECONDS = 5, /* who has no session by then is turned away */
};

enum state { WAITING, ACTIVE, ANSWERED, TURNED_AWAY, LEFT };

struct request {
    double arrives;            /* seconds after the start */
    size_t n_prompt, n_answer; /* tokens */
    size_t leaves_after;       /* tokens that the client takes before it closes the connection */
    enum state state;
    lckv_token tokens[MAX_PROMPT + MAX_ANSWER]; /* the prompt, and the answer so far */
    size_t n_tokens;
    size_t n_encoded;      /* tokens that are in the session */
    lckv_session *session; /* only while the request is active */
    lckv_sampler *sampler;
    double last_token_at;
};

struct times {
    double items[MAX_REQUESTS * MAX_ANSWER];
    size_t count;
};

struct server {
    lckv_cache *cache;
    int is_upward;                         /* the plan has upward layers */
    struct request requests[MAX_REQUESTS]; /* in the order of their arrival */
    size_t n_requests;
    struct times first, next; /* the waits for first tokens, and for those after them */
    size_t n_calls, n_items, n_restarts;
    double started;
};

static int check(lckv_status status)
{
    if (status != LCKV_OK)
        fprintf(stderr, "%s: %s\n", lckv_status_name(status), lckv_last_error());
    return status != LCKV_OK;
}

static double now(const struct server *server)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec - server->started;
}

/* ---- The load ------------------------------------------------------------------------------ */

/* Random numbers in (0, 1), the same in every run. */
static double uniform(void)
{
    static uint64_t state = 1;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return ((double)(state >> 11) + 0.5) * 0x1p-53;
}

/* The waits between random arrivals are distributed like this; so are, roughly, lengths. */
static double exponential(double mean)
{
    return -mean * log(uniform());
}

static size_t length(double mean, size_t most)
{
    size_t n = 1 + (size_t)exponential(mean);
    return n < most ? n : most;
}

static int make_requests(struct server *server, double per_second, uint32_t n_vocab)
{
    double time = 0;
    for (size_t i = 0; i < server->n_requests; i++) {
        struct request *request = &server->requests[i];
        time += exponential(1 / per_second);
        request->arrives = time;
        request->n_prompt = request->n_tokens = length(60, MAX_PROMPT);
        request->n_answer = request->leaves_after = length(40, MAX_ANSWER);
        if (uniform() < 0.1)
            request->leaves_after = (size_t)(uniform() * (double)request->n_answer);
        for (size_t t = 0; t < request->n_prompt; t++)
            request->tokens[t] = (lckv_token)(uniform() * n_vocab);
        lckv_sampler_options options = {.size = sizeof options, .temperature = 0.8f, .seed = i};
        if (check(lckv_sampler_create(&options, &request->sampler)))
            return 1;
    }
    return 0;
}

/* ---- Admission ----------------------------------------------------------------------------- */

/* Ends a request, or takes its session away for a while: the tokens so far stay. */
static void release(struct request *request, enum state state)
{
    lckv_session_release(request->session);
    request->session = NULL;
    request->n_encoded = 0;
    request->state = state;
}

static lckv_item pending_item(const struct request *request)
{
    return (lckv_item){.session = request->session,
                       .tokens = request->tokens + request->n_encoded,
                       .n_tokens = request->n_tokens - request->n_encoded};
}

/* Whether the cache has pages for all that the active requests, among them a new one, have not
 * encoded yet. */
static int fits(struct server *server, const struct request *added)
{
    lckv_item items[MAX_SESSIONS];
    size_t n = 0;
    for (const struct request *r = server->requests; r <= added; r++)
        if (r->state == ACTIVE)
            items[n++] = pending_item(r);
    return lckv_evaluate_cost(server->cache, items, sizeof items[0], n, NULL, NULL) == LCKV_OK;
}

/* Gives sessions to those that wait, in the order of their arrival. */
static int admit(struct server *server)
{
    size_t n_active = 0;
    int is_full = 0;
    for (size_t i = 0; i < server->n_requests; i++) {
        struct request *r = &server->requests[i];
        if (r->state == ACTIVE)
            n_active++;
        if (r->state != WAITING || r->arrives > now(server))
            continue;
        if (r->n_tokens == r->n_prompt && now(server) - r->arrives > PATIENCE_SECONDS) {
            r->state = TURNED_AWAY;
            continue;
        }
        if (is_full || n_active == MAX_SESSIONS)
            continue;
        /* It begins with what the cache has of the same tokens: a common prompt, or its own. */
        if (check(lckv_session_create(server->cache, &r->session)) ||
            check(lckv_session_reuse(r->session, r->tokens, r->n_tokens, &r->n_encoded)))
            return 1;
        r->state = ACTIVE;
        if (fits(server, r)) {
            n_active++;
        } else { /* those who came later wait, too; alone, it would never fit */
            release(r, n_active > 0 ? WAITING : TURNED_AWAY);
            is_full = n_active > 0;
        }
    }
    return 0;
}

/* ---- One call ------------------------------------------------------------------------------ */

/* Takes a token that was computed. */
static int take_token(struct server *server, struct request *r)
{
    lckv_token token;
    if (check(lckv_sampler_sample_session(r->sampler, r->session, &token)) ||
        check(lckv_sampler_accept(r->sampler, token)))
        return 1;
    double time = now(server);
    int is_first = r->n_tokens == r->n_prompt;
    struct times *times = is_first ? &server->first : &server->next;
    times->items[times->count++] = time - (is_first ? r->arrives : r->last_token_at);
    r->last_token_at = time;
    r->tokens[r->n_tokens++] = token; /* a server would send its text to the client here */
    size_t n = r->n_tokens - r->n_prompt;
    if (n >= r->n_answer)
        release(r, ANSWERED);
    else if (n >= r->leaves_after)
        release(r, LEFT);
    return 0;
}

/*
 * One call for all active requests: a token for each that decodes, and prompts in the rows that are
 * left, the oldest first. With upward layers each prompt gives one token, too: a call makes as many
 * passes as its longest item has tokens, and everyone would wait for them.
 */
static int step(struct server *server)
{
    lckv_item items[MAX_SESSIONS];
    struct request *of_item[MAX_SESSIONS], *youngest = NULL;
    size_t n = 0, room = PROMPT_ROWS, n_active = 0;
    for (size_t i = 0; i < server->n_requests; i++) {
        struct request *r = &server->requests[i];
        if (r->state != ACTIVE)
            continue;
        youngest = r;
        n_active++;
        lckv_item item = pending_item(r);
        size_t pending = item.n_tokens, most = server->is_upward ? 1 : room;
        if (pending > 1 && most == 0)
            continue;
        if (pending > 1 && pending > most)
            item.n_tokens = most;
        if (pending > 1 && !server->is_upward)
            room -= item.n_tokens;
        item.want = item.n_tokens == pending ? LCKV_WANT_LAST : LCKV_WANT_NOTHING;
        of_item[n] = r;
        items[n++] = item;
    }
    if (n == 0)
        return 0;
    lckv_status status = lckv_evaluate(server->cache, items, sizeof items[0], n, NULL, NULL);
    if (status == LCKV_CACHE_FULL) {
        /* Nothing has changed. The youngest goes on later, from the tokens that it has. */
        release(youngest, n_active > 1 ? WAITING : TURNED_AWAY);
        server->n_restarts += n_active > 1;
        return 0;
    }
    if (check(status))
        return 1;
    server->n_calls++;
    server->n_items += n;
    for (size_t i = 0; i < n; i++) {
        of_item[i]->n_encoded += items[i].n_tokens;
        if (items[i].want == LCKV_WANT_LAST && take_token(server, of_item[i]))
            return 1;
    }
    return 0;
}

/* ---- The loop ------------------------------------------------------------------------------ */

/* Sleeps until the next request arrives, if there is nothing to compute. Returns 0 at the end. */
static int wait_for_work(const struct server *server)
{
    for (size_t i = 0; i < server->n_requests; i++) {
        const struct request *r = &server->requests[i];
        if (r->state == ACTIVE)
            return 1;
        if (r->state != WAITING)
            continue;
        double seconds = r->arrives - now(server);
        if (seconds > 0) {
            struct timespec time = {(time_t)seconds, (long)(fmod(seconds, 1) * 1e9)};
            nanosleep(&time, NULL);
        }
        return 1;
    }
    return 0;
}

static int serve(struct server *server)
{
    while (wait_for_work(server))
        if (admit(server) || step(server))
            return 1;
    return 0;
}

/* ---- Figures ------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_times(const char *name, struct times *times)
{
    if (times->count == 0)
        return;
    qsort(times->items, times->count, sizeof times->items[0], compare);
    printf("%s  median %.1f ms, 99%% within %.1f ms\n", name, 1e3 * times->items[times->count / 2],
           1e3 * times->items[times->count * 99 / 100]);
}

static void print_figures(struct server *server)
{
    size_t n[LEFT + 1] = {0}, n_new = server->first.count + server->next.count;
    for (size_t i = 0; i < server->n_requests; i++)
        n[server->requests[i].state]++;
    printf("%zu requests: %zu answered, %zu turned away, %zu left; %zu restarts\n",
           server->n_requests, n[ANSWERED], n[TURNED_AWAY], n[LEFT], server->n_restarts);
    print_times("first token", &server->first);
    print_times("next token ", &server->next);
    printf("throughput   %.0f tokens/s, %.1f sessions a call\n", (double)n_new / now(server),
           server->n_calls > 0 ? (double)server->n_items / (double)server->n_calls : 0);
}

int main(int argc, char **argv)
{
    static struct server server;
    const char *path = argc > 1 ? argv[1] : "examples/models/stories-lckv-q8_0.gguf";
    size_t n_requests = argc > 2 ? strtoul(argv[2], NULL, 10) : 200;
    double per_second = argc > 3 ? strtod(argv[3], NULL) : 20;
    lckv_model *model = NULL;
    lckv_model_info info = {.size = sizeof info};
    lckv_plan_info plan = {.size = sizeof plan};
    lckv_cache_options options = {.size = sizeof options,
                                  .n_tokens = CACHE_TOKENS,
                                  .max_sessions = MAX_SESSIONS,
                                  .max_rows = MAX_SESSIONS + PROMPT_ROWS};
    if (n_requests > MAX_REQUESTS || !(per_second > 0))
        return fprintf(stderr, "at most %d requests, and more than 0 a second\n", MAX_REQUESTS), 2;
    server.n_requests = n_requests;
    int failed = check(lckv_model_open(path, NULL, &model)) ||
                 check(lckv_model_get_info(model, &info)) ||
                 check(lckv_plan_get_info(lckv_model_plan(model), &plan)) ||
                 check(lckv_cache_create(model, &options, &server.cache)) ||
                 make_requests(&server, per_second, info.n_vocab);
    server.is_upward = plan.n_upward > 0;
    server.started = now(&server);
    failed = failed || serve(&server);
    if (!failed)
        print_figures(&server);
    for (size_t i = 0; i < server.n_requests; i++) {
        lckv_session_release(server.requests[i].session);
        lckv_sampler_release(server.requests[i].sampler);
    }
    lckv_cache_release(server.cache);
    lckv_model_release(model);
    return failed;
}
