/*
 * Writes conversations with a chat template, for the scripts in tests/chat, which are run by hand.
 *
 *     render TEMPLATE YYYY-MM-DD < CONVERSATIONS
 *
 * A conversation on the standard input is a line "N ANSWER" and N messages, each of which is a line
 * "ROLE_LENGTH CONTENT_LENGTH", the role and the content. For each, a line "STATUS LENGTH" comes
 * out and the text, or the reason why there is none. The beginning of a text is <s>, the end </s>.
 */
#include "base/status.h"
#include "text/template.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_MESSAGES 4096

struct output {
    char *bytes;
    size_t length;
};

static void *must(void *pointer)
{
    if (pointer == NULL)
        exit(2);
    return pointer;
}

static lckv_status append(void *context, struct text text, bool is_message)
{
    struct output *output = context;
    (void)is_message;
    output->bytes = must(realloc(output->bytes, output->length + text.length + 1));
    memcpy(output->bytes + output->length, text.bytes, text.length);
    output->length += text.length;
    return LCKV_OK;
}

static char *read_bytes(struct arena *arena, FILE *file, size_t length)
{
    char *bytes;
    if (arena_alloc(arena, length + 1, 1, "bytes", &bytes) != LCKV_OK ||
        fread(bytes, 1, length, file) != length)
        exit(2);
    return bytes;
}

static struct text read_template(struct arena *arena, const char *path)
{
    FILE *file = must(fopen(path, "rb"));
    fseek(file, 0, SEEK_END);
    long length = ftell(file);
    rewind(file);
    struct text source = {read_bytes(arena, file, (size_t)length), (size_t)length};
    fclose(file);
    return source;
}

static lckv_message read_message(struct arena *arena)
{
    lckv_message message;
    if (scanf("%zu %zu", &message.role_length, &message.content_length) != 2 || getchar() != '\n')
        exit(2);
    message.role = read_bytes(arena, stdin, message.role_length);
    message.content = read_bytes(arena, stdin, message.content_length);
    return message;
}

static void write_conversation(struct text source, struct template_input *input)
{
    struct output output = {NULL, 0};
    lckv_status status = template_run(source, input, &memory_default_allocator, append, &output);
    const char *bytes = status == LCKV_OK ? output.bytes : lckv_last_error();
    size_t length = status == LCKV_OK ? output.length : strlen(bytes);
    printf("%d %zu\n", (int)status, length);
    fwrite(bytes, 1, length, stdout);
    free(output.bytes);
}

int main(int argc, char **argv)
{
    static lckv_message messages[MAX_MESSAGES];
    struct template_input input = {
        .messages = messages, .stride = sizeof messages[0], .bos = {"<s>", 3}, .eos = {"</s>", 4}};
    struct arena arena;
    size_t n_messages;
    int answer;
    if (argc != 3)
        return 2;
    if (sscanf(argv[2], "%d-%d-%d", &input.date.year, &input.date.month, &input.date.day) != 3)
        return 2;
    arena_init(&arena, &memory_default_allocator);
    struct text source = read_template(&arena, argv[1]);
    while (scanf("%zu %d", &n_messages, &answer) == 2 && n_messages <= MAX_MESSAGES) {
        input.n_messages = n_messages;
        input.answer = answer != 0;
        for (size_t i = 0; i < n_messages; i++)
            messages[i] = read_message(&arena);
        write_conversation(source, &input);
    }
    arena_release(&arena);
    return 0;
}
