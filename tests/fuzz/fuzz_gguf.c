/*
 * A GGUF file in memory is opened, and all that it gives is used. The bytes are freed before the
 * model is used, as the header allows.
 */
#include "touch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lckv_pool *pool;
    lckv_model_options options = model_options(&pool);
    lckv_model *model = NULL;
    if (succeeded(lckv_model_open_memory(data, size, &options, &model)))
        touch_model(model, pool);
    lckv_model_release(model);
    lckv_pool_release(pool);
    require_nothing_kept();
    return 0;
}
