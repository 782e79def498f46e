/*
 * Asks llama.cpp, whose tokens and logits the references of this folder are. make_references.py
 * builds and runs it:
 *
 *     peer MODEL [f32]
 *
 * With f32, keys, values and attention are float32, too. It answers each line of standard input by
 * a line:
 *
 *     tokenize N        the ids of the N bytes behind the line, special tokens in them as such
 *     generate N ID...  N times an id and by how much its logit exceeds the next: greedy text
 *     score ID...       for every id the most likely next one, by how much its logit exceeds the
 *                       others, and the log-probability of the id that does follow (0 at the end)
 *     top ID...         the ten most likely ids after these and their logits
 */
#include <llama.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TOKENS 4096
#define MAX_BYTES (1 << 20)
#define N_THREADS 2
#define N_TOP 10

struct peer {
    struct llama_context *context;
    const struct llama_vocab *vocab;
    int n_vocab;
    int n_ids;
    llama_token ids[MAX_TOKENS];
};

static void stop(const char *what)
{
    fprintf(stderr, "peer: %s\n", what);
    exit(1);
}

static void be_quiet(enum ggml_log_level level, const char *text, void *user)
{
    (void)user;
    if (level == GGML_LOG_LEVEL_ERROR)
        fputs(text, stderr);
}

/* Appends tokens; the logits of all of them are there until the next call. */
static void append(struct peer *peer, llama_token *ids, int n)
{
    struct llama_batch batch = llama_batch_get_one(ids, n);
    int8_t wanted[MAX_TOKENS];
    memset(wanted, 1, sizeof wanted);
    batch.logits = wanted;
    if (llama_decode(peer->context, batch) != 0)
        stop("llama_decode failed");
}

static void begin(struct peer *peer)
{
    llama_memory_clear(llama_get_memory(peer->context), true);
    append(peer, peer->ids, peer->n_ids);
}

/* The most likely token, and the margin by which it is. */
static llama_token most_likely(const float *logits, int n, float *margin)
{
    int best = logits[1] > logits[0];
    float second = logits[!best];
    for (int i = 2; i < n; i++) {
        if (logits[i] > logits[best]) {
            second = logits[best];
            best = i;
        } else if (logits[i] > second) {
            second = logits[i];
        }
    }
    *margin = logits[best] - second;
    return best;
}

static double log_probability(const float *logits, int n, llama_token best, llama_token token)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += exp((double)logits[i] - (double)logits[best]);
    return (double)logits[token] - (double)logits[best] - log(sum);
}

static void generate(struct peer *peer, int n)
{
    begin(peer);
    for (int i = 0; i < n; i++) {
        float margin;
        llama_token best =
            most_likely(llama_get_logits_ith(peer->context, -1), peer->n_vocab, &margin);
        printf("%d %.4f ", best, margin);
        append(peer, &best, 1);
    }
}

static void score(struct peer *peer)
{
    begin(peer);
    for (int i = 0; i < peer->n_ids; i++) {
        const float *logits = llama_get_logits_ith(peer->context, i);
        float margin;
        llama_token best = most_likely(logits, peer->n_vocab, &margin);
        double next = i + 1 < peer->n_ids
                          ? log_probability(logits, peer->n_vocab, best, peer->ids[i + 1])
                          : 0;
        printf("%d %.4f %.5f ", best, margin, next);
    }
}

static void top(struct peer *peer)
{
    begin(peer);
    float *logits = llama_get_logits_ith(peer->context, -1), margin;
    for (int i = 0; i < N_TOP; i++) {
        llama_token best = most_likely(logits, peer->n_vocab, &margin);
        printf("%d %.4f ", best, logits[best]);
        logits[best] = -INFINITY;
    }
}

static void tokenize(struct peer *peer, int length)
{
    static char bytes[MAX_BYTES];
    static llama_token ids[MAX_BYTES];
    if (length > MAX_BYTES || fread(bytes, 1, (size_t)length, stdin) != (size_t)length)
        stop("a text is too long or cut off");
    int n = llama_tokenize(peer->vocab, bytes, length, ids, MAX_BYTES, true, true);
    for (int i = 0; i < n; i++)
        printf("%d ", ids[i]);
}

static void read_ids(struct peer *peer, const char *text)
{
    char *end;
    for (peer->n_ids = 0; peer->n_ids < MAX_TOKENS; text = end) {
        long id = strtol(text, &end, 10);
        if (end == text)
            return;
        peer->ids[peer->n_ids++] = (llama_token)id;
    }
    stop("too many tokens");
}

int main(int argc, char **argv)
{
    static struct peer peer;
    if (argc < 2)
        stop("usage: peer MODEL [f32]");
    llama_log_set(be_quiet, NULL);
    struct llama_model *model = llama_model_load_from_file(argv[1], llama_model_default_params());
    if (model == NULL)
        stop("the model does not open");
    struct llama_context_params params = llama_context_default_params();
    params.n_ctx = params.n_batch = MAX_TOKENS;
    params.n_ubatch = 512;
    params.n_threads = params.n_threads_batch = N_THREADS;
    if (argc > 2 && strcmp(argv[2], "f32") == 0) {
        params.type_k = params.type_v = GGML_TYPE_F32;
        params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    }
    peer.context = llama_init_from_model(model, params);
    peer.vocab = llama_model_get_vocab(model);
    peer.n_vocab = llama_vocab_n_tokens(peer.vocab);
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, stdin) > 0) {
        char *rest = line + strcspn(line, " \n");
        if (strncmp(line, "tokenize", 8) == 0) {
            tokenize(&peer, atoi(rest));
        } else if (strncmp(line, "generate", 8) == 0) {
            int n = (int)strtol(rest, &rest, 10);
            read_ids(&peer, rest);
            generate(&peer, n);
        } else if (strncmp(line, "score", 5) == 0) {
            read_ids(&peer, rest);
            score(&peer);
        } else if (strncmp(line, "top", 3) == 0) {
            read_ids(&peer, rest);
            top(&peer);
        } else {
            stop("no such request");
        }
        puts("");
        fflush(stdout);
    }
    free(line);
    llama_free(peer.context);
    llama_model_free(model);
    return 0;
}
