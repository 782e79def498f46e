/*
 * tokenizer.json and the files beside it, and texts: the parts of the input but those named "text"
 * are files, put beside weights that are as good as nothing and have room for 1024 tokens.
 */
#include "touch.h"

#define CONFIG                                                                                   \
    "{\"model_type\":\"llama\",\"hidden_size\":2,\"intermediate_size\":2,\"num_hidden_layers\":" \
    "1,\"num_attention_heads\":1,\"num_key_value_heads\":1,\"head_dim\":2,\"rms_norm_eps\":1,"   \
    "\"vocab_size\":1024,\"tie_word_embeddings\":true}"
#define TENSOR(name, shape, begin, end)                                                            \
    "\"" name "\":{\"dtype\":\"F32\",\"shape\":[" shape "],\"data_offsets\":[" #begin "," #end "]" \
    "}"
#define LAYER "model.layers.0."
#define HEADER                                                                                                                                                          \
    "{" TENSOR("model.embed_tokens.weight", "1024,2", 0, 8192) "," TENSOR("model.norm.weight", "2", 8192, 8200) "," TENSOR(                                             \
        LAYER "input_layernorm.weight", "2", 8200,                                                                                                                      \
        8208) "," TENSOR(LAYER "post_attention_layernorm.weight", "2", 8208,                                                                                            \
                         8216) "," TENSOR(LAYER "self_attn.q_proj.weight", "2,2", 8216,                                                                                 \
                                          8232) "," TENSOR(LAYER "self_attn.k_proj.weight", "2,2",                                                                      \
                                                           8232,                                                                                                        \
                                                           8248) "," TENSOR(LAYER "self_attn.v_"                                                                        \
                                                                                  "proj.weight",                                                                        \
                                                                            "2,2", 8248,                                                                                \
                                                                            8264) "," TENSOR(LAYER                                                                      \
                                                                                             "sel"                                                                      \
                                                                                             "f_"                                                                       \
                                                                                             "att"                                                                      \
                                                                                             "n."                                                                       \
                                                                                             "o_"                                                                       \
                                                                                             "pro"                                                                      \
                                                                                             "j."                                                                       \
                                                                                             "wei"                                                                      \
                                                                                             "gh"                                                                       \
                                                                                             "t",                                                                       \
                                                                                             "2,"                                                                       \
                                                                                             "2",                                                                       \
                                                                                             8264,                                                                      \
                                                                                             8280) "," TENSOR(LAYER                                                     \
                                                                                                              "mlp.gate_proj.weight",                                   \
                                                                                                              "2,2",                                                    \
                                                                                                              8280,                                                     \
                                                                                                              8296) "," TENSOR(LAYER                                    \
                                                                                                                               "mlp.up_proj.weight",                    \
                                                                                                                               "2,2",                                   \
                                                                                                                               8296,                                    \
                                                                                                                               8312) "," TENSOR(LAYER                   \
                                                                                                                                                "mlp.down_proj.weight", \
                                                                                                                                                "2,2",                  \
                                                                                                                                                8312,                   \
                                                                                                                                                8328) "}"

static void write_weights(void)
{
    const struct part config = {.name = "config.json", .body = CONFIG, .length = strlen(CONFIG)};
    const struct part weights = {
        .name = "model.safetensors", .argument = "8328", .body = HEADER, .length = strlen(HEADER)};
    folder_write_part(&config);
    folder_write_part(&weights);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
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
    write_weights();
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
