/*
 * A small llama of two layers as a GGUF file, made in a test: the test changes its keys and tensors
 * before the file is written. Weights are random, but the same for a name and a type.
 */
#ifndef LCKV_TESTS_SMALL_MODEL_H
#define LCKV_TESTS_SMALL_MODEL_H

#include "format/checkpoint_open.h"
#include "format/gguf.h"
#include "kernels/blocks.h"

#include <stdio.h>

#include "folder.h"
#include "random.h"
#include "support.h"

enum {
    SMALL_LAYERS = 2,
    SMALL_HIDDEN = 32,
    SMALL_FFN = 64,
    SMALL_HEADS = 2,
    SMALL_KV_HEADS = 1,
    SMALL_HEAD_DIM = 256, /* a bias of one head is a block of every type */
    SMALL_VOCAB = 48,
    SMALL_MOST_TENSORS = 128
};

struct small_model {
    struct arena arena;
    struct metadata metadata;
    struct gguf_tensor tensors[SMALL_MOST_TENSORS];
    size_t n_tensors;
};

/* Adds a tensor. A vector has 0 columns. */
static inline struct gguf_tensor *small_add(struct small_model *model, const char *name,
                                            lckv_dtype dtype, uint64_t rows, uint64_t columns)
{
    ck_assert_uint_lt(model->n_tensors, SMALL_MOST_TENSORS);
    struct gguf_tensor *tensor = &model->tensors[model->n_tensors++];
    *tensor = (struct gguf_tensor){.dtype = dtype,
                                   .n_dims = columns > 0 ? 2 : 1,
                                   .shape = {rows, columns > 0 ? columns : 1, 1, 1}};
    ck_assert_ok(arena_copy(&model->arena, name, strlen(name), &tensor->name));
    return tensor;
}

static inline struct gguf_tensor *small_find(struct small_model *model, const char *name)
{
    for (size_t i = 0; i < model->n_tensors; i++) {
        if (strcmp(model->tensors[i].name, name) == 0)
            return &model->tensors[i];
    }
    ck_abort_msg("no tensor %s", name);
}

static inline void small_remove(struct small_model *model, const char *name)
{
    *small_find(model, name) = model->tensors[--model->n_tensors];
}

static inline void small_begin(struct small_model *model)
{
    static const struct {
        const char *key;
        uint32_t value;
    } counts[] = {
        {"llama.block_count", SMALL_LAYERS},
        {"llama.embedding_length", SMALL_HIDDEN},
        {"llama.feed_forward_length", SMALL_FFN},
        {"llama.attention.head_count", SMALL_HEADS},
        {"llama.attention.head_count_kv", SMALL_KV_HEADS},
        {"llama.attention.key_length", SMALL_HEAD_DIM},
        {"llama.context_length", 64},
    };
    static const struct {
        const char *name;
        uint64_t rows, columns;
    } of_layer[] = {
        {"attn_norm", SMALL_HIDDEN, 0},
        {"attn_q", SMALL_HEADS * SMALL_HEAD_DIM, SMALL_HIDDEN},
        {"attn_k", SMALL_KV_HEADS * SMALL_HEAD_DIM, SMALL_HIDDEN},
        {"attn_v", SMALL_KV_HEADS * SMALL_HEAD_DIM, SMALL_HIDDEN},
        {"attn_output", SMALL_HIDDEN, SMALL_HEADS * SMALL_HEAD_DIM},
        {"ffn_norm", SMALL_HIDDEN, 0},
        {"ffn_gate", SMALL_FFN, SMALL_HIDDEN},
        {"ffn_up", SMALL_FFN, SMALL_HIDDEN},
        {"ffn_down", SMALL_HIDDEN, SMALL_FFN},
    };
    memset(model, 0, sizeof *model);
    arena_init(&model->arena, &memory_default_allocator);
    metadata_init(&model->metadata, &model->arena);
    ck_assert_ok(metadata_set_text(&model->metadata, "general.architecture", "llama", 5));
    ck_assert_ok(
        metadata_set_f32(&model->metadata, "llama.attention.layer_norm_rms_epsilon", 1e-5f));
    for (size_t i = 0; i < COUNT(counts); i++)
        ck_assert_ok(metadata_set_u32(&model->metadata, counts[i].key, counts[i].value));
    small_add(model, "token_embd.weight", LCKV_DTYPE_F32, SMALL_VOCAB, SMALL_HIDDEN);
    small_add(model, "output_norm.weight", LCKV_DTYPE_F32, SMALL_HIDDEN, 0);
    for (int layer = 0; layer < SMALL_LAYERS; layer++) {
        for (size_t i = 0; i < COUNT(of_layer); i++) {
            char name[64];
            snprintf(name, sizeof name, "blk.%d.%s.weight", layer, of_layer[i].name);
            small_add(model, name, LCKV_DTYPE_F32, of_layer[i].rows, of_layer[i].columns);
        }
    }
}

static inline size_t small_bytes(const struct gguf_tensor *tensor)
{
    uint64_t bytes = 0;
    ck_assert(dtype_bytes(tensor->dtype, tensor->shape[0] * tensor->shape[1], &bytes));
    return bytes;
}

/*
 * Makes the data of a tensor, which the caller frees. Blocks of types that are only read are zeros,
 * except q6_K.
 */
static inline uint8_t *small_data(const struct gguf_tensor *tensor)
{
    size_t n = tensor->shape[0] * tensor->shape[1], n_bytes = small_bytes(tensor);
    uint8_t *data = calloc(n_bytes, 1);
    float *values = calloc(n, sizeof *values);
    ck_assert(data != NULL && values != NULL);
    random_seed = 1;
    for (const char *at = tensor->name; *at != '\0'; at++)
        random_seed = random_seed * 31 + (unsigned char)*at;
    for (size_t i = 0; i < n; i++)
        values[i] = (float)random_uniform();
    if (tensor->dtype == LCKV_DTYPE_Q6_K) {
        for (size_t i = 0; i < n_bytes; i++)
            data[i] = i % 210 < 208 ? (uint8_t)random_bits() : i % 210 == 208 ? 0 : 0x10;
    } else if (blocks_can_quantize(tensor->dtype)) {
        blocks_quantize(tensor->dtype, values, n, data);
    }
    free(values);
    return data;
}

/* Writes the file, and releases the model. */
static inline void small_write(struct small_model *model, const char *path)
{
    struct gguf_writer writer;
    struct output output;
    ck_assert_ok(output_open(&output, path, &memory_default_allocator));
    ck_assert_ok(
        gguf_writer_begin(&writer, &output, &model->metadata, model->tensors, model->n_tensors));
    for (size_t i = 0; i < model->n_tensors; i++) {
        uint8_t *data = small_data(&model->tensors[i]);
        ck_assert_ok(gguf_writer_data(&writer, data, small_bytes(&model->tensors[i])));
        free(data);
    }
    ck_assert_ok(gguf_writer_end(&writer));
    ck_assert_ok(output_commit(&output));
    output_discard(&output);
    arena_release(&model->arena);
}

#endif
