/*
 * A Hugging Face directory. Each part of the input is a file of it; for safetensors it is the
 * header and the number of bytes behind it.
 */
#include "touch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    struct part part;
    lckv_pool *pool;
    lckv_model_options options = model_options(&pool);
    lckv_model *model = NULL;
    folder_begin();
    for (int i = 0; i < 16 && next_part(&input, &part); i++)
        folder_write_part(&part);
    if (succeeded(lckv_model_open(folder, &options, &model)))
        touch_model(model, pool);
    lckv_model_release(model);
    lckv_pool_release(pool);
    require_nothing_kept();
    return 0;
}
