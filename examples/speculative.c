/*
 * Speculative decoding: a small model, the draft, guesses the next tokens one by one, and the large
 * one, the target, looks at all guesses in a single call. As far as they are its own most likely
 * tokens they are accepted, so the text is exactly what the target writes alone. The text goes to
 * the standard output, what became of the guesses to the standard error.
 *
 *     cc speculative.c $(pkg-config --cflags --libs lckv) -o speculative
 *     ./speculative TARGET DRAFT [PROMPT]
 */
#include <lckv.h>
#include <stdio.h>
#include <string.h>

enum { N_GUESSES = 4, MAX_PROMPT = 256, MAX_ANSWER = 64 };

/* A model with one session. It holds a beginning of the text, and perhaps guesses behind it. */
struct reader {
    lckv_model *model;
    lckv_cache *cache;
    lckv_session *session;
    lckv_model_info info;
    size_t n_held;     /* tokens in the session */
    uint64_t n_passes; /* over the weights of its layers */
};

static int check(lckv_status status)
{
    if (status != LCKV_OK)
        fprintf(stderr, "%s: %s\n", lckv_status_name(status), lckv_last_error());
    return status != LCKV_OK;
}

static int open_reader(struct reader *reader, const char *path)
{
    /* The target wants a row of logits for each guess, and one for the token before them. */
    lckv_cache_options options = {
        .size = sizeof options, .max_sessions = 1, .max_logit_rows = N_GUESSES + 1};
    reader->info.size = sizeof reader->info;
    if (check(lckv_model_open(path, NULL, &reader->model)) ||
        check(lckv_model_get_info(reader->model, &reader->info)) ||
        check(lckv_cache_create(reader->model, &options, &reader->cache)) ||
        check(lckv_session_create(reader->cache, &reader->session)))
        return 1;
    return 0;
}

static void close_reader(struct reader *reader)
{
    lckv_session_release(reader->session);
    lckv_cache_release(reader->cache);
    lckv_model_release(reader->model);
}

/* Both models must mean the same by every token. */
static int same_vocabulary(const struct reader *a, const struct reader *b)
{
    int same = a->info.n_vocab == b->info.n_vocab;
    for (lckv_token t = 0; same && t < (lckv_token)a->info.n_vocab; t++) {
        const char *text_a, *text_b;
        size_t length_a, length_b;
        lckv_token_type type;
        if (check(lckv_model_token(a->model, t, &text_a, &length_a, &type)) ||
            check(lckv_model_token(b->model, t, &text_b, &length_b, &type)))
            return 0;
        same = length_a == length_b && memcmp(text_a, text_b, length_a) == 0;
    }
    if (!same)
        fprintf(stderr, "the two models have different vocabularies\n");
    return same;
}

/*
 * Appends tokens[n_held .. n) to the session. With LCKV_WANT_LAST or LCKV_WANT_ALL it gives the
 * most likely token after the last, or after each of them.
 */
static int evaluate(struct reader *reader, lckv_sampler *greedy, const lckv_token *tokens, size_t n,
                    uint32_t want, lckv_token *next)
{
    /* The same result however the text is cut into calls; AUTO is only nearly that. */
    lckv_evaluate_options options = {.size = sizeof options, .prefill = LCKV_PREFILL_EXACT};
    lckv_evaluate_report report = {.size = sizeof report};
    const lckv_item item = {.session = reader->session,
                            .tokens = tokens + reader->n_held,
                            .n_tokens = n - reader->n_held,
                            .want = want};
    const float *logits;
    size_t n_rows = 0, n_vocab = reader->info.n_vocab;
    if (check(lckv_evaluate(reader->cache, &item, sizeof item, 1, &options, &report)) ||
        (want != LCKV_WANT_NOTHING &&
         check(lckv_session_logits(reader->session, &logits, &n_rows))))
        return 1;
    reader->n_held = n;
    reader->n_passes += report.n_passes;
    for (size_t i = 0; i < n_rows; i++)
        if (check(lckv_sampler_sample(greedy, logits + i * n_vocab, n_vocab, &next[i])))
            return 1;
    return 0;
}

/* Takes back the guesses that were not accepted: only `n` tokens of the text remain. */
static int take_back(struct reader *reader, size_t n)
{
    if (reader->n_held > n) {
        if (check(lckv_session_truncate(reader->session, n)))
            return 1;
        reader->n_held = n;
    }
    return 0;
}

static void print_tokens(FILE *file, const lckv_model *model, const lckv_token *tokens, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *text;
        size_t length;
        lckv_token_type type;
        if (lckv_model_token(model, tokens[i], &text, &length, &type) == LCKV_OK &&
            type != LCKV_TOKEN_CONTROL)
            fwrite(text, 1, length, file);
    }
}

/* Writes the answer behind the n tokens of the prompt. Both sessions are empty at first. */
static int write_answer(struct reader *target, struct reader *draft, lckv_sampler *greedy,
                        lckv_token *tokens, size_t n)
{
    const size_t n_most = n + MAX_ANSWER;
    size_t n_guessed = 0, n_accepted = 0, n_calls = 0;
    int has_ended = 0;
    /* The target holds all of the text but the last token, to which the next call adds guesses. */
    if (n > 1 && evaluate(target, greedy, tokens, n - 1, LCKV_WANT_NOTHING, NULL))
        return 1;
    while (n < n_most && !has_ended) {
        size_t n_now = n_most - n < N_GUESSES ? n_most - n : N_GUESSES, accepted = 0;
        lckv_token next[N_GUESSES + 1];
        for (size_t i = 0; i < n_now; i++)
            if (evaluate(draft, greedy, tokens, n + i, LCKV_WANT_LAST, &tokens[n + i]))
                return 1;
        if (evaluate(target, greedy, tokens, n + n_now, LCKV_WANT_ALL, next))
            return 1;
        while (accepted < n_now && tokens[n + accepted] == next[accepted])
            accepted++;
        fprintf(stderr, "%zu of %zu accepted:", accepted, n_now);
        print_tokens(stderr, target->model, tokens + n, accepted);
        fputc('\n', stderr);
        /* Behind the accepted guesses stands the target's own choice, which costs nothing more. */
        tokens[n + accepted] = next[accepted];
        size_t n_new = accepted + 1 < n_most - n ? accepted + 1 : n_most - n;
        for (size_t i = 0; i < n_new && !has_ended; i++)
            if (lckv_model_is_end_token(target->model, tokens[n + i])) {
                has_ended = 1;
                n_new = i + 1;
            }
        print_tokens(stdout, target->model, tokens + n, n_new);
        n += n_new;
        if (take_back(target, n - 1) || take_back(draft, n - 1))
            return 1;
        n_guessed += n_now;
        n_accepted += accepted;
        n_calls++;
    }
    putchar('\n');
    fprintf(stderr, "%zu tokens in %zu calls of the target (%llu passes over its layers), ",
            MAX_ANSWER - (n_most - n), n_calls, (unsigned long long)target->n_passes);
    fprintf(stderr, "%zu of %zu guesses accepted\n", n_accepted, n_guessed);
    return 0;
}

int main(int argc, char **argv)
{
    struct reader target = {0}, draft = {0};
    lckv_sampler *greedy = NULL;
    lckv_token tokens[MAX_PROMPT + MAX_ANSWER + N_GUESSES];
    size_t n = 0;
    const char *prompt = argc > 3 ? argv[3] : "Once upon a time";
    if (argc < 3)
        return fprintf(stderr, "usage: %s TARGET DRAFT [PROMPT]\n", argv[0]), 2;
    int failed =
        open_reader(&target, argv[1]) || open_reader(&draft, argv[2]) ||
        !same_vocabulary(&target, &draft) || check(lckv_sampler_create(NULL, &greedy)) ||
        check(lckv_tokenize(target.model, prompt, strlen(prompt), 0, tokens, MAX_PROMPT, &n));
    if (!failed) {
        fputs(prompt, stdout);
        failed = write_answer(&target, &draft, greedy, tokens, n);
    }
    lckv_sampler_release(greedy);
    close_reader(&draft);
    close_reader(&target);
    return failed;
}
