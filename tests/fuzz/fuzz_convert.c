/*
 * Conversion. The part "options" has five digits and then a plan or nothing. The digits choose the
 * element type, the way in which keys and values are made, packed or not, a kernel set, and a
 * window. The other parts are the files of a model, as in fuzz_directory.c, or a GGUF file. What
 * was written must open, and must convert to itself.
 */
#include "touch.h"

struct request {
    lckv_convert_options options;
    char plan[256];
};

static uint32_t take_digit(struct input *input, uint32_t limit)
{
    return (take(input, 256) + 256 - '0') % 256 % limit;
}

static void read_options(const struct part *part, struct request *request)
{
    struct input input = {(const uint8_t *)part->body, part->length};
    request->options.dtype = (lckv_dtype)take_digit(&input, 7);
    request->options.init = (lckv_convert_init)take_digit(&input, 3);
    request->options.packed = (int32_t)take_digit(&input, 2);
    request->options.kernel_set = take_digit(&input, 2) == 0 ? NULL : "portable";
    request->options.sliding_window = take_digit(&input, 8);
    snprintf(request->plan, sizeof request->plan, "%.*s", (int)input.size,
             (const char *)input.data);
    request->options.plan = input.size > 0 ? request->plan : NULL;
}

/* Reads the bytes of a file and their number, which is 0 if the file is missing. */
static char *read_file(const char *path, size_t *length)
{
    struct stat facts;
    *length = 0;
    if (stat(path, &facts) != 0)
        return NULL;
    char *bytes = malloc((size_t)facts.st_size + 1);
    FILE *file = fopen(path, "rb");
    require(bytes != NULL && file != NULL, "cannot read %s", path);
    *length = fread(bytes, 1, (size_t)facts.st_size, file);
    fclose(file);
    return bytes;
}

static void check_written(const struct request *request, lckv_pool *pool)
{
    lckv_model_options options = {.size = sizeof options, .allocator = &limited, .pool = pool};
    lckv_model *model = NULL;
    if (succeeded(lckv_model_open(folder_path("out.gguf"), &options, &model)))
        touch_model(model, pool);
    lckv_model_release(model);
    lckv_convert_options again = {.size = sizeof again,
                                  .allocator = &limited,
                                  .packed = request->options.packed,
                                  .kernel_set = request->options.kernel_set};
    require_ok(lckv_convert(folder_path("out.gguf"), folder_path("again.gguf"), &again, NULL));
    size_t length, length_again;
    char *first = read_file(folder_path("out.gguf"), &length);
    char *second = read_file(folder_path("again.gguf"), &length_again);
    require(length == length_again && memcmp(first, second, length) == 0,
            "the second conversion gives another file");
    free(first);
    free(second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    struct request request = {.options = {.size = sizeof request.options, .allocator = &limited}};
    struct part part;
    char path[160];
    lckv_pool *pool;
    require_ok(lckv_pool_create(1, &pool));
    folder_begin();
    snprintf(path, sizeof path, "%s", folder);
    for (int i = 0; i < 16 && next_part(&input, &part); i++) {
        if (strcmp(part.name, "options") == 0) {
            read_options(&part, &request);
        } else {
            folder_write_part(&part);
            if (strcmp(part.name, "model.gguf") == 0)
                folder_join(path, part.name);
        }
    }
    lckv_convert_report report = {.size = sizeof report};
    if (succeeded(lckv_convert(path, folder_path("out.gguf"), &request.options, &report))) {
        size_t length;
        free(read_file(folder_path("out.gguf"), &length));
        require(length == report.file_bytes, "%zu bytes", length);
        check_written(&request, pool);
    } else {
        require(access(folder_path("out.gguf"), F_OK) != 0, "a failure left a file");
    }
    lckv_pool_release(pool);
    require_nothing_kept();
    return 0;
}
