/*
 * A packed GGUF file is opened where it lies in the file, and as a copy. All of both models is
 * used.
 */
#include "touch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lckv_pool *pool;
    lckv_model_options options = model_options(&pool);
    folder_begin();
    folder_write("packed.gguf", data, size, 0);
    for (lckv_weights weights = LCKV_WEIGHTS_DEFAULT; weights <= LCKV_WEIGHTS_COPIED; weights++) {
        lckv_model *model = NULL;
        options.weights = weights;
        if (succeeded(lckv_model_open(folder_path("packed.gguf"), &options, &model)))
            touch_model(model, pool);
        lckv_model_release(model);
    }
    lckv_pool_release(pool);
    require_nothing_kept();
    return 0;
}
