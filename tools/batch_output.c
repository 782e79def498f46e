/*
 * See batch_output.h. batch_found.c reads what a file has.
 */
#include "batch_output.h"

#include "batch_found.h"
#include "json.h"
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail_write(const struct batch_output *output, int error)
{
    if (output->is_kept)
        complain("cannot write %s: %s; the %" PRIu64 " answers in it are whole: when it can be "
                 "written again, the same command goes on from there",
                 output->path, strerror(error), output->n_found + output->n_answers);
    else
        complain("cannot write %s: %s", output->path, strerror(error));
    return EXIT_FAILURE;
}

int batch_output_open(struct batch_output *output, const char *path, struct batch_ids *ids)
{
    *output = (struct batch_output){.path = path, .descriptor = STDOUT_FILENO};
    if (strcmp(path, "-") == 0) {
        output->path = "standard output";
        return EXIT_SUCCESS;
    }
    struct stat facts;
    bool is_other = stat(path, &facts) == 0 && !S_ISREG(facts.st_mode);
    int flags = is_other ? O_WRONLY : O_RDWR | O_CREAT | O_APPEND;
    output->descriptor = open(path, flags | O_CLOEXEC, 0666);
    if (output->descriptor < 0) {
        complain("cannot write %s: %s", path, strerror(errno));
        return EXIT_FAILURE;
    }
    output->is_kept = !is_other;
    if (is_other)
        return EXIT_SUCCESS;
    if (flock(output->descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        complain("%s is being written by another lckv batch", path);
        return EXIT_FAILURE;
    }
    struct batch_found found;
    int status = batch_find(path, output->descriptor, ids, &found);
    output->length = found.length;
    output->n_found = found.n_answers;
    if (status != EXIT_SUCCESS || !found.is_cut)
        return status;
    complain("note: the last line of %s is unfinished; it is removed and computed again", path);
    return ftruncate(output->descriptor, (off_t)output->length) == 0 ? EXIT_SUCCESS
                                                                     : fail_write(output, errno);
}

static bool write_all(int descriptor, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t n = write(descriptor, bytes, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        bytes += n;
        length -= (size_t)n;
    }
    return true;
}

/* A pipe or a terminal cannot be brought to a disk, and need not. */
static int sync_file(struct batch_output *output)
{
    output->synced_at = now_seconds();
    output->is_dirty = false;
    if (output->is_kept && fdatasync(output->descriptor) != 0)
        return fail_write(output, errno);
    return EXIT_SUCCESS;
}

/* Writes a line. If it cannot be written whole, what was written of it is taken back. */
static int write_line(struct batch_output *output, const struct bytes *line)
{
    enum { SECONDS_BETWEEN_SYNCS = 1 };
    if (!write_all(output->descriptor, line->data, line->length)) {
        int error = errno;
        if (output->is_kept && ftruncate(output->descriptor, (off_t)output->length) != 0)
            complain("note: the last line of %s is unfinished", output->path);
        return fail_write(output, error);
    }
    output->length += line->length;
    output->is_dirty = true;
    return now_seconds() - output->synced_at >= SECONDS_BETWEEN_SYNCS ? sync_file(output)
                                                                      : EXIT_SUCCESS;
}

/* Begins a line with the id. NULL after a complaint. */
static FILE *begin_line(const struct batch_request *request, struct bytes *line, struct json *json)
{
    struct batch_number number;
    struct batch_id id = batch_request_id(request, &number);
    FILE *stream = open_memstream(&line->data, &line->length);
    if (stream == NULL) {
        fail_memory();
        return NULL;
    }
    *json = json_open_line(stream);
    json_key(json, "id");
    if (id.is_number)
        json_spelled(json, id.text.text, id.text.length);
    else
        json_text(json, id.text.text, id.text.length);
    return stream;
}

static int end_line(FILE *stream, struct json *json)
{
    json_close(json);
    bool has_failed = ferror(stream) != 0;
    return fclose(stream) == 0 && !has_failed ? EXIT_SUCCESS : fail_memory();
}

int batch_output_answer(struct batch_output *output, const struct batch_request *request,
                        const struct batch_answer *answer)
{
    struct bytes line = {0};
    struct json json;
    FILE *stream = begin_line(request, &line, &json);
    if (stream == NULL)
        return EXIT_FAILURE;
    if (answer->has_text)
        json_add_text(&json, "text", answer->text.data, answer->text.length);
    json_add_tokens(&json, "tokens", answer->tokens, answer->n_tokens);
    json_add_string(&json, "reason", answer->reason);
    json_add_unsigned(&json, "prompt_tokens", answer->n_prompt);
    json_add_unsigned(&json, "completion_tokens", answer->n_tokens);
    json_add_real(&json, "seconds", answer->seconds, 6);
    json_add_string(&json, "key", batch_key_text(request->key).text);
    int status = end_line(stream, &json);
    if (status == EXIT_SUCCESS)
        status = write_line(output, &line);
    if (status == EXIT_SUCCESS)
        output->n_answers++;
    free(line.data);
    return status;
}

int batch_output_error(struct batch_output *output, struct batch_ids *ids,
                       const struct batch_request *request)
{
    struct bytes line = {0};
    struct json json;
    FILE *stream = begin_line(request, &line, &json);
    if (stream == NULL)
        return EXIT_FAILURE;
    json_add_unsigned(&json, "line", request->line);
    json_add_string(&json, "error", request->problem);
    int status = end_line(stream, &json);
    struct batch_entry *entry = NULL;
    if (status == EXIT_SUCCESS) {
        entry = batch_ids_entry(ids, batch_line_fingerprint(line.data, line.length - 1));
        status = entry != NULL ? EXIT_SUCCESS : fail_memory();
    }
    if (entry != NULL && entry->key == 0) {
        entry->key = 1;
        status = write_line(output, &line);
    }
    if (status == EXIT_SUCCESS)
        output->n_errors++;
    free(line.data);
    return status;
}

int batch_output_close(struct batch_output *output)
{
    int status = output->is_dirty ? sync_file(output) : EXIT_SUCCESS;
    if (output->descriptor != STDOUT_FILENO && output->descriptor >= 0 &&
        close(output->descriptor) != 0 && status == EXIT_SUCCESS)
        status = fail_write(output, errno);
    output->descriptor = -1;
    return status;
}
