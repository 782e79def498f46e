/*
 * What the fuzz targets share: checks that end the process, an allocator that holds the library to
 * a limit and finds what it leaves behind, inputs that are made of named parts, numbers taken from
 * an input, and a folder in memory. A target defines LLVMFuzzerTestOneInput, which libFuzzer or
 * replay.c calls.
 */
#ifndef LCKV_TESTS_FUZZ_H
#define LCKV_TESTS_FUZZ_H

#include "lckv.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Inputs are at most 64 KiB, and the library may take this much memory for one of them. */
#define MEMORY_LIMIT ((size_t)64 << 20)

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Ends the process unless `condition` holds. libFuzzer and replay.c take that for a crash. */
#define require(condition, ...)                                             \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition); \
            fprintf(stderr, __VA_ARGS__);                                   \
            fprintf(stderr, "\n");                                          \
            abort();                                                        \
        }                                                                   \
    } while (0)
#define require_ok(expression) require_status_ok((expression), #expression)
static inline void require_status_ok(lckv_status status, const char *call)
{
    require(status == LCKV_OK, "%s gives %s: %s", call, lckv_status_name(status),
            lckv_last_error());
}

/*
 * Whether a call succeeded. If not, it must have a status that the header knows, and a message,
 * which is printed if LCKV_FUZZ_SAY is in the environment. LCKV_INTERNAL and LCKV_BUSY are defects
 * here.
 */
static inline bool succeeded(lckv_status status)
{
    require(status >= LCKV_OK && status < LCKV_INTERNAL, "status %d: %s", (int)status,
            lckv_last_error());
    require(status != LCKV_BUSY, "one thread cannot find a cache busy");
    require(status == LCKV_OK || lckv_last_error()[0] != '\0', "%s without a message",
            lckv_status_name(status));
    if (status != LCKV_OK && getenv("LCKV_FUZZ_SAY") != NULL)
        fprintf(stderr, "    %s: %s\n", lckv_status_name(status), lckv_last_error());
    return status == LCKV_OK;
}

/* ---- The allocator ---- */

static _Atomic size_t bytes_out; /* given to the library and not yet returned */

static inline void *limited_alloc(void *user, size_t size, size_t align)
{
    (void)user;
    void *pointer = NULL;
    require(size > 0 && bytes_out + size <= MEMORY_LIMIT, "%zu bytes more than the %zu given", size,
            bytes_out);
    if (posix_memalign(&pointer, align, size) != 0)
        return NULL;
    bytes_out += size;
    memset(pointer, 0xFF, size); /* as numbers: NaN */
    return pointer;
}

static inline void limited_free(void *user, void *pointer, size_t size)
{
    (void)user;
    require(pointer != NULL && bytes_out >= size, "%zu bytes come back of %zu", size, bytes_out);
    bytes_out -= size;
    free(pointer);
}

static const lckv_allocator limited = {sizeof limited, NULL, limited_alloc, limited_free};

/* Call this when a target has released its handles. */
static inline void require_nothing_kept(void)
{
    require(bytes_out == 0, "%zu bytes are left after the last release", bytes_out);
}

/* Opens models with the allocator above, on the caller's thread alone. */
static inline lckv_model_options model_options(lckv_pool **pool)
{
    require_ok(lckv_pool_create(1, pool));
    return (lckv_model_options){.size = sizeof(lckv_model_options),
                                .gemm = LCKV_GEMM_OWN,
                                .allocator = &limited,
                                .pool = *pool};
}

/* ---- Inputs of named parts ---- */

/*
 * A part begins with the byte 1C (the ASCII file separator, which no JSON text holds), its name, a
 * blank and an argument if it has one, and a newline. Its body ends where the next part begins; a
 * part whose name ends in ".gguf" takes all that is left.
 */
struct part {
    char name[64], argument[256];
    const char *body;
    size_t length;
};

struct input {
    const uint8_t *data;
    size_t size;
};

static inline bool next_part(struct input *input, struct part *part)
{
    const uint8_t *begin = memchr(input->data, 0x1C, input->size);
    if (input->size == 0 || begin == NULL)
        return false;
    begin++;
    const uint8_t *end = input->data + input->size, *line = begin;
    while (line < end && *line != '\n' && *line != 0x1C)
        line++;
    const uint8_t *blank = memchr(begin, ' ', (size_t)(line - begin));
    snprintf(part->name, sizeof part->name, "%.*s", (int)((blank != NULL ? blank : line) - begin),
             (const char *)begin);
    snprintf(part->argument, sizeof part->argument, "%.*s",
             (int)(blank != NULL ? line - blank - 1 : 0),
             blank != NULL ? (const char *)blank + 1 : "");
    part->body = (const char *)(line < end && *line == '\n' ? line + 1 : line);
    const uint8_t *body = (const uint8_t *)part->body, *body_end = end;
    size_t name_length = strlen(part->name);
    if (name_length < 5 || strcmp(part->name + name_length - 5, ".gguf") != 0)
        body_end = body < end ? memchr(body, 0x1C, (size_t)(end - body)) : NULL;
    if (body_end == NULL)
        body_end = end;
    part->length = (size_t)(body_end - body);
    input->data = body_end;
    input->size = (size_t)(end - body_end);
    return true;
}

/* ---- Numbers from an input ---- */

/* The next byte below `limit`; 0 when none is left. */
static inline uint32_t take(struct input *input, uint32_t limit)
{
    if (input->size == 0)
        return 0;
    input->size--;
    return *input->data++ % limit;
}

/* ---- A folder in memory ---- */

static char folder[64];

static inline void folder_empty(void)
{
    DIR *entries = opendir(folder);
    require(entries != NULL, "cannot read %s", folder);
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        if (entry->d_name[0] != '.')
            require(unlinkat(dirfd(entries), entry->d_name, 0) == 0, "%s", entry->d_name);
    }
    closedir(entries);
}

static inline void folder_remove(void)
{
    folder_empty();
    rmdir(folder);
}

/* Makes the folder the first time, and empties it. */
static inline void folder_begin(void)
{
    if (folder[0] == '\0') {
        snprintf(folder, sizeof folder, "%s/lckv-fuzz-XXXXXX",
                 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        require(mkdtemp(folder) != NULL, "cannot make %s", folder);
        atexit(folder_remove);
    }
    folder_empty();
}

/* The path of a file in the folder. It is valid to the end of the block in which this is called. */
#define folder_path(name) folder_join((char[160]){""}, (name))
static inline const char *folder_join(char path[160], const char *name)
{
    snprintf(path, 160, "%s/%s", folder, name);
    return path;
}

/* Writes a file of that text, and behind it `n_more` bytes that are small numbers in most types. */
static inline void folder_write(const char *name, const void *bytes, size_t length, size_t n_more)
{
    FILE *file = fopen(folder_path(name), "wb");
    if (file == NULL)
        return; /* a name that the system does not take */
    fwrite(bytes, 1, length, file);
    for (size_t i = 0; i < n_more; i++)
        fputc((int)(i % 4 < 2 ? i * 7 % 64 : 0x20 + i % 29), file);
    fclose(file);
}

#define MOST_DATA ((size_t)2 << 20) /* the most bytes that a part adds to a file */

/* Whether a part may be a file of the folder. */
static inline bool is_file_name(const char *name)
{
    return name[0] != '\0' && name[0] != '.' && strchr(name, '/') == NULL;
}

/*
 * Writes a part to the folder. "NAME N" adds N bytes of data. In a safetensors file the length of
 * the header is put before the body, so that an input is text only.
 */
static inline void folder_write_part(const struct part *part)
{
    size_t n_more = strtoul(part->argument, NULL, 10), name_length = strlen(part->name);
    if (!is_file_name(part->name))
        return;
    n_more = n_more < MOST_DATA ? n_more : MOST_DATA;
    bool tensors = name_length > 12 && strcmp(part->name + name_length - 12, ".safetensors") == 0;
    uint64_t header = part->length;
    char *bytes = malloc(sizeof header + part->length);
    require(bytes != NULL, "no memory for %s", part->name);
    memcpy(bytes, &header, sizeof header);
    memcpy(bytes + sizeof header, part->body, part->length);
    size_t skipped = tensors ? 0 : sizeof header;
    folder_write(part->name, bytes + skipped, sizeof header + part->length - skipped, n_more);
    free(bytes);
}

#endif
