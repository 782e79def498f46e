/*
 * See batch_found.h.
 */
#include "batch_found.h"

#include "json_read.h"
#include "lines.h"
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct batch_key_text batch_key_text(uint64_t key)
{
    struct batch_key_text text;
    snprintf(text.text, sizeof text.text, "%016" PRIx64, key);
    return text;
}

static bool parse_key(lckv_string text, uint64_t *key)
{
    char digits[17] = "";
    char *end;
    if (text.length != sizeof digits - 1)
        return false;
    memcpy(digits, text.text, text.length);
    *key = strtoull(digits, &end, 16);
    return *end == '\0' && *key != 0;
}

struct fingerprint batch_line_fingerprint(const char *line, size_t length)
{
    struct fingerprint fingerprint = fingerprint_begin();
    fingerprint_add(&fingerprint, "e", 1);
    fingerprint_add_text(&fingerprint, line, length);
    return fingerprint;
}

static bool is_named(lckv_string name, const char *wanted)
{
    return name.length == strlen(wanted) && memcmp(name.text, wanted, name.length) == 0;
}

/* What a line of ours says: it has an id, and a key or an error. False for other lines. */
static bool read_line(char *line, size_t length, struct batch_id *id, uint64_t *key)
{
    struct json_reader json = json_reader_of(line, length);
    lckv_string name, text;
    bool is_error = false;
    *id = (struct batch_id){0};
    *key = 0;
    if (json_next_kind(&json) != JSON_OBJECT)
        return false;
    json_read_begin(&json);
    while (json_read_more(&json) && json_read_name(&json, &name)) {
        enum json_kind kind = json_next_kind(&json);
        if (is_named(name, "id") && kind == JSON_NUMBER) {
            id->is_number = true;
            json_read_number(&json, &id->text);
        } else if (is_named(name, "id") && kind == JSON_STRING) {
            json_read_string(&json, &id->text);
        } else if (is_named(name, "key") && kind == JSON_STRING) {
            if (!json_read_string(&json, &text) || !parse_key(text, key))
                return false;
        } else {
            is_error = is_error || is_named(name, "error");
            json_read_skip(&json);
        }
    }
    return json_read_end(&json) && id->text.text != NULL && is_error == (*key == 0);
}

/* Remembers what a line says. */
static int take_line(char *line, size_t length, struct batch_ids *ids, struct batch_found *found,
                     bool *is_ours)
{
    struct batch_id id;
    uint64_t key;
    struct fingerprint fingerprint = batch_line_fingerprint(line, length);
    *is_ours = read_line(line, length, &id, &key);
    if (!*is_ours)
        return EXIT_SUCCESS;
    if (key != 0)
        fingerprint = batch_id_fingerprint(id);
    struct batch_entry *entry = batch_ids_entry(ids, fingerprint);
    if (entry == NULL)
        return fail_memory();
    found->n_answers += key != 0 && entry->key == 0;
    entry->key = key != 0 ? key : 1;
    return EXIT_SUCCESS;
}

/* Whether a text begins as our lines do, as far as it goes. */
static bool begins_as_ours(const char *text, size_t length)
{
    static const char beginning[] = "{\"id\": ";
    size_t n = sizeof beginning - 1;
    return memcmp(text, beginning, length < n ? length : n) == 0;
}

int batch_find(const char *path, int descriptor, struct batch_ids *ids, struct batch_found *found)
{
    enum { MOST_BYTES_OF_LINE = 1 << 30 };
    struct lines lines = lines_of(descriptor, MOST_BYTES_OF_LINE);
    int status = EXIT_SUCCESS;
    bool is_ours = true;
    *found = (struct batch_found){0};
    while (status == EXIT_SUCCESS && is_ours && !found->is_cut) {
        char *line;
        size_t length;
        enum lines_result result = lines_next(&lines, true, &line, &length);
        if (result == LINES_END)
            break;
        if (result == LINES_LINE) {
            status = take_line(line, length, ids, found, &is_ours);
            found->length = lines.offset;
        } else if (result == LINES_REST) {
            found->is_cut = true;
            is_ours = begins_as_ours(line, length);
        } else if (result == LINES_TOO_LONG) {
            is_ours = false;
        } else if (result == LINES_FAILED) {
            complain("cannot read %s: %s", path, strerror(errno));
            status = EXIT_FAILURE;
        }
    }
    if (status == EXIT_SUCCESS && !is_ours) {
        complain("line %" PRIu64 " of %s was not written by lckv batch, so nothing is added to "
                 "that file; give another --output",
                 lines.number, path);
        status = EXIT_FAILURE;
    }
    lines_free(&lines);
    return status;
}
