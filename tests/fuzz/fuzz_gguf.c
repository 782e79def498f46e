/*
 * A GGUF file in memory is opened, and all that it gives is used; then once more without its
 * weights, which must work at least as well. The bytes are freed before the model is used, as the
 * header allows.
 */
#include "touch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lckv_pool *pool;
    lckv_model_options options = model_options(&pool);
    lckv_model *model = NULL, *described = NULL;
    lckv_model_info info = {.size = sizeof info}, description = {.size = sizeof description};
    if (succeeded(lckv_model_open_memory(data, size, &options, &model))) {
        touch_model(model, pool);
        require_ok(lckv_model_get_info(model, &info));
    }
    options.weights = LCKV_WEIGHTS_NONE;
    if (succeeded(lckv_model_open_memory(data, size, &options, &described))) {
        touch_model(described, pool);
        require_ok(lckv_model_get_info(described, &description));
    }
    require(model == NULL || (described != NULL && description.problem == NULL &&
                              description.weight_bytes == info.weight_bytes &&
                              description.n_parameters == info.n_parameters),
            "the model is another one without its weights");
    lckv_model_release(model);
    lckv_model_release(described);
    lckv_pool_release(pool);
    require_nothing_kept();
    return 0;
}
