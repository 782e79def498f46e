/*
 * tokenizer.json, the files beside it, and texts. Parts of the input that are named "text" are
 * texts; the others are files, put beside weights that have room for 1024 tokens.
 */
#include "tiny.h"
#include "touch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct tiny tiny = {.n_layers = 1, .is_tied = true, .n_vocab = 1024};
    struct input input = {data, size}, texts = input;
    struct part part;
    lckv_pool *pool;
    lckv_model_options options = model_options(&pool);
    lckv_model *model = NULL;
    folder_begin();
    for (int i = 0; i < 16 && next_part(&input, &part); i++) {
        if (strcmp(part.name, "text") != 0)
            folder_write_part(&part);
    }
    require(tiny_write_weights(&tiny, folder), "cannot write to %s", folder);
    if (succeeded(lckv_model_open(folder, &options, &model))) {
        touch_vocabulary(model);
        while (next_part(&texts, &part)) {
            if (strcmp(part.name, "text") == 0)
                touch_text(model, part.body, part.length,
                           (uint32_t)strtoul(part.argument, NULL, 10));
        }
    }
    lckv_model_release(model);
    lckv_pool_release(pool);
    require_nothing_kept();
    return 0;
}
