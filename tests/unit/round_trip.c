/*
 * Tokenizes texts and detokenizes them again, for tests/tokenizers/fuzz_sentencepiece.py. The
 * tokenizer is that of a GGUF file, a tokenizer.json or a tokenizer.model; no model is needed.
 *
 *     round_trip FILE FLAGS [CONFIG] < TEXTS
 *
 * FLAGS are those of lckv_tokenize, as a number. CONFIG is a tokenizer_config.json. Each text is
 * preceded by its length in bytes and a line break. For each, a line is written: its ids, a tab,
 * and the bytes that they give back, in hexadecimal. The line begins with "error" if that fails, if
 * the tokenizer that is read from the metadata of this one gives other ids, or if the streaming
 * detokenizer gives other bytes.
 */
#include "base/status.h"
#include "format/checkpoint_open.h"
#include "text/detokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *read_stream(FILE *stream, size_t *length)
{
    size_t capacity = 1 << 16, n;
    char *bytes = malloc(capacity + 1);
    for (*length = 0; (n = fread(bytes + *length, 1, capacity - *length, stream)) > 0;) {
        *length += n;
        if (*length == capacity)
            bytes = realloc(bytes, (capacity *= 2) + 1);
    }
    bytes[*length] = '\0';
    return bytes;
}

static struct text read_file(const char *path)
{
    size_t length = 0;
    FILE *file = fopen(path, "rb");
    char *bytes = file != NULL ? read_stream(file, &length) : calloc(1, 1);
    if (file != NULL)
        fclose(file);
    return (struct text){bytes, length};
}

static lckv_status open_tokenizer(const char *path, const char *config, struct tokenizer **result)
{
    struct checkpoint checkpoint = {.kind = CHECKPOINT_HF, .name = path};
    size_t length = strlen(path);
    lckv_status status = LCKV_OK;
    if (config != NULL)
        checkpoint.tokenizer_config = read_file(config);
    if (strcmp(path + length - 5, ".json") == 0)
        checkpoint.tokenizer = read_file(path);
    else if (strcmp(path + length - 6, ".model") == 0)
        checkpoint.sentencepiece = read_file(path);
    else
        status = checkpoint_open(&checkpoint, path, &memory_default_allocator);
    return status == LCKV_OK ? tokenizer_create(&checkpoint, &memory_default_allocator, result)
                             : status;
}

static lckv_status rewrite(const struct tokenizer *tokenizer, struct tokenizer **result)
{
    static struct arena arena;
    struct checkpoint checkpoint = {.kind = CHECKPOINT_GGUF, .name = "rewritten"};
    arena_init(&arena, &memory_default_allocator);
    metadata_init(&checkpoint.metadata, &arena);
    lckv_status status = tokenizer_to_metadata(tokenizer, &checkpoint.metadata);
    if (status == LCKV_OK)
        status = tokenizer_create(&checkpoint, &memory_default_allocator, result);
    arena_release(&arena);
    return status;
}

/* Whether the streaming detokenizer gives these bytes, too. */
static bool streams(const struct tokenizer *tokenizer, const lckv_token *tokens, size_t n_tokens,
                    const char *bytes, size_t n_bytes)
{
    struct lckv_detokenizer detokenizer;
    size_t at = 0;
    bool same = true;
    detokenizer_init(&detokenizer, tokenizer, 0, &memory_default_allocator);
    for (size_t i = 0; i <= n_tokens; i++) {
        struct text piece = {"", 0};
        if (i == n_tokens)
            piece = detokenizer_flush(&detokenizer);
        else if (detokenizer_push(&detokenizer, tokens[i], &piece) != LCKV_OK)
            same = false;
        same = same && piece.length <= n_bytes - at &&
               memcmp(bytes + at, piece.bytes, piece.length) == 0;
        at += same ? piece.length : 0;
    }
    detokenizer_release(&detokenizer);
    return same && at == n_bytes;
}

static void take_text(struct tokenizer *tokenizers[2], const char *text, size_t length,
                      uint32_t flags)
{
    size_t capacity = length * 8 + 64, n_tokens[2] = {0, 0}, n_bytes = 0;
    lckv_token *tokens = malloc(capacity * sizeof *tokens), *same = malloc(capacity * sizeof *same);
    char *bytes = malloc(capacity * 4);
    if (tokenizer_encode(tokenizers[0], text, length, flags, tokens, capacity, &n_tokens[0]) !=
            LCKV_OK ||
        tokenizer_encode(tokenizers[1], text, length, flags, same, capacity, &n_tokens[1]) !=
            LCKV_OK ||
        tokenizer_decode(tokenizers[0], tokens, n_tokens[0], 0, bytes, capacity * 4, &n_bytes) !=
            LCKV_OK)
        printf("error: %s\n", lckv_last_error());
    else if (n_tokens[0] != n_tokens[1] || memcmp(tokens, same, n_tokens[0] * sizeof *tokens) != 0)
        printf("error: the tokenizer in GGUF metadata gives other ids\n");
    else if (!streams(tokenizers[0], tokens, n_tokens[0], bytes, n_bytes))
        printf("error: the streaming detokenizer gives other bytes\n");
    else {
        for (size_t i = 0; i < n_tokens[0]; i++)
            printf(i > 0 ? " %d" : "%d", tokens[i]);
        putchar('\t');
        for (size_t i = 0; i < n_bytes; i++)
            printf("%02x", (unsigned char)bytes[i]);
        putchar('\n');
    }
    free(bytes);
    free(same);
    free(tokens);
}

int main(int n_arguments, char **arguments)
{
    struct tokenizer *tokenizers[2] = {NULL, NULL};
    if (n_arguments < 3)
        return 2;
    if (open_tokenizer(arguments[1], n_arguments > 3 ? arguments[3] : NULL, &tokenizers[0]) !=
            LCKV_OK ||
        rewrite(tokenizers[0], &tokenizers[1]) != LCKV_OK) {
        printf("error: %s\n", lckv_last_error());
        return 1;
    }
    uint32_t flags = (uint32_t)strtoul(arguments[2], NULL, 10);
    size_t length;
    char *input = read_stream(stdin, &length);
    for (size_t at = 0; at < length;) {
        char *line;
        size_t n = strtoul(input + at, &line, 10);
        at = (size_t)(line - input) + 1;
        if (n > length - at)
            return 2;
        take_text(tokenizers, input + at, n, flags);
        at += n;
    }
    free(input);
    return 0;
}
