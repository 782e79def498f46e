/*
 * A conversation in a file: its session, and its messages as the note. See conversation.h.
 *
 * The note is a line "lckv chat 1" and entries, each of which is a line with a name and a number of
 * bytes, so many bytes, and a newline. The first one, "tokens", has the tokens of the session, 4
 * bytes each, because a session with a context window forgets some. The others are the messages,
 * under the names of their roles.
 */
#include "conversation.h"

#include "report.h"
#include "show.h"

#include <stdlib.h>
#include <string.h>

static const char first_line[] = "lckv chat 1\n";
static const char name_of_tokens[] = "tokens";
static const char *const names[] = {name_of_tokens, "system", "user", "assistant"};

size_t conversation_n_first(const struct conversation *conversation)
{
    const lckv_message *messages = conversation->messages;
    return conversation->n_messages > 0 && strcmp(messages[0].role, "system") == 0;
}

/* Writes the note to `file`. */
static void write_note(FILE *file, const struct conversation *conversation)
{
    const struct token_list *held = &conversation->held;
    fputs(first_line, file);
    fprintf(file, "%s %zu\n", name_of_tokens, held->count * sizeof *held->ids);
    fwrite(held->ids, sizeof *held->ids, held->count, file);
    fputc('\n', file);
    for (size_t i = 0; i < conversation->n_messages; i++) {
        const lckv_message *message = &conversation->messages[i];
        fprintf(file, "%s %zu\n", message->role, message->content_length);
        fwrite(message->content, 1, message->content_length, file);
        fputc('\n', file);
    }
}

int conversation_save(struct conversation *conversation, const char *path)
{
    struct bytes note = {0};
    if (conversation->session == NULL &&
        lckv_session_create(conversation->cache, &conversation->session) != LCKV_OK)
        return fail_library();
    FILE *file = open_memstream(&note.data, &note.length);
    if (file == NULL)
        return fail_memory();
    write_note(file, conversation);
    int status =
        fclose(file) == 0 ? save_session(conversation->session, path, &note) : fail_memory();
    free(note.data);
    return status;
}

/* Takes the line of an entry: "user 5". `at` then stands before its bytes. */
static bool read_line_of_entry(const struct bytes *note, size_t *at, const char **name,
                               size_t *length)
{
    const char *line = note->data + *at, *end = memchr(line, '\n', note->length - *at);
    char text[32] = "";
    uint64_t number;
    if (end == NULL || (size_t)(end - line) >= sizeof text)
        return false;
    memcpy(text, line, (size_t)(end - line));
    char *blank = strchr(text, ' ');
    if (blank == NULL || !parse_number(blank + 1, &number))
        return false;
    *blank = '\0';
    *name = NULL;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(text, names[i]) == 0)
            *name = names[i];
    }
    *at = (size_t)(end - note->data) + 1;
    *length = (size_t)number;
    return *name != NULL && number < note->length - *at && note->data[*at + number] == '\n';
}

/* Takes the tokens of the session that was restored. Complains and returns false. */
static bool take_tokens(struct conversation *conversation, const char *bytes, size_t length)
{
    lckv_token *ids = calloc(1, length + 1);
    if (ids == NULL) {
        fail_memory();
        return false;
    }
    memcpy(ids, bytes, length);
    free(conversation->held.ids);
    conversation->held = (struct token_list){ids, length / sizeof *ids};
    return true;
}

static int read_note(const struct bytes *note, struct conversation *conversation, const char *path)
{
    const size_t begin = sizeof first_line - 1;
    uint64_t n_tokens;
    if (lckv_session_length(conversation->session, &n_tokens) != LCKV_OK)
        return fail_library();
    bool is_good = note->length >= begin && memcmp(note->data, first_line, begin) == 0;
    for (size_t at = begin; is_good && at < note->length;) {
        const char *name;
        size_t length;
        is_good = read_line_of_entry(note, &at, &name, &length);
        if (is_good && !(name == name_of_tokens
                             ? take_tokens(conversation, note->data + at, length)
                             : conversation_add(conversation, name, note->data + at, length)))
            return EXIT_FAILURE;
        at += is_good ? length + 1 : 0;
    }
    if (is_good && conversation->held.count == n_tokens)
        return EXIT_SUCCESS;
    complain("%s holds no conversation; --restore of lckv chat takes what its --save wrote", path);
    return EXIT_FAILURE;
}

static void show_messages(const struct conversation *conversation)
{
    for (size_t i = conversation_n_first(conversation); i < conversation->n_messages; i++) {
        const lckv_message *message = &conversation->messages[i];
        fputs(strcmp(message->role, "user") == 0 ? "> " : "", stdout);
        show_text(message->content, message->content_length);
        putchar('\n');
    }
}

int conversation_restore(struct conversation *conversation, const struct saved_settings *saved)
{
    struct bytes note = {0};
    int status = restore_session(conversation->cache, saved, conversation->context,
                                 &conversation->session, &note);
    if (status == EXIT_SUCCESS)
        status = read_note(&note, conversation, saved->restore_from);
    if (status == EXIT_SUCCESS && shows_on_terminal())
        show_messages(conversation);
    free(note.data);
    return status;
}
