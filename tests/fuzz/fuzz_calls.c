/*
 * Sequences of calls on a cache with a tiny model. The target keeps what every session must hold.
 * So after each call lengths, tokens, pages, logits, keys and values are compared, bit for bit,
 * with what a fresh cache computes from the same tokens.
 */
#include "calls.h"

/*
 * Takes sessions that the input names, among those that exist; the first of them if it names none.
 */
static size_t take_sessions(struct world *world, struct input *input, struct own *chosen[])
{
    uint32_t mask = take(input, 16);
    size_t n = 0;
    for (size_t i = 0; i < MAX_SESSIONS; i++) {
        if (world->own[i].session != NULL && (mask >> i & 1) != 0)
            chosen[n++] = &world->own[i];
    }
    for (size_t i = 0; n == 0 && i < MAX_SESSIONS; i++) {
        if (world->own[i].session != NULL)
            chosen[n++] = &world->own[i];
    }
    return n;
}

static struct own *take_session(struct world *world, struct input *input)
{
    uint32_t first = take(input, MAX_SESSIONS);
    for (size_t i = 0; i < MAX_SESSIONS; i++) {
        struct own *own = &world->own[(first + i) % MAX_SESSIONS];
        if (own->session != NULL)
            return own;
    }
    return NULL;
}

static void create_session(struct world *world, struct input *input)
{
    struct own *own = &world->own[take(input, MAX_SESSIONS)];
    if (own->session != NULL)
        return;
    lckv_status status = lckv_session_create(world->cache, &own->session);
    require(world->n_sessions < world->stats.max_sessions ? status == LCKV_OK
                                                          : status == LCKV_CACHE_FULL,
            "%s with %u sessions of %u", lckv_status_name(status), world->n_sessions,
            world->stats.max_sessions);
    own->n_tokens = own->longest = 0;
    own->held = false;
    world->n_sessions += status == LCKV_OK;
}

static void release_session(struct world *world, struct input *input)
{
    struct own *own = take_session(world, input);
    if (own == NULL)
        return;
    lckv_session_release(own->session);
    own->session = NULL;
    drop_reference(own);
    world->n_sessions--;
}

struct cancelling {
    struct world *world;
    uint32_t calls_left;
    bool by_return; /* or by lckv_cache_cancel */
};

static int32_t cancel(void *user, uint64_t done, uint64_t total)
{
    struct cancelling *cancelling = user;
    require(done <= total, "%llu done of %llu", (unsigned long long)done,
            (unsigned long long)total);
    if (cancelling->calls_left-- > 0)
        return 0;
    if (!cancelling->by_return)
        lckv_cache_cancel(cancelling->world->cache);
    return cancelling->by_return;
}

/* The input chooses the fields of a call. Tokens, logits and hidden states have room. */
static void evaluate(struct world *world, struct input *input)
{
    static lckv_token tokens[MAX_SESSIONS][MAX_NEW];
    static float logits[MAX_SESSIONS][MAX_NEW * TINY_VOCAB];
    static float hidden[MAX_SESSIONS][MAX_NEW * TINY_HIDDEN];
    struct own *chosen[MAX_SESSIONS];
    lckv_item items[MAX_SESSIONS + 1];
    size_t n = take_sessions(world, input, chosen);
    bool fits = n > 0;
    for (size_t i = 0; i < n; i++) {
        size_t n_new = 1 + take(input, MAX_NEW);
        for (size_t t = 0; t < n_new; t++)
            tokens[i][t] = (lckv_token)take(input, TINY_VOCAB);
        uint32_t want = take(input, 32), hidden_kind = (want & 16) != 0 ? 8 : 4;
        fits &= chosen[i]->n_tokens + n_new <= MAX_TOKENS;
        items[i] = (lckv_item){.session = chosen[i]->session,
                               .tokens = tokens[i],
                               .n_tokens = n_new,
                               .want = want % 3 + ((want & 4) != 0 ? hidden_kind : 0),
                               .logits = (want & 8) != 0 ? logits[i] : NULL,
                               .logits_capacity = (want & 8) != 0 ? COUNT(logits[i]) : 0,
                               .hidden = hidden[i],
                               .hidden_capacity = COUNT(hidden[i])};
    }
    struct cancelling cancelling = {world, take(input, 32), take(input, 2) == 0};
    struct segment segment = take_segment(input);
    lckv_evaluate_options options = {.size = sizeof options,
                                     .prefill = segment.prefill,
                                     .forward_passes = segment.forward_passes,
                                     .backward_passes = segment.backward_passes,
                                     .window = segment.window,
                                     .tolerance = segment.tolerance,
                                     .progress = cancel,
                                     .progress_user = &cancelling};
    if (!fits)
        return;
    lckv_evaluate_report report = {.size = sizeof report}, cost = {.size = sizeof cost};
    lckv_status priced =
        lckv_evaluate_cost(world->cache, items, sizeof items[0], n, &options, &cost);
    lckv_status status = lckv_evaluate(world->cache, items, sizeof items[0], n, &options, &report);
    succeeded(status);
    require(status == LCKV_CANCELLED || status == LCKV_CACHE_FULL || priced == status,
            "%s is %s to lckv_evaluate_cost", lckv_status_name(status), lckv_status_name(priced));
    require(report.failed_item >= -1 && report.failed_item < (int64_t)n, "item %lld of %zu",
            (long long)report.failed_item, n);
    if (status == LCKV_OK || status == LCKV_CACHE_FULL) {
        require(report.pages_free == world->stats.n_pages_free, "%llu pages were free",
                (unsigned long long)report.pages_free);
        require(report.pages_needed == cost.pages_needed, "%llu pages, by its cost %llu",
                (unsigned long long)report.pages_needed, (unsigned long long)cost.pages_needed);
        require((status == LCKV_OK) == (report.pages_needed <= report.pages_free) ||
                    report.pages_needed <= report.pages_free, /* too few rows of logits */
                "%llu pages needed, %llu free", (unsigned long long)report.pages_needed,
                (unsigned long long)report.pages_free);
    }
    if (status != LCKV_OK)
        return; /* check_world() finds everything as it was, the logits that are held too */
    let_go_of_logits(world);
    if (report.window > 0) /* what fitted */
        segment.window = report.window;
    for (size_t i = 0; i < n; i++)
        own_append(chosen[i], tokens[i], items[i].n_tokens, &segment);
    for (size_t i = 0; i < n; i++)
        check_item(world, chosen[i], &items[i]);
}

static void truncate_session(struct world *world, struct input *input)
{
    struct own *own = take_session(world, input);
    if (own == NULL)
        return;
    uint64_t length = take(input, (uint32_t)own->n_tokens + 2), shortest;
    require_ok(lckv_session_min_length(own->session, &shortest));
    uint32_t rollback = world->stats.rollback;
    require(shortest == 0 || shortest + rollback <= own->longest, "%zu, once %zu, cannot be %llu",
            own->n_tokens, own->longest, (unsigned long long)shortest);
    lckv_status status = lckv_session_truncate(own->session, length);
    if (length > own->n_tokens)
        require(status == LCKV_INVALID_ARGUMENT, "longer: %s", lckv_status_name(status));
    else if (length >= shortest)
        require(status == LCKV_OK, "%s", lckv_last_error());
    else
        require(status == LCKV_OUT_OF_WINDOW || length == 0, "%s", lckv_status_name(status));
    if (status == LCKV_OK) {
        own->is_lost |= length < own->n_tokens;
        own->held = false;
        own->n_tokens = (size_t)length;
        if (length == 0) {
            own->longest = 0;
            require_ok(lckv_session_min_length(own->session, &shortest));
            require(shortest == 0, "an empty session cannot be shorter than %llu",
                    (unsigned long long)shortest);
        }
        drop_reference(own);
    }
}

/* The place of a session that does not exist, if there is one and the cache has room for it. */
static struct own *free_place(struct world *world, struct input *input)
{
    struct own *own = &world->own[take(input, MAX_SESSIONS)];
    return own->session == NULL && world->n_sessions < world->stats.max_sessions ? own : NULL;
}

static void fork_session(struct world *world, struct input *input)
{
    struct own *own = take_session(world, input), *fork = free_place(world, input);
    if (own == NULL || fork == NULL)
        return;
    *fork = *own;
    fork->reference = NULL;
    fork->n_computed = 0;
    require_ok(lckv_session_fork(own->session, &fork->session));
    world->n_sessions++;
    world->shares = true;
}

/* A new session begins with tokens of another one, which may be released by now, and strays. */
static void reuse_session(struct world *world, struct input *input)
{
    const struct own *like = &world->own[take(input, MAX_SESSIONS)];
    struct own *own = free_place(world, input);
    lckv_token text[MAX_TOKENS + 1];
    size_t n = 1 + take(input, MAX_TOKENS), n_reused = 0;
    uint32_t first = take(input, TINY_VOCAB);
    if (own == NULL)
        return;
    for (size_t i = 0; i < n; i++)
        text[i] = i < like->n_tokens ? like->tokens[i] : (lckv_token)first;
    require_ok(lckv_session_create(world->cache, &own->session));
    require_ok(lckv_session_reuse(own->session, text, n, &n_reused));
    require(n_reused < n, "%zu of %zu tokens", n_reused, n);
    own->held = false;
    own->n_tokens = 0;
    const struct segment exact = {.prefill = LCKV_PREFILL_EXACT};
    own_append(own, text, n_reused, &exact);
    own->longest = MAX_TOKENS; /* windows may have moved on with the other session */
    world->n_sessions++;
    world->shares = true;
}

/* A stream that ends, or a write that fails, after some bytes. */
static int32_t put_some(void *user, const void *data, size_t length)
{
    struct bytes *bytes = user;
    return bytes->at > 0 && bytes->length + length > bytes->at ? 5 : bytes_put(user, data, length);
}

/* Gives saved sessions to a cache with other pages, which saves them again. */
static void pass_on(const struct world *world, struct bytes *saved)
{
    lckv_session *sessions[MAX_SESSIONS];
    struct bytes again = {0};
    size_t n = 0;
    saved->at = 0;
    require_ok(lckv_sessions_restore(world->reference, bytes_get, saved, NULL, sessions,
                                     MAX_SESSIONS, &n));
    require_ok(lckv_sessions_save(sessions, n, bytes_put, &again, NULL));
    for (size_t i = 0; i < n; i++)
        lckv_session_release(sessions[i]);
    free(saved->data);
    *saved = again;
}

static void save_sessions(struct world *world, struct input *input)
{
    struct own *chosen[MAX_SESSIONS];
    lckv_session *sessions[MAX_SESSIONS];
    size_t n = take_sessions(world, input, chosen);
    uint32_t stops_at = take(input, 256), passes_on = take(input, 2);
    struct bytes bytes = {.at = stops_at < 200 ? 0 : (stops_at - 199) * (size_t)50};
    if (n == 0)
        return;
    for (size_t i = 0; i < n; i++)
        sessions[i] = chosen[i]->session;
    lckv_status status = lckv_sessions_save(sessions, n, put_some, &bytes, NULL);
    require(status == LCKV_OK || (status == LCKV_IO && bytes.at > 0), "saved: %s",
            lckv_status_name(status));
    if (!succeeded(status)) {
        free(bytes.data);
        return;
    }
    if (passes_on)
        pass_on(world, &bytes);
    free(world->saved.data);
    world->saved = bytes;
    world->n_saved = n;
    for (size_t i = 0; i < n; i++) {
        world->saved_own[i] = *chosen[i];
        world->saved_own[i].reference = NULL;
    }
}

/* What is damaged or cut off must be noticed. */
static void restore_sessions(struct world *world, struct input *input)
{
    lckv_session *sessions[MAX_SESSIONS];
    struct bytes bytes = world->saved;
    uint32_t harm = take(input, 256);
    size_t where = take(input, 256) * (size_t)256 + take(input, 256), n = 0;
    if (world->n_saved == 0)
        return;
    where %= bytes.length;
    bytes.at = 0;
    if (harm < 16)
        bytes.length = where;
    else if (harm < 32)
        bytes.data[where] ^= (uint8_t)(1 << harm % 8);
    lckv_status status =
        lckv_sessions_restore(world->cache, bytes_get, &bytes, NULL, sessions, MAX_SESSIONS, &n);
    if (harm >= 16 && harm < 32)
        bytes.data[where] ^= (uint8_t)(1 << harm % 8);
    require(harm >= 32 || status != LCKV_OK, "damage at %zu is not noticed", where);
    require(harm < 32 || status == LCKV_OK || status == LCKV_CACHE_FULL, "%s", lckv_last_error());
    if (!succeeded(status))
        return;
    require(n == world->n_saved, "%zu sessions, %zu were saved", n, world->n_saved);
    for (size_t i = 0, place = 0; i < n; i++) {
        while (world->own[place].session != NULL)
            place++;
        struct own *own = &world->own[place];
        *own = world->saved_own[i];
        own->session = sessions[i];
        own->n_computed = 0;
        own->held = false;
        own->is_lost = true;
    }
    world->n_sessions += (uint32_t)n;
    world->shares = true;
}

static void read_kv(struct world *world, struct input *input)
{
    struct own *own = take_session(world, input);
    if (own == NULL)
        return;
    uint32_t slot = take(input, world->n_slots + 1), limit = (uint32_t)own->n_tokens + 2;
    uint64_t begin = take(input, limit), end = take(input, limit);
    check_kv(world, own, slot, begin, end);
}

static int32_t on_token(void *user, lckv_token token, const char *text, size_t length)
{
    struct cancelling *cancelling = user;
    require(token >= -1 && token < TINY_VOCAB && (length == 0 || text != NULL), "token %d",
            (int)token);
    return cancelling->calls_left-- == 0 ? cancel(user, 0, 0) : 0;
}

static void generate(struct world *world, struct input *input)
{
    static const lckv_string stops[] = {{"us", 2}, {"ab", 2}};
    struct own *own = take_session(world, input);
    lckv_token prompt[MAX_NEW], after[MAX_TOKENS];
    size_t n_prompt = 1 + take(input, MAX_NEW), n_after = 0;
    for (size_t i = 0; i < n_prompt; i++)
        prompt[i] = (lckv_token)take(input, TINY_VOCAB);
    struct cancelling cancelling = {world, take(input, 16), take(input, 2) == 0};
    lckv_generate_options options = {.size = sizeof options,
                                     .max_tokens = 1 + take(input, 8),
                                     .stops = stops,
                                     .n_stops = take(input, 3),
                                     .ignore_end = take(input, 2) == 0,
                                     .callback = on_token,
                                     .callback_user = &cancelling,
                                     .window = 1};
    bool is_greedy = take(input, 2) == 0;
    if (own == NULL || own->n_tokens + n_prompt + options.max_tokens > MAX_TOKENS ||
        world->stats.context_window > 0) /* sessions may have forgotten what was generated */
        return;
    lckv_generate_report report = {.size = sizeof report};
    size_t before = own->n_tokens;
    bool is_done = succeeded(lckv_generate(own->session, is_greedy ? NULL : world->sampler, prompt,
                                           n_prompt, &options, &report));
    require_ok(lckv_session_tokens(own->session, after, COUNT(after), &n_after));
    require(is_done || n_after == before, "a failure appended %zu tokens: %s", n_after - before,
            lckv_last_error());
    if (is_done && report.n_prompt > 0)
        require(n_after >= before + n_prompt &&
                    memcmp(after + before, prompt, n_prompt * sizeof *prompt) == 0,
                "the session does not hold the prompt");
    forget_logits(world);
    struct segment exact = {.prefill = LCKV_PREFILL_EXACT};
    own_append(own, after + before, n_after - before, &exact);
    if (is_greedy && n_after > before)
        check_greedy(world, own, before + n_prompt);
}

static void sample(struct world *world, struct input *input)
{
    struct own *own = take_session(world, input);
    uint32_t what = take(input, 4);
    lckv_token token = 0;
    if (what == 1)
        require_ok(lckv_sampler_reset(world->sampler));
    if (what == 2) {
        lckv_sampler *clone = NULL;
        require_ok(lckv_sampler_clone(world->sampler, &clone));
        lckv_sampler_release(world->sampler);
        world->sampler = clone;
    }
    if (own == NULL)
        return;
    if (succeeded(lckv_sampler_sample_session(world->sampler, own->session, &token))) {
        require(token >= 0 && token < TINY_VOCAB && !own->is_lost, "token %d", (int)token);
        require_ok(lckv_sampler_accept(world->sampler, token));
    }
}

/* Calls with arguments that break the contract, which must change nothing. */
static void misuse(struct world *world, struct input *input)
{
    struct own *own = take_session(world, input);
    uint32_t what = take(input, 9);
    if (own == NULL)
        return;
    lckv_token token = what == 0 ? -1 : what == 1 ? TINY_VOCAB : 0;
    lckv_item items[2] = {{.session = own->session,
                           .tokens = what == 2 ? NULL : &token,
                           .n_tokens = what == 3 ? 0 : 1,
                           .want = what == 4   ? 3
                                   : what == 5 ? LCKV_WANT_HIDDEN
                                               : 0}};
    items[1] = items[0];
    size_t stride = what == 6 ? sizeof(lckv_item) - 8 : sizeof(lckv_item);
    size_t n = what == 7 ? 2 : what == 8 ? 0 : 1;
    lckv_evaluate_report report = {.size = sizeof report, .failed_item = 9};
    lckv_status status = lckv_evaluate(world->cache, items, stride, n, NULL, &report);
    require(status == LCKV_INVALID_ARGUMENT, "misuse %u gives %s", what, lckv_status_name(status));
    require(report.failed_item >= -1 && report.failed_item < (int64_t)n, "item %lld of misuse %u",
            (long long)report.failed_item, what);
}

static void cancel_nothing(struct world *world, struct input *input)
{
    (void)input;
    lckv_cache_cancel(world->cache);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const calls[])(struct world *, struct input *) = {
        create_session,   evaluate,      evaluate,        evaluate,
        truncate_session, read_kv,       generate,        sample,
        misuse,           evaluate,      release_session, cancel_nothing,
        fork_session,     reuse_session, save_sessions,   restore_sessions};
    struct input input = {data, size};
    struct world world;
    world_open(&world, &input);
    create_session(&world, &input);
    for (int i = 0; world.cache != NULL && i < 64 && input.size > 0; i++) {
        calls[take(&input, COUNT(calls))](&world, &input);
        check_world(&world);
    }
    world_close(&world, &input);
    return 0;
}
