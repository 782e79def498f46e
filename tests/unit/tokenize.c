/*
 * Tokenizes texts with the tokenizer of a GGUF file or a tokenizer.json, for the scripts in
 * tests/tokenizers: no model is needed.
 *
 *     tokenize FILE FLAGS [SECONDS] < TEXTS
 *
 * FLAGS are those of lckv_tokenize, as a number. Each text is preceded by its length in bytes and a
 * line break. For each, a line with its ids is written; or, if the tokenizer refuses it or the
 * file, a line that begins with "error". With SECONDS, only the number of ids is written, and a
 * text that takes longer is an error, too.
 */
#include "base/status.h"
#include "format/checkpoint_open.h"
#include "text/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Reads what is left of a stream. The caller frees it. */
static char *read_stream(FILE *stream, size_t *length)
{
    size_t capacity = 1 << 16;
    char *bytes = malloc(capacity + 1);
    *length = 0;
    while (bytes != NULL) {
        size_t n = fread(bytes + *length, 1, capacity - *length, stream);
        *length += n;
        if (n == 0)
            break;
        if (*length == capacity)
            bytes = realloc(bytes, (capacity *= 2) + 1);
    }
    if (bytes == NULL)
        exit(2);
    bytes[*length] = '\0';
    return bytes;
}

static lckv_status open_tokenizer(const char *path, struct tokenizer **tokenizer)
{
    size_t length = strlen(path);
    struct checkpoint checkpoint = {.kind = CHECKPOINT_HF, .name = path};
    if (length > 5 && strcmp(path + length - 5, ".gguf") == 0) {
        lckv_status status = checkpoint_open(&checkpoint, path, &memory_default_allocator);
        if (status != LCKV_OK)
            return status;
        status = tokenizer_create(&checkpoint, &memory_default_allocator, tokenizer);
        checkpoint_close(&checkpoint);
        return status;
    }
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return fail(LCKV_IO, "%s: cannot be opened", path);
    char *json = read_stream(file, &length);
    fclose(file);
    checkpoint.tokenizer = (struct text){json, length};
    lckv_status status = tokenizer_create(&checkpoint, &memory_default_allocator, tokenizer);
    free(json);
    return status;
}

static void tokenize(const struct tokenizer *tokenizer, const char *text, size_t length,
                     uint32_t flags, double seconds)
{
    size_t capacity = length * 16 + 64, n_tokens = 0; /* a normaliser may make the text longer */
    lckv_token *tokens = malloc(capacity * sizeof *tokens);
    clock_t start = clock();
    lckv_status status =
        tokenizer_encode(tokenizer, text, length, flags, tokens, capacity, &n_tokens);
    double taken = (double)(clock() - start) / CLOCKS_PER_SEC;
    if (status != LCKV_OK)
        printf("error: %s", lckv_last_error());
    else if (seconds > 0 && taken > seconds)
        printf("error: %.2f s", taken);
    else if (seconds > 0)
        printf("%zu", n_tokens);
    else
        for (size_t i = 0; i < n_tokens; i++)
            printf(i > 0 ? " %d" : "%d", tokens[i]);
    putchar('\n');
    free(tokens);
}

int main(int n_arguments, char **arguments)
{
    struct tokenizer *tokenizer = NULL;
    if (n_arguments < 3)
        return 2;
    if (open_tokenizer(arguments[1], &tokenizer) != LCKV_OK || tokenizer == NULL) {
        printf("error: %s\n", tokenizer == NULL ? lckv_last_error() : "");
        return 0;
    }
    uint32_t flags = (uint32_t)strtoul(arguments[2], NULL, 10);
    double seconds = n_arguments > 3 ? strtod(arguments[3], NULL) : 0;
    size_t length;
    char *input = read_stream(stdin, &length);
    for (size_t at = 0; at < length;) {
        char *line;
        size_t n = strtoul(input + at, &line, 10);
        at = (size_t)(line - input) + 1;
        if (n > length - at)
            return 2;
        tokenize(tokenizer, input + at, n, flags, seconds);
        at += n;
    }
    free(input);
    tokenizer_release(tokenizer);
    return 0;
}
