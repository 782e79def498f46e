/*
 * Tiny models that programs make for themselves: the files of a Hugging Face directory, with a few
 * layers of a few numbers each and a tokenizer of 32 tokens. lckv_convert turns them into GGUF
 * files.
 */
#ifndef LCKV_TESTS_FUZZ_TINY_H
#define LCKV_TESTS_FUZZ_TINY_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct tiny {
    const char *plan; /* NULL: standard */
    uint32_t n_layers, sliding_window;
    uint32_t n_vocab;  /* 0: the number of tokens of the tokenizer */
    uint32_t hidden;   /* the hidden size; 0: TINY_HIDDEN */
    uint32_t head_dim; /* 0: TINY_HEAD_DIM */
    bool is_tied, has_biases;
    const char *members; /* further members of config.json, each with a comma before it; or NULL */
};

enum {
    TINY_VOCAB = 32,
    TINY_HIDDEN = 8,
    TINY_INTERMEDIATE = 8,
    TINY_HEADS = 2,
    TINY_KV_HEADS = 1,
    TINY_HEAD_DIM = 4
};

#define TINY_TOKENIZER                                                                          \
    "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"<s>\":0,\"</s>\":1,\"<|im_start|>\":2,"          \
    "\"<|im_end|>\":3,\"a\":4,\"b\":5,\"c\":6,\"d\":7,\"e\":8,\"r\":9,\"s\":10,\"u\":11,\"y\":" \
    "12,\"1\":13,\"2\":14,\".\":15,\"\xC4\xA0\":16,\"\xC4\x8A\":17,\"ab\":18,\"abc\":19,"       \
    "\"\xC4\xA0"                                                                                \
    "a\":20,\"us\":21,\"er\":22,\"user\":23,\"\xC3\x83\":24,\"\xC2\xA9\":25,\"f\":27,\"g\":28," \
    "\"h\":29,\"i\":30,\"j\":26},"                                                              \
    "\"merges\":[\"a b\",\"ab c\",\"\xC4\xA0 a\",\"u s\",\"e r\",\"us er\"]},"                  \
    "\"added_tokens\":[{\"id\":0,\"content\":\"<s>\",\"special\":true},"                        \
    "{\"id\":1,\"content\":\"</s>\",\"special\":true},"                                         \
    "{\"id\":2,\"content\":\"<|im_start|>\",\"special\":true},"                                 \
    "{\"id\":3,\"content\":\"<|im_end|>\",\"special\":true},"                                   \
    "{\"id\":31,\"content\":\"bad\",\"special\":false,\"lstrip\":true}],"                       \
    "\"normalizer\":{\"type\":\"NFC\"},"                                                        \
    "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":true}," \
    "\"decoder\":{\"type\":\"ByteLevel\"}}"

#define TINY_TEMPLATE                                                              \
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\\\n' + " \
    "message['content'] + '<|im_end|>' + '\\\\n'}}{% endfor %}{% if "              \
    "add_generation_prompt %}{{ '<|im_start|>assistant\\\\n' }}{% endif %}"

#define TINY_TOKENIZER_CONFIG                                                             \
    "{\"bos_token\":\"<s>\",\"eos_token\":{\"content\":\"<|im_end|>\"},\"add_bos_token\"" \
    ":true,\"chat_template\":\"" TINY_TEMPLATE "\"}"

static inline uint32_t tiny_vocab(const struct tiny *tiny)
{
    return tiny->n_vocab != 0 ? tiny->n_vocab : TINY_VOCAB;
}

static inline uint32_t tiny_hidden(const struct tiny *tiny)
{
    return tiny->hidden != 0 ? tiny->hidden : TINY_HIDDEN;
}

static inline uint32_t tiny_head_dim(const struct tiny *tiny)
{
    return tiny->head_dim != 0 ? tiny->head_dim : TINY_HEAD_DIM;
}

static inline size_t tiny_config(const struct tiny *tiny, char *text, size_t capacity)
{
    char plan[128] = "";
    if (tiny->plan != NULL)
        snprintf(plan, sizeof plan,
                 ",\"layer_types\":\"%s\",\"forward_passes\":3,"
                 "\"backward_passes\":2,\"use_sequential\":false",
                 tiny->plan);
    int length = snprintf(
        text, capacity,
        "{\"model_type\":\"%s\",\"hidden_act\":\"silu\",\"hidden_size\":%u,\"intermediate_size\":%"
        "d,"
        "\"max_position_embeddings\":64,\"num_attention_heads\":%d,\"num_hidden_layers\":%u,"
        "\"num_key_value_heads\":%d,\"head_dim\":%u,\"rms_norm_eps\":1e-05,\"rope_theta\":10000.0,"
        "\"vocab_size\":%u,\"tie_word_embeddings\":%s,\"sliding_window\":%u,\"attention_bias\":%s,"
        "\"bos_token_id\":0,\"eos_token_id\":3%s%s}",
        tiny->plan != NULL ? "lckv-llama" : "llama", tiny_hidden(tiny), TINY_INTERMEDIATE,
        TINY_HEADS, tiny->n_layers, TINY_KV_HEADS, tiny_head_dim(tiny), tiny_vocab(tiny),
        tiny->is_tied ? "true" : "false", tiny->sliding_window, tiny->has_biases ? "true" : "false",
        plan, tiny->members != NULL ? tiny->members : "");
    return (size_t)length;
}

struct tiny_header {
    char *text;
    size_t length, capacity;
    size_t n_data; /* bytes of the tensors so far */
};

/* Adds a tensor of float32. If `columns` is 0, it has one dimension. */
static inline void tiny_tensor(struct tiny_header *header, uint32_t rows, uint32_t columns,
                               const char *name, ...)
{
    char full[80], shape[40];
    va_list arguments;
    va_start(arguments, name);
    vsnprintf(full, sizeof full, name, arguments);
    va_end(arguments);
    size_t bytes = sizeof(float) * rows * (columns > 0 ? columns : 1);
    snprintf(shape, sizeof shape, columns > 0 ? "%u,%u" : "%u", rows, columns);
    header->length += (size_t)snprintf(
        header->text + header->length, header->capacity - header->length,
        "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}",
        header->n_data > 0 ? "," : "{", full, shape, header->n_data, header->n_data + bytes);
    header->n_data += bytes;
}

/* Whether a layer computes keys and values: some layer of the plan names it. */
static inline bool tiny_has_kv(const struct tiny *tiny, uint32_t layer)
{
    const char *at = tiny->plan;
    bool found = at == NULL;
    while (at != NULL && *at != '\0') {
        char *end;
        found |= strtoul(at, &end, 10) == layer;
        at = *end == 's' ? end + 1 : end;
        at += *at == '_';
    }
    return found;
}

/* Writes the JSON header of model.safetensors. Returns the bytes of data that belong behind it. */
static inline size_t tiny_safetensors(const struct tiny *tiny, char *text, size_t capacity,
                                      size_t *length)
{
    struct tiny_header h = {text, 0, capacity, 0};
    const uint32_t q = TINY_HEADS * tiny_head_dim(tiny), kv = TINY_KV_HEADS * tiny_head_dim(tiny);
    tiny_tensor(&h, tiny_vocab(tiny), tiny_hidden(tiny), "model.embed_tokens.weight");
    tiny_tensor(&h, tiny_hidden(tiny), 0, "model.norm.weight");
    if (!tiny->is_tied)
        tiny_tensor(&h, tiny_vocab(tiny), tiny_hidden(tiny), "lm_head.weight");
    for (uint32_t i = 0; i < tiny->n_layers; i++) {
        static const char *const kv_names[] = {"k", "v"};
        tiny_tensor(&h, tiny_hidden(tiny), 0, "model.layers.%u.input_layernorm.weight", i);
        tiny_tensor(&h, tiny_hidden(tiny), 0, "model.layers.%u.post_attention_layernorm.weight", i);
        tiny_tensor(&h, q, tiny_hidden(tiny), "model.layers.%u.self_attn.q_proj.weight", i);
        tiny_tensor(&h, tiny_hidden(tiny), q, "model.layers.%u.self_attn.o_proj.weight", i);
        for (int k = 0; k < 2 && tiny_has_kv(tiny, i); k++) {
            tiny_tensor(&h, kv, tiny_hidden(tiny), "model.layers.%u.self_attn.%s_proj.weight", i,
                        kv_names[k]);
            if (tiny->has_biases)
                tiny_tensor(&h, kv, 0, "model.layers.%u.self_attn.%s_proj.bias", i, kv_names[k]);
        }
        if (tiny->has_biases) {
            tiny_tensor(&h, q, 0, "model.layers.%u.self_attn.q_proj.bias", i);
            tiny_tensor(&h, tiny_hidden(tiny), 0, "model.layers.%u.self_attn.o_proj.bias", i);
        }
        tiny_tensor(&h, TINY_INTERMEDIATE, tiny_hidden(tiny),
                    "model.layers.%u.mlp.gate_proj.weight", i);
        tiny_tensor(&h, TINY_INTERMEDIATE, tiny_hidden(tiny), "model.layers.%u.mlp.up_proj.weight",
                    i);
        tiny_tensor(&h, tiny_hidden(tiny), TINY_INTERMEDIATE,
                    "model.layers.%u.mlp.down_proj.weight", i);
    }
    h.length += (size_t)snprintf(text + h.length, capacity - h.length, "}");
    *length = h.length;
    return h.n_data;
}

/* A value of the tensors: between -1 and 1, the same on every machine. */
static inline float tiny_value(size_t index)
{
    uint32_t bits = (uint32_t)index * 2654435761u + 12345;
    bits ^= bits >> 15;
    bits *= 2246822519u;
    return (float)((bits >> 16) & 1023) / 512 - 1;
}

static inline bool tiny_write_file(const char *directory, const char *name, const void *bytes,
                                   size_t length, size_t n_data)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *file = fopen(path, "wb");
    if (file == NULL)
        return false;
    uint64_t header = length;
    bool written = n_data == 0 || fwrite(&header, sizeof header, 1, file) == 1;
    written &= fwrite(bytes, 1, length, file) == length;
    for (size_t i = 0; i < n_data / sizeof(float); i++) {
        float value = tiny_value(i);
        written &= fwrite(&value, sizeof value, 1, file) == 1;
    }
    return (fclose(file) == 0) & written;
}

/* Writes config.json and model.safetensors to a folder that exists. */
static inline bool tiny_write_weights(const struct tiny *tiny, const char *directory)
{
    static char text[32768];
    size_t length = tiny_config(tiny, text, sizeof text);
    bool written = tiny_write_file(directory, "config.json", text, length, 0);
    size_t n_data = tiny_safetensors(tiny, text, sizeof text, &length);
    return tiny_write_file(directory, "model.safetensors", text, length, n_data) & written;
}

/* Writes the tokenizer's files too. */
static inline bool tiny_write(const struct tiny *tiny, const char *directory)
{
    return tiny_write_weights(tiny, directory) &&
           tiny_write_file(directory, "tokenizer.json", TINY_TOKENIZER, sizeof TINY_TOKENIZER - 1,
                           0) &&
           tiny_write_file(directory, "tokenizer_config.json", TINY_TOKENIZER_CONFIG,
                           sizeof TINY_TOKENIZER_CONFIG - 1, 0);
}

#endif
