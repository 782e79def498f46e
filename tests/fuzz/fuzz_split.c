/*
 * A GGUF model in three parts. An input begins with the lengths of the first two, each in two
 * bytes. The first part is opened, with its weights and without them, and all of both models is
 * used.
 */
#include "touch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"m-00001-of-00003.gguf", "m-00002-of-00003.gguf",
                                        "m-00003-of-00003.gguf"};
    size_t lengths[COUNT(names)], begin = 4;
    if (size < begin)
        return 0;
    folder_begin();
    for (size_t i = 0; i < COUNT(names); i++) {
        const size_t left = size - begin;
        lengths[i] = i < 2 ? data[2 * i] + 256u * data[2 * i + 1] : left;
        lengths[i] = lengths[i] < left ? lengths[i] : left;
        folder_write(names[i], data + begin, lengths[i], 0);
        begin += lengths[i];
    }
    static const lckv_weights modes[] = {LCKV_WEIGHTS_DEFAULT, LCKV_WEIGHTS_NONE};
    lckv_pool *pool;
    lckv_model_options options = model_options(&pool);
    for (size_t i = 0; i < COUNT(modes); i++) {
        lckv_model *model = NULL;
        options.weights = modes[i];
        if (succeeded(lckv_model_open(folder_path(names[0]), &options, &model)))
            touch_model(model, pool);
        lckv_model_release(model);
    }
    lckv_pool_release(pool);
    require_nothing_kept();
    return 0;
}
