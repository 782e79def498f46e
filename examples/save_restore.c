/*
 * A session that outlives its program. Each run writes the next 20 tokens of a story and saves the
 * session to a file; the next run restores it and goes on, without computing what is there. The
 * pieces together are what one long run would have written.
 *
 *     cc save_restore.c $(pkg-config --cflags --libs lckv) -o save_restore
 *     ./save_restore MODEL story.saved; ./save_restore MODEL story.saved
 */
#include <lckv.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MAX_TOKENS = 20 };

/*
 * The note that is saved with the session. The last token that was generated is not in the session
 * yet, so it goes here. A program's own notes may be anything: the messages of a conversation, say.
 */
struct note {
    lckv_token pending;
    size_t n_read; /* bytes of the note so far: they may come in pieces */
};

static int check(lckv_status status)
{
    if (status != LCKV_OK)
        fprintf(stderr, "%s: %s\n", lckv_status_name(status), lckv_last_error());
    return status != LCKV_OK;
}

static int32_t read_note(void *user, const void *bytes, size_t length)
{
    struct note *note = user;
    if (length > sizeof note->pending - note->n_read)
        return 1; /* it is not a note of this program */
    memcpy((char *)&note->pending + note->n_read, bytes, length);
    note->n_read += length;
    return 0;
}

static int32_t print(void *user, lckv_token token, const char *text, size_t length)
{
    struct note *note = user;
    fwrite(text, 1, length, stdout);
    if (token >= 0)
        note->pending = token;
    return 0;
}

/* Begins a story: an empty session, and the tokens of its prompt. */
static int begin(const lckv_model *model, lckv_cache *cache, lckv_session **session,
                 lckv_token tokens[64], size_t *n)
{
    const char *prompt = "Once upon a time";
    fputs(prompt, stdout);
    return check(lckv_session_create(cache, session)) ||
           check(lckv_tokenize(model, prompt, strlen(prompt), 0, tokens, 64, n));
}

/* Goes on with a saved one: its session, and the one token that is not in it. */
static int restore(lckv_cache *cache, const char *path, lckv_session **session,
                   lckv_token tokens[64], size_t *n)
{
    struct note note = {0};
    size_t n_sessions;
    lckv_restore_options options = {.size = sizeof options, .note = read_note, .note_user = &note};
    if (check(lckv_sessions_restore_file(cache, path, &options, session, 1, &n_sessions)))
        return 1;
    if (note.n_read != sizeof note.pending)
        return fprintf(stderr, "%s: not saved by this program\n", path), 1;
    tokens[0] = note.pending;
    *n = 1;
    return 0;
}

static int save(lckv_session *session, const char *path, const struct note *note)
{
    lckv_save_options options = {
        .size = sizeof options, .note = &note->pending, .note_length = sizeof note->pending};
    return check(lckv_sessions_save_file(&session, 1, path, &options));
}

int main(int argc, char **argv)
{
    lckv_model *model = NULL;
    lckv_cache *cache = NULL;
    lckv_session *session = NULL;
    lckv_token tokens[64];
    size_t n = 0;
    struct note note = {0};
    lckv_generate_options options = {.size = sizeof options,
                                     .max_tokens = MAX_TOKENS,
                                     .callback = print,
                                     .callback_user = &note};
    lckv_generate_report report = {.size = sizeof report};
    if (argc != 3)
        return fprintf(stderr, "usage: %s MODEL FILE\n", argv[0]), 2;
    int failed = check(lckv_model_open(argv[1], NULL, &model)) ||
                 check(lckv_cache_create(model, NULL, &cache));
    if (!failed)
        failed = access(argv[2], F_OK) == 0 ? restore(cache, argv[2], &session, tokens, &n)
                                            : begin(model, cache, &session, tokens, &n);
    failed = failed || check(lckv_generate(session, NULL, tokens, n, &options, &report));
    if (!failed && report.reason == LCKV_STOP_END)
        remove(argv[2]); /* the story has come to its end, and the next run begins another */
    else
        failed = failed || save(session, argv[2], &note);
    lckv_session_release(session);
    lckv_cache_release(cache);
    lckv_model_release(model);
    return failed;
}
