/*
 * Writes the seeds of fuzz_directory.c: the directories of the tiny models and of the small models
 * in tests/data/architectures, and directories with what these do not have, such as shards.
 */
#include "seeds.h"

/* Writes the tiny models. */
static void write_tiny_models(void)
{
    for (size_t i = 0; i < n_tiny_models; i++) {
        FILE *seed = begin_seed("directory", tiny_models[i].name);
        put_directory(seed, &tiny_models[i].tiny);
        end_seed(seed);
    }
}

/* Puts the header of a safetensors file, and the number of bytes behind it. */
static void put_tensors(FILE *seed, const char *path)
{
    static char text[65536];
    char header[64];
    uint8_t prefix[8];
    size_t n_header = 0;
    FILE *file = fopen(path, "rb");
    require(file != NULL && fread(prefix, 1, sizeof prefix, file) == sizeof prefix,
            "cannot read %s", path);
    for (size_t i = sizeof prefix; i > 0; i--)
        n_header = n_header << 8 | prefix[i - 1];
    require(n_header < sizeof text && fread(text, 1, n_header, file) == n_header, "%s: header",
            path);
    text[n_header] = '\0';
    fseek(file, 0, SEEK_END);
    snprintf(header, sizeof header, "model.safetensors %zu",
             (size_t)ftell(file) - sizeof prefix - n_header);
    fclose(file);
    put_part(seed, header, text);
}

/* Writes the small models of tests/data/architectures. */
static void write_architectures(void)
{
    static const char root[] = "tests/data/architectures";
    char path[512];
    DIR *folders = opendir(root);
    require(folders != NULL, "cannot open %s; seeds run from the root of the repository", root);
    for (struct dirent *entry; (entry = readdir(folders)) != NULL;) {
        snprintf(path, sizeof path, "%s/%s/config.json", root, entry->d_name);
        if (access(path, R_OK) != 0)
            continue;
        FILE *seed = begin_seed("directory", entry->d_name);
        put_part(seed, "config.json", "");
        put_file(seed, path);
        snprintf(path, sizeof path, "%s/%s/model.safetensors", root, entry->d_name);
        put_tensors(seed, path);
        end_seed(seed);
    }
    closedir(folders);
}

/* Writes two shards and their index. */
static void write_shards(void)
{
    FILE *seed = begin_seed("directory", "shards");
    put_part(seed, "config.json",
             "{\"model_type\":\"llama\",\"hidden_size\":2,\"intermediate_size\":2,"
             "\"num_hidden_layers\":1,\"num_attention_heads\":1,\"vocab_size\":4,"
             "\"rms_norm_eps\":1e-6,\"tie_word_embeddings\":true}");
    put_part(seed, "model.safetensors.index.json",
             "{\"metadata\":{\"total_size\":64},\"weight_map\":{\"model.embed_tokens.weight\":"
             "\"a.safetensors\",\"model.norm.weight\":\"b.safetensors\"}}");
    put_part(seed, "a.safetensors 32",
             "{\"model.embed_tokens.weight\":{\"dtype\":\"F32\",\"shape\":[4,2],\"data_offsets\":"
             "[0,32]}}");
    put_part(seed, "b.safetensors 4",
             "{\"__metadata__\":{\"format\":\"pt\"},\"model.norm.weight\":{\"dtype\":\"BF16\","
             "\"shape\":[2],\"data_offsets\":[0,4]}}");
    end_seed(seed);
}

/* Writes a model whose matrices have eight bits, each with scales of another kind. */
static void write_f8(void)
{
    static const char *const vectors[] = {"norm", "layers.0.input_layernorm",
                                          "layers.0.post_attention_layernorm"};
    static const struct {
        const char *name, *scale, *shape;
        int n_scales;
    } matrices[] = {{"self_attn.q", "_scale", "[]", 1},     {"self_attn.k", "_scale", "[1]", 1},
                    {"self_attn.v", "_scale", "[4]", 4},    {"self_attn.o", "_scale", "[4,1]", 4},
                    {"mlp.gate", "_scale_inv", "[1,1]", 1}, {"mlp.up", "_scale_inv", "[2,2]", 4},
                    {"mlp.down", "_scale_inv", "[4,2]", 8}};
    static char text[8192];
    char header[64];
    int at = 64, length = snprintf(text, sizeof text,
                                   "{\"model.embed_tokens.weight\":{\"dtype\":\"F32\",\"shape\":"
                                   "[4,4],\"data_offsets\":[0,64]}");
    for (size_t i = 0; i < COUNT(vectors); i++, at += 16)
        length += snprintf(text + length, sizeof text - (size_t)length,
                           ",\"model.%s.weight\":{\"dtype\":\"F32\",\"shape\":[4],"
                           "\"data_offsets\":[%d,%d]}",
                           vectors[i], at, at + 16);
    for (size_t i = 0; i < COUNT(matrices); i++) {
        int scales = at + 16, end = scales + 4 * matrices[i].n_scales;
        length += snprintf(text + length, sizeof text - (size_t)length,
                           ",\"model.layers.0.%s_proj.weight\":{\"dtype\":\"F8_E4M3\",\"shape\":"
                           "[4,4],\"data_offsets\":[%d,%d]},"
                           "\"model.layers.0.%s_proj.weight%s\":{\"dtype\":\"F32\",\"shape\":%s,"
                           "\"data_offsets\":[%d,%d]}",
                           matrices[i].name, at, scales, matrices[i].name, matrices[i].scale,
                           matrices[i].shape, scales, end);
        at = end;
    }
    snprintf(text + length, sizeof text - (size_t)length, "}");
    FILE *seed = begin_seed("directory", "f8");
    put_part(seed, "config.json",
             "{\"model_type\":\"llama\",\"hidden_size\":4,\"intermediate_size\":4,"
             "\"num_hidden_layers\":1,\"num_attention_heads\":1,\"vocab_size\":4,"
             "\"rms_norm_eps\":1e-6,\"tie_word_embeddings\":true,"
             "\"quantization_config\":{\"quant_method\":\"fp8\"}}");
    snprintf(header, sizeof header, "model.safetensors %d", at);
    put_part(seed, header, text);
    end_seed(seed);
}

/* Adds a tensor of `n_rows` x 4 floats, or of 4 if that is 0, to a header. */
static void add_tensor(char *header, size_t capacity, int *n_data, const char *name, int n_rows)
{
    const int n_bytes = 16 * (n_rows > 0 ? n_rows : 1);
    const size_t used = strlen(header);
    char shape[16] = "4";
    if (n_rows > 0)
        snprintf(shape, sizeof shape, "%d,4", n_rows);
    snprintf(header + used, capacity - used,
             "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[%d,%d]}",
             used > 0 ? "," : "{", name, shape, *n_data, *n_data + n_bytes);
    *n_data += n_bytes;
}

/* Writes a model of text that has another part beside it. */
static void write_parts(void)
{
    static const struct {
        const char *name;
        int n_rows;
    } tensors[] = {{"input_layernorm", 0},
                   {"post_attention_layernorm", 0},
                   {"pre_feedforward_layernorm", 0},
                   {"post_feedforward_layernorm", 0},
                   {"self_attn.q_norm", 0},
                   {"self_attn.k_norm", 0},
                   {"self_attn.q_proj", 4},
                   {"self_attn.k_proj", 4},
                   {"self_attn.v_proj", 4},
                   {"self_attn.o_proj", 4},
                   {"mlp.gate_proj", 4},
                   {"mlp.up_proj", 4},
                   {"mlp.down_proj", 4}};
    static char text[8192];
    char name[128];
    int n_data = 0;
    FILE *seed = begin_seed("directory", "parts");
    put_part(seed, "config.json",
             "{\"model_type\":\"gemma3\",\"eos_token_id\":[1,3],\"vision_config\":{},"
             "\"tie_word_embeddings\":true,\"text_config\":{\"model_type\":\"gemma3_text\","
             "\"vocab_size\":5,\"hidden_size\":4,\"intermediate_size\":4,\"num_hidden_layers\":1,"
             "\"num_attention_heads\":1,\"num_key_value_heads\":1,\"head_dim\":4,"
             "\"rope_scaling\":{\"rope_type\":\"linear\",\"factor\":8}}}");
    add_tensor(text, sizeof text, &n_data, "language_model.model.embed_tokens.weight", 5);
    add_tensor(text, sizeof text, &n_data, "model.language_model.norm.weight", 0);
    for (size_t i = 0; i < COUNT(tensors); i++) {
        snprintf(name, sizeof name, "model.language_model.layers.0.%s.weight", tensors[i].name);
        add_tensor(text, sizeof text, &n_data, name, tensors[i].n_rows);
    }
    add_tensor(text, sizeof text, &n_data, "model.vision_tower.proj.weight", 2);
    strcat(text, "}");
    snprintf(name, sizeof name, "model.safetensors %d", n_data);
    put_part(seed, name, text);
    end_seed(seed);
}

void write_directory_seeds(void)
{
    write_tiny_models();
    write_architectures();
    write_shards();
    write_f8();
    write_parts();
}
