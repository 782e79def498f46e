/*
 * Every allocation of the process fails in turn, those of malloc itself and of other libraries
 * included, in everything that programs do with the library. Each trial is a child process. It must
 * end with a status, LCKV_OK or LCKV_OUT_OF_MEMORY, never with a signal, and keep no block. Runs
 * with preload.c in LD_PRELOAD.
 */
#include "../fuzz/tiny.h"
#include "lckv.h"

#include <dlfcn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void (*faults_begin)(long nth, bool and_after);
static bool (*faults_end)(long *n_kept);

static char folder[256], gguf[300], packed[300], converted[300];
static lckv_model *opened; /* for work that does not open a model itself */

/* ---- What programs do. The first failure is the result. ---- */

static lckv_status open_path(const char *path)
{
    lckv_model *model = NULL;
    lckv_status status = lckv_model_open(path, NULL, &model);
    lckv_model_release(model);
    return status;
}

static lckv_status open_directory(void)
{
    return open_path(folder);
}

static lckv_status open_gguf(void)
{
    return open_path(gguf);
}

static lckv_status tokenize(void)
{
    static const char text[] = "abc bad user's 12e\xCC\x81 <s>";
    static const lckv_message message = {"user", 4, " a\n", 3};
    lckv_token tokens[64];
    char buffer[256];
    size_t n_tokens = 0, length;
    lckv_detokenizer *detokenizer = NULL;
    const char *piece;
    lckv_status status =
        lckv_tokenize(opened, text, sizeof text - 1, 0, tokens, COUNT(tokens), &n_tokens);
    if (status == LCKV_OK)
        status = lckv_detokenize(opened, tokens, n_tokens, 0, buffer, sizeof buffer, &length);
    if (status == LCKV_OK)
        status = lckv_chat_format(opened, &message, sizeof message, 1, LCKV_CHAT_ANSWER, buffer,
                                  sizeof buffer, &length);
    if (status == LCKV_OK)
        status = lckv_chat_tokenize(opened, &message, sizeof message, 1, LCKV_CHAT_ANSWER, tokens,
                                    COUNT(tokens), &n_tokens);
    if (status == LCKV_OK)
        status = lckv_detokenizer_create(opened, 0, &detokenizer);
    for (size_t i = 0; status == LCKV_OK && i < n_tokens; i++)
        status = lckv_detokenizer_push(detokenizer, tokens[i], &piece, &length);
    lckv_detokenizer_release(detokenizer);
    return status;
}

static lckv_status make_session(uint32_t n_threads, lckv_cache **cache, lckv_session **session)
{
    const lckv_cache_options options = {.size = sizeof options,
                                        .n_tokens = 64,
                                        .max_sessions = 2,
                                        .page_positions = 16,
                                        .n_threads = n_threads,
                                        .max_rows = 8};
    lckv_status status = lckv_cache_create(opened, &options, cache);
    return status == LCKV_OK ? lckv_session_create(*cache, session) : status;
}

static lckv_status evaluate_with(uint32_t n_threads)
{
    static const lckv_token tokens[] = {0, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 4};
    lckv_cache *cache = NULL;
    lckv_session *session = NULL;
    const lckv_sampler_options sampling = {
        .size = sizeof sampling, .temperature = 1, .top_p = 0.5f};
    lckv_sampler *sampler = NULL;
    lckv_token token;
    lckv_status status = make_session(n_threads, &cache, &session);
    lckv_item item = {
        .session = session, .tokens = tokens, .n_tokens = COUNT(tokens), .want = LCKV_WANT_LAST};
    if (status == LCKV_OK)
        status = lckv_evaluate(cache, &item, sizeof item, 1, NULL, NULL);
    if (status == LCKV_OK)
        status = lckv_sampler_create(&sampling, &sampler);
    if (status == LCKV_OK)
        status = lckv_sampler_sample_session(sampler, session, &token);
    if (status == LCKV_OK)
        status = lckv_sampler_accept(sampler, token);
    if (status == LCKV_OK)
        status = lckv_session_truncate(session, 3);
    lckv_sampler_release(sampler);
    lckv_session_release(session);
    lckv_cache_release(cache);
    return status;
}

static lckv_status evaluate(void)
{
    return evaluate_with(1);
}

static lckv_status evaluate_in_threads(void)
{
    return evaluate_with(2);
}

/* Opens a model whose weights are streamed, and evaluates: a thread reads them. */
static lckv_status stream(void)
{
    const lckv_model_options options = {.size = sizeof options, .weights = LCKV_WEIGHTS_STREAMED};
    lckv_model *in_memory = opened;
    lckv_status status = lckv_model_open(packed, &options, &opened);
    if (status == LCKV_OK) {
        status = evaluate_with(2);
        lckv_model_release(opened);
    }
    opened = in_memory;
    return status;
}

static lckv_status generate(void)
{
    static const lckv_token prompt[] = {0, 4, 5};
    static const lckv_string stop = {"user", 4};
    const lckv_generate_options options = {
        .size = sizeof options, .max_tokens = 20, .stops = &stop, .n_stops = 1, .ignore_end = 1};
    lckv_cache *cache = NULL;
    lckv_session *session = NULL;
    lckv_status status = make_session(1, &cache, &session);
    if (status == LCKV_OK)
        status = lckv_generate(session, NULL, prompt, COUNT(prompt), &options, NULL);
    lckv_session_release(session);
    lckv_cache_release(cache);
    return status;
}

/* Saves two sessions that share pages to a file, and restores them. */
static lckv_status save_and_restore(void)
{
    static const lckv_token tokens[] = {0, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 4};
    lckv_cache *cache = NULL;
    lckv_session *sessions[2] = {NULL, NULL}, *restored[2] = {NULL, NULL};
    size_t n = 0;
    char path[300];
    snprintf(path, sizeof path, "%s/saved", folder);
    lckv_status status = make_session(1, &cache, &sessions[0]);
    lckv_item item = {.session = sessions[0], .tokens = tokens, .n_tokens = COUNT(tokens)};
    if (status == LCKV_OK)
        status = lckv_evaluate(cache, &item, sizeof item, 1, NULL, NULL);
    if (status == LCKV_OK)
        status = lckv_session_fork(sessions[0], &sessions[1]);
    if (status == LCKV_OK)
        status = lckv_sessions_save_file(sessions, 2, path, NULL);
    lckv_session_release(sessions[0]);
    lckv_session_release(sessions[1]);
    if (status == LCKV_OK)
        status = lckv_sessions_restore_file(cache, path, NULL, restored, 2, &n);
    lckv_session_release(restored[0]);
    lckv_session_release(restored[1]);
    lckv_cache_release(cache);
    unlink(path);
    return status;
}

static lckv_status convert_directory(void)
{
    const lckv_convert_options options = {
        .size = sizeof options, .dtype = LCKV_DTYPE_F16, .plan = "1_1_2"};
    return lckv_convert(folder, converted, &options, NULL);
}

static lckv_status convert_packed(void)
{
    const lckv_convert_options options = {.size = sizeof options, .packed = 1};
    return lckv_convert(gguf, converted, &options, NULL);
}

static const struct {
    const char *name;
    lckv_status (*run)(void);
} works[] = {{"open a directory", open_directory},
             {"open a GGUF file", open_gguf},
             {"tokenize", tokenize},
             {"evaluate", evaluate},
             {"evaluate in threads", evaluate_in_threads},
             {"stream weights", stream},
             {"generate", generate},
             {"save and restore", save_and_restore},
             {"convert a directory", convert_directory},
             {"convert and pack", convert_packed}};

/* ---- Trials ---- */

enum outcome { NOT_REACHED, SURVIVED, FAILED }; /* exit codes of the children */

static const char *name_of(lckv_status status)
{
    return lckv_status_name(status);
}

/* Runs in the child: does the work while its `nth` allocation fails. */
static enum outcome attempt(size_t work, long nth, bool and_after, long n_kept_at_most)
{
    long n_kept = 0;
    faults_begin(nth, and_after);
    lckv_status status = works[work].run();
    bool has_failed = faults_end(&n_kept);
    if (status != LCKV_OK && (status != LCKV_OUT_OF_MEMORY || lckv_last_error()[0] == '\0')) {
        fprintf(stderr, "%s, allocation %ld: %s: %s\n", works[work].name, nth, name_of(status),
                lckv_last_error());
        return FAILED;
    }
    if (n_kept > n_kept_at_most) {
        fprintf(stderr, "%s, allocation %ld: %s, but %ld blocks are kept (%ld without faults)\n",
                works[work].name, nth, name_of(status), n_kept, n_kept_at_most);
        return FAILED;
    }
    return has_failed ? SURVIVED : NOT_REACHED;
}

static enum outcome try_in_child(size_t work, long nth, bool and_after, long n_kept_at_most)
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        _exit((int)attempt(work, nth, and_after, n_kept_at_most));
    int end = 0;
    if (child < 0 || waitpid(child, &end, 0) != child) {
        perror("fork");
        return FAILED;
    }
    if (!WIFEXITED(end)) {
        fprintf(stderr, "%s, allocation %ld: signal %d\n", works[work].name, nth, WTERMSIG(end));
        return FAILED;
    }
    return (enum outcome)WEXITSTATUS(end);
}

/* The blocks that the work keeps if nothing fails: what other libraries allocate once. */
static long count_kept(size_t work)
{
    int ends[2];
    long n_kept = -1;
    if (pipe(ends) != 0)
        return -1;
    if (fork() == 0) {
        faults_begin(-1, false);
        lckv_status status = works[work].run();
        faults_end(&n_kept);
        if (status != LCKV_OK)
            fprintf(stderr, "%s: %s: %s\n", works[work].name, name_of(status), lckv_last_error());
        ssize_t written = write(ends[1], &n_kept, status == LCKV_OK ? sizeof n_kept : 0);
        _exit(written != sizeof n_kept);
    }
    close(ends[1]);
    if (read(ends[0], &n_kept, sizeof n_kept) != sizeof n_kept)
        n_kept = -1;
    close(ends[0]);
    wait(NULL);
    return n_kept;
}

static size_t try_all(size_t work)
{
    long n_kept = count_kept(work), n_trials = 0;
    size_t n_failed = n_kept < 0;
    for (int and_after = 0; n_kept >= 0 && and_after < 2; and_after++) {
        enum outcome outcome = SURVIVED;
        for (long nth = 1; outcome != NOT_REACHED; nth++) {
            outcome = try_in_child(work, nth, and_after, n_kept);
            n_failed += outcome == FAILED;
            n_trials++;
        }
    }
    printf("%s: %ld trials, %zu failed\n", works[work].name, n_trials, n_failed);
    return n_failed;
}

/* What a directory may hold beside the tiny models' files. */
static const struct {
    const char *name, *text;
} others[] = {
    {"generation_config.json", "{\"eos_token_id\":[1,3],\"pad_token_id\":2}"},
    {"special_tokens_map.json", "{\"pad_token\":{\"content\":\"</s>\"}}"},
    {"chat_template.jinja",
     "{{ bos_token }}{% set end = '<|im_end|>\\n' %}{% for m in messages %}{{ '<|im_start|>' + "
     "m.role ~ '\\n' + m.content|trim + end if m.role != 'system' }}{% endfor %}"
     "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"},
};

static bool make_models(void)
{
    static const struct tiny tiny = {.n_layers = 3, .has_biases = true};
    const char *parent = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/lckv-malloc-XXXXXX",
             parent != NULL && parent[0] != '\0' ? parent : "/tmp");
    if (mkdtemp(folder) == NULL || !tiny_write(&tiny, folder))
        return false;
    for (size_t i = 0; i < COUNT(others); i++) {
        if (!tiny_write_file(folder, others[i].name, others[i].text, strlen(others[i].text), 0))
            return false;
    }
    snprintf(gguf, sizeof gguf, "%s/model.gguf", folder);
    snprintf(packed, sizeof packed, "%s/packed.gguf", folder);
    snprintf(converted, sizeof converted, "%s/converted.gguf", folder);
    const lckv_convert_options pack = {.size = sizeof pack, .packed = 1};
    return lckv_convert(folder, gguf, NULL, NULL) == LCKV_OK &&
           lckv_convert(gguf, packed, &pack, NULL) == LCKV_OK &&
           lckv_model_open(gguf, NULL, &opened) == LCKV_OK;
}

static void remove_models(void)
{
    static const char *const names[] = {
        "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
        "model.gguf",  "packed.gguf",       "converted.gguf"};
    char path[300];
    for (size_t i = 0; i < COUNT(names); i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    for (size_t i = 0; i < COUNT(others); i++) {
        snprintf(path, sizeof path, "%s/%s", folder, others[i].name);
        unlink(path);
    }
    rmdir(folder); /* stays if a conversion left its temporary file, and is a failure then */
}

int main(void)
{
    *(void **)&faults_begin = dlsym(RTLD_DEFAULT, "malloc_faults_begin");
    *(void **)&faults_end = dlsym(RTLD_DEFAULT, "malloc_faults_end");
    if (faults_begin == NULL || faults_end == NULL) {
        fprintf(stderr, "expected malloc_faults.so in LD_PRELOAD\n");
        return EXIT_FAILURE;
    }
    if (!make_models()) {
        fprintf(stderr, "cannot make the models: %s\n", lckv_last_error());
        return EXIT_FAILURE;
    }
    size_t n_failed = 0;
    for (size_t work = 0; work < COUNT(works); work++)
        n_failed += try_all(work);
    lckv_model_release(opened);
    remove_models();
    if (access(folder, F_OK) == 0) {
        fprintf(stderr, "files are left in %s\n", folder);
        n_failed++;
    }
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
