/*
 * See batch_input.h.
 */
#include "batch_input.h"

#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_BYTES_OF_LINE = 16 << 20 };

int batch_input_open(struct batch_input *input, const char *path)
{
    bool is_standard = strcmp(path, "-") == 0;
    int descriptor = is_standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    input->path = is_standard ? "standard input" : path;
    input->lines = lines_of(descriptor, MOST_BYTES_OF_LINE);
    if (descriptor >= 0)
        return EXIT_SUCCESS;
    complain("cannot read %s: %s", path, strerror(errno));
    return EXIT_FAILURE;
}

uint64_t batch_input_count(const struct batch_input *input)
{
    static char block[1 << 16];
    struct stat facts;
    int descriptor = input->lines.descriptor;
    off_t at = lseek(descriptor, 0, SEEK_CUR);
    if (fstat(descriptor, &facts) != 0 || !S_ISREG(facts.st_mode) || at < 0)
        return 0;
    uint64_t n_lines = 0;
    char last = '\n';
    ssize_t n;
    while ((n = pread(descriptor, block, sizeof block, at)) > 0) {
        for (ssize_t i = 0; i < n; i++)
            n_lines += block[i] == '\n';
        last = block[n - 1];
        at += n;
    }
    return n_lines + (last != '\n');
}

static bool is_blank(const char *line, size_t length)
{
    return strspn(line, " \t\r") == length;
}

/* The next line that is not blank, as a request that may have a problem. */
static enum batch_next read_request(struct batch_input *input, bool may_wait,
                                    struct batch_request *request)
{
    static const char mark[] = "\xef\xbb\xbf"; /* some programs begin UTF-8 with it */
    for (;;) {
        char *line;
        size_t length;
        enum lines_result result = lines_next(&input->lines, may_wait, &line, &length);
        if (result == LINES_END)
            return BATCH_END;
        if (result == LINES_LATER)
            return BATCH_LATER;
        if (result == LINES_FAILED) {
            complain("cannot read %s: %s", input->path, strerror(errno));
            return BATCH_FAILED;
        }
        uint64_t number = input->lines.number;
        if (number == 1 && strncmp(line, mark, sizeof mark - 1) == 0) {
            line += sizeof mark - 1;
            length -= sizeof mark - 1;
        }
        bool is_too_long = result == LINES_TOO_LONG;
        if (!is_too_long && is_blank(line, length))
            continue;
        if (!batch_request_read(line, is_too_long ? 0 : length, number, &input->defaults,
                                request)) {
            fail_memory();
            return BATCH_FAILED;
        }
        if (is_too_long)
            snprintf(request->problem, sizeof request->problem, "the line is longer than %d MiB",
                     MOST_BYTES_OF_LINE >> 20);
        input->n_prompts++;
        return BATCH_REQUEST;
    }
}

/*
 * Looks whether the id is free. If the output has an answer that was made from the same line and
 * settings, *is_answered is true. Complains and returns an exit status.
 */
static int check_id(struct batch_input *input, struct batch_request *request, bool *is_answered)
{
    struct batch_number number;
    struct batch_id id = batch_request_id(request, &number);
    struct batch_entry *entry = batch_ids_entry(&input->ids, batch_id_fingerprint(id));
    if (entry == NULL)
        return fail_memory();
    struct fingerprint fingerprint = input->settings;
    batch_request_add(&fingerprint, request);
    request->key = fingerprint.low != 0 ? fingerprint.low : 1;
    if (entry->line != 0) {
        batch_request_fail(request, "the id is that of line %" PRIu64 " already", entry->line);
        return EXIT_SUCCESS;
    }
    entry->line = request->line;
    if (request->problem[0] != '\0' || entry->key == 0)
        return EXIT_SUCCESS;
    *is_answered = entry->key == request->key;
    if (*is_answered)
        return EXIT_SUCCESS;
    complain("line %" PRIu64 " of %s: %s has an answer for the id %.*s, but for another prompt, "
             "model or options; remove that answer, or give another --output",
             request->line, input->path, input->output->path,
             id.text.length < 100 ? (int)id.text.length : 100, id.text.text);
    return EXIT_FAILURE;
}

enum batch_next batch_input_next(struct batch_input *input, bool may_wait,
                                 struct batch_request *request)
{
    for (;;) {
        enum batch_next next = read_request(input, may_wait, request);
        if (next != BATCH_REQUEST)
            return next;
        bool is_answered = false;
        int status = check_id(input, request, &is_answered);
        bool is_wrong = status == EXIT_SUCCESS && request->problem[0] != '\0';
        if (is_wrong)
            status = batch_output_error(input->output, &input->ids, request);
        else if (status == EXIT_SUCCESS && !is_answered)
            return BATCH_REQUEST;
        input->n_skipped += is_answered;
        batch_request_free(request);
        if (status != EXIT_SUCCESS)
            return BATCH_FAILED;
    }
}

void batch_input_close(struct batch_input *input)
{
    if (input->lines.descriptor > STDIN_FILENO)
        close(input->lines.descriptor);
    lines_free(&input->lines);
    batch_ids_free(&input->ids);
}
