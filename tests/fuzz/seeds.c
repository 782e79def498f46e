/*
 * Writes the inputs that fuzzing begins with: "seeds FOLDER" makes a folder in it for each target.
 * Models are the tiny ones of tiny.h, as directories, as GGUF files and packed.
 */
#include "fuzz.h"
#include "restore.h"
#include "tiny.h"

static const char *out;

static const struct {
    const char *name;
    struct tiny tiny;
} models[] = {
    {"standard", {.n_layers = 2}},
    {"tied", {.n_layers = 1, .is_tied = true}},
    {"biases", {.n_layers = 2, .has_biases = true, .members = ",\"mlp_bias\":false"}},
    {"upward", {.plan = "0_2_2", .n_layers = 3}},
    {"downward", {.plan = "0_0_2_2", .n_layers = 4}},
    {"windows", {.plan = "0s_0s_2", .n_layers = 3, .sliding_window = 4}},
    {"wide", {.n_layers = 1, .n_vocab = 40, .members = ",\"pad_token_id\":39"}},
    {"scaled",
     {.n_layers = 1,
      .members = ",\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8,\"low_freq_factor\":1,"
                 "\"high_freq_factor\":4,\"original_max_position_embeddings\":16}"}},
    {"dynamic",
     {.n_layers = 1, .members = ",\"rope_scaling\":{\"rope_type\":\"dynamic\",\"factor\":2}"}},
};

/* Begins a seed, which is made of pieces one after the other. */
static FILE *begin_seed(const char *target, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", out, target);
    mkdir(path, 0777);
    snprintf(path, sizeof path, "%s/%s/%s", out, target, name);
    FILE *seed = fopen(path, "wb");
    require(seed != NULL, "cannot make %s", path);
    return seed;
}

static void end_seed(FILE *seed)
{
    require(fclose(seed) == 0, "cannot write a seed");
}

static void put_part(FILE *seed, const char *header, const char *body)
{
    fprintf(seed, "\x1C%s\n%s", header, body);
}

static void put_file(FILE *seed, const char *path)
{
    FILE *file = fopen(path, "rb");
    require(file != NULL, "cannot open %s; seeds run from the root of the repository", path);
    for (int byte; (byte = fgetc(file)) != EOF;)
        fputc(byte, seed);
    fclose(file);
}

/* Writes the parts of a directory, as text. The target makes the data. */
static void put_directory(FILE *seed, const struct tiny *tiny)
{
    static char text[32768];
    char header[64];
    size_t length;
    tiny_config(tiny, text, sizeof text);
    put_part(seed, "config.json", text);
    size_t n_data = tiny_safetensors(tiny, text, sizeof text, &length);
    snprintf(header, sizeof header, "model.safetensors %zu", n_data);
    put_part(seed, header, text);
    put_part(seed, "tokenizer.json", TINY_TOKENIZER);
    put_part(seed, "tokenizer_config.json", TINY_TOKENIZER_CONFIG);
    put_part(seed, "generation_config.json", "{\"eos_token_id\":[1,3],\"do_sample\":true}");
    put_part(seed, "special_tokens_map.json", "{\"eos_token\":\"</s>\"}");
}

/* Writes the header of a safetensors file, and the number of bytes behind it. */
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

static void write_models(void)
{
    static const lckv_dtype dtypes[] = {LCKV_DTYPE_DEFAULT, LCKV_DTYPE_F16, LCKV_DTYPE_BF16};
    for (size_t i = 0; i < COUNT(models); i++) {
        const struct tiny *tiny = &models[i].tiny;
        FILE *seed = begin_seed("directory", models[i].name);
        put_directory(seed, tiny);
        end_seed(seed);
        folder_begin();
        require(tiny_write(tiny, folder), "cannot write to %s", folder);
        lckv_convert_options options = {.size = sizeof options, .dtype = dtypes[i % COUNT(dtypes)]};
        const char *targets[] = {"gguf", "packed"};
        for (int packed = 0; packed < 2; packed++) {
            options.packed = packed;
            require_ok(lckv_convert(folder, folder_path("m.gguf"), &options, NULL));
            seed = begin_seed(targets[packed], models[i].name);
            put_file(seed, folder_path("m.gguf"));
            end_seed(seed);
        }
        options =
            (lckv_convert_options){.size = sizeof options, .packed = 1, .kernel_set = "portable"};
        require_ok(lckv_convert(folder, folder_path("p.gguf"), &options, NULL));
        char name[64];
        snprintf(name, sizeof name, "%s-portable", models[i].name);
        seed = begin_seed("packed", name);
        put_file(seed, folder_path("p.gguf"));
        end_seed(seed);
    }
}

/*
 * Writes files whose matrices are made of blocks, as they are and packed. lckv_convert does not
 * write all types: files of the others are Q8_0 files with another type number. Q8_0 takes more
 * bytes, so every matrix is long enough.
 */
static void write_blocks(void)
{
    static const struct {
        const char *name;
        lckv_dtype dtype;
        uint32_t number; /* the type in GGUF files */
    } types[] = {{"q8_0", LCKV_DTYPE_Q8_0, 8},    {"q4_0", LCKV_DTYPE_Q4_0, 2},
                 {"q4_1", LCKV_DTYPE_Q4_1, 3},    {"q5_0", LCKV_DTYPE_Q5_0, 6},
                 {"q5_1", LCKV_DTYPE_Q5_1, 7},    {"q4_K", LCKV_DTYPE_Q4_K, 12},
                 {"q5_K", LCKV_DTYPE_Q5_K, 13},   {"q6_K", LCKV_DTYPE_Q6_K, 14},
                 {"q2_K", LCKV_DTYPE_Q8_0, 10},   {"q3_K", LCKV_DTYPE_Q8_0, 11},
                 {"iq4_nl", LCKV_DTYPE_Q8_0, 20}, {"iq4_xs", LCKV_DTYPE_Q8_0, 23},
                 {"mxfp4", LCKV_DTYPE_Q8_0, 39}};
    static uint8_t bytes[65536];
    for (size_t i = 0; i < COUNT(types); i++) {
        const struct tiny tiny = {
            .n_layers = 1, .is_tied = true, .hidden = types[i].number < 10 ? 32 : 256};
        const lckv_convert_options options = {.size = sizeof options, .dtype = types[i].dtype};
        folder_begin();
        require(tiny_write(&tiny, folder), "cannot write to %s", folder);
        require_ok(lckv_convert(folder, folder_path("m.gguf"), &options, NULL));
        FILE *file = fopen(folder_path("m.gguf"), "rb");
        require(file != NULL, "cannot read %s", folder);
        size_t length = fread(bytes, 1, sizeof bytes, file);
        fclose(file);
        const uint64_t columns = tiny.hidden; /* before the rows and the type, in 8 bytes each */
        for (size_t at = 0; at + 20 <= length; at++) {
            if (memcmp(bytes + at, &columns, 8) == 0 && bytes[at + 16] == 8)
                bytes[at + 16] = (uint8_t)types[i].number;
        }
        folder_write("m.gguf", bytes, length, 0);
        FILE *seed = begin_seed("gguf", types[i].name);
        put_file(seed, folder_path("m.gguf"));
        end_seed(seed);
        const lckv_convert_options packing = {
            .size = sizeof packing, .packed = 1, .kernel_set = "portable"};
        require_ok(lckv_convert(folder_path("m.gguf"), folder_path("p.gguf"), &packing, NULL));
        seed = begin_seed("packed", types[i].name);
        put_file(seed, folder_path("p.gguf"));
        end_seed(seed);
    }
}

static void put_little(struct bytes *bytes, uint64_t number, size_t size)
{
    for (size_t i = 0; i < size; i++, number >>= 8)
        bytes_put(bytes, (const char[]){(char)number}, 1);
}

static void put_key(struct bytes *bytes, const char *key, uint32_t type, uint64_t value,
                    size_t size)
{
    put_little(bytes, strlen(key), 8);
    bytes_put(bytes, key, strlen(key));
    put_little(bytes, type, 4);
    put_little(bytes, value, size);
}

/* The keys of a part, and two that make their length a multiple of the alignment, 32 bytes. */
static void put_split(struct bytes *bytes, uint32_t number, uint32_t n_tensors)
{
    enum { U16 = 2, I32 = 5, U64 = 10 };
    put_key(bytes, "split.no", U16, number, 2);
    put_key(bytes, "split.count", U16, 3, 2);
    put_key(bytes, "split.tensors.count", I32, n_tensors, 4);
    put_key(bytes, "x", U64, 0, 8);
    put_key(bytes, "y....", U64, 0, 8);
}

/* A tiny model in three parts, the second of which has a tensor that nothing reads. */
static void write_splits(void)
{
    const struct tiny tiny = {.n_layers = 1, .is_tied = true};
    static char whole[65536];
    struct bytes first = {0}, second = {0}, third = {0};
    folder_begin();
    require(tiny_write(&tiny, folder), "cannot write to %s", folder);
    require_ok(lckv_convert(folder, folder_path("m.gguf"), NULL, NULL));
    FILE *file = fopen(folder_path("m.gguf"), "rb");
    require(file != NULL, "cannot read %s", folder);
    const size_t length = fread(whole, 1, sizeof whole, file);
    fclose(file);
    const uint32_t n_tensors = (uint8_t)whole[8] + 1u;
    bytes_put(&first, whole, 16);
    put_little(&first, (uint8_t)whole[16] + 5u, 8);
    put_split(&first, 0, n_tensors);
    require(first.length % 32 == 24, "the keys have %zu bytes", first.length - 24);
    bytes_put(&first, whole + 24, length - 24);
    bytes_put(&second, whole, 8);
    put_little(&second, 1, 8);
    put_little(&second, 5, 8);
    put_split(&second, 1, n_tensors);
    put_little(&second, 1, 8);
    bytes_put(&second, "x", 1);
    put_little(&second, 1, 4); /* one dimension, of one number, f32, at the beginning of the data */
    put_little(&second, 1, 8);
    put_little(&second, 0, 4);
    put_little(&second, 0, 8);
    while (second.length % 32 != 4)
        put_little(&second, 0, 1);
    bytes_put(&third, whole, 8);
    put_little(&third, 0, 8);
    put_little(&third, 5, 8);
    put_split(&third, 2, n_tensors);
    FILE *seed = begin_seed("split", "tiny");
    const struct bytes *parts[] = {&first, &second, &third};
    for (size_t i = 0; i < 2; i++) {
        fputc((int)(parts[i]->length % 256), seed);
        fputc((int)(parts[i]->length / 256), seed);
    }
    for (size_t i = 0; i < COUNT(parts); i++) {
        fwrite(parts[i]->data, 1, parts[i]->length, seed);
        free(parts[i]->data);
    }
    end_seed(seed);
}

/* fuzz_convert.c says what the digits of the options mean. */
static void write_conversions(void)
{
    static const struct {
        const char *name, *digits, *plan;
        size_t model;
    } conversions[] = {
        {"same", "00000", "", 0},         {"f16", "20000", "", 1},
        {"bf16", "30000", "", 2},         {"q8_0", "40000", "", 4},
        {"condensed", "00000", "1_1", 0}, {"copied", "01000", "1_1", 2},
        {"windows", "00004", "0s_1", 0},  {"downward", "00000", "0_0_0", 3},
        {"packed", "00100", "", 4},       {"portable", "20110", "", 5},
    };
    for (size_t i = 0; i < COUNT(conversions); i++) {
        const struct tiny *tiny = &models[conversions[i].model].tiny;
        FILE *seed = begin_seed("convert", conversions[i].name);
        put_part(seed, "options", conversions[i].digits);
        fputs(conversions[i].plan, seed);
        put_directory(seed, tiny);
        end_seed(seed);
        folder_begin();
        require(tiny_write(tiny, folder), "cannot write to %s", folder);
        require_ok(lckv_convert(folder, folder_path("m.gguf"), NULL, NULL));
        char name[64];
        snprintf(name, sizeof name, "%s-gguf", conversions[i].name);
        seed = begin_seed("convert", name);
        put_part(seed, "options", conversions[i].digits);
        fputs(conversions[i].plan, seed);
        put_part(seed, "model.gguf", "");
        put_file(seed, folder_path("m.gguf"));
        end_seed(seed);
    }
}

/* A packed file is turned back, into another type, and packed for another kernel set. */
static void write_unpackings(void)
{
    static const char *const digits[] = {"00000", "20000", "00100"};
    const struct tiny tiny = {.n_layers = 1, .is_tied = true};
    const lckv_convert_options packing = {
        .size = sizeof packing, .packed = 1, .kernel_set = "portable"};
    folder_begin();
    require(tiny_write(&tiny, folder), "cannot write to %s", folder);
    require_ok(lckv_convert(folder, folder_path("p.gguf"), &packing, NULL));
    for (size_t i = 0; i < COUNT(digits); i++) {
        char name[64];
        snprintf(name, sizeof name, "unpacked-%s", digits[i]);
        FILE *seed = begin_seed("convert", name);
        put_part(seed, "options", digits[i]);
        put_part(seed, "model.gguf", "");
        put_file(seed, folder_path("p.gguf"));
        end_seed(seed);
    }
}

/* Normalisers, pre-tokenizers and added tokens with every kind of step. */
static void write_pipelines(void)
{
    static const char *const pipelines[] = {
        "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFD\"},"
        "{\"type\":\"StripAccents\"},{\"type\":\"Lowercase\"},{\"type\":\"Strip\","
        "\"strip_left\":true},{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"\\\\s+\"},"
        "\"content\":\" a\"}]},\"pre_tokenizer\":{\"type\":\"ByteLevel\"}",
        "\"normalizer\":{\"type\":\"NFKC\"},\"pre_tokenizer\":{\"type\":\"Sequence\","
        "\"pretokenizers\":[{\"type\":\"Punctuation\",\"behavior\":\"Contiguous\"},"
        "{\"type\":\"ByteLevel\",\"add_prefix_space\":true},{\"type\":\"Digits\"},"
        "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[0-9]\"},\"behavior\":\"MergedWithNext\","
        "\"invert\":false}]}",
        "\"normalizer\":{\"type\":\"NFKD\"},\"pre_tokenizer\":{\"type\":\"Sequence\","
        "\"pretokenizers\":[{\"type\":\"Whitespace\"},{\"type\":\"Split\","
        "\"pattern\":{\"Regex\":\"\\\\b|\\\\s+$\"},\"behavior\":\"MergedWithPrevious\","
        "\"invert\":true},{\"type\":\"Split\",\"pattern\":{\"Regex\":\"a*\"},"
        "\"behavior\":\"Removed\",\"invert\":true},{\"type\":\"ByteLevel\","
        "\"add_prefix_space\":false}]}",
        "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFKC\"},"
        "{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"\xE2\x96\x81\"},"
        "{\"type\":\"Lowercase\"},{\"type\":\"Prepend\",\"prepend\":\"b\"}]}",
        "\"normalizer\":{\"type\":\"Strip\"},\"pre_tokenizer\":{\"type\":\"Metaspace\","
        "\"replacement\":\"\xE2\x96\x81\",\"prepend_scheme\":\"first\"}",
    };
    for (size_t i = 0; i < COUNT(pipelines); i++) {
        char name[32];
        snprintf(name, sizeof name, "pipeline-%zu", i);
        FILE *seed = begin_seed("tokenizer", name);
        put_part(seed, "tokenizer.json",
                 "{\"model\":{\"vocab\":{\"a\":0,\"b\":1,\"1\":2,\"\xC4\xA0\":3,\"ab\":4},"
                 "\"merges\":[\"a b\"]},\"added_tokens\":[{\"id\":5,\"content\":\"<A>\","
                 "\"normalized\":true,\"special\":true,\"rstrip\":true}],");
        fputs(pipelines[i], seed);
        fputs("}", seed);
        put_part(seed, "text", "  A<a> abAB. 12 \xEF\xAC\x81 e\xCC\x81 <\xC3\x81>  ");
        put_part(seed, "text 1", "<A>b\xFF <a>");
        end_seed(seed);
    }
}

static void write_texts(void)
{
    static const char *const files[] = {"gpt2", "llama3", "plain", "smollm", "steps"};
    for (size_t i = 0; i < COUNT(files) + 1; i++) {
        FILE *seed = begin_seed("tokenizer", i < COUNT(files) ? files[i] : "tiny");
        char path[128];
        put_part(seed, "tokenizer.json", i < COUNT(files) ? "" : TINY_TOKENIZER);
        if (i < COUNT(files)) {
            snprintf(path, sizeof path, "tests/data/text/%s.json", files[i]);
            put_file(seed, path);
        }
        put_part(seed, "tokenizer_config.json", TINY_TOKENIZER_CONFIG);
        put_part(seed, "text", "Once upon a time, 1234 cats; it's caf\xC3\xA9!\n\n  <|im_start|>");
        put_part(seed, "text 1", "<s>abc<|eos|> \xF0\x9F\x98\x80\xFF\xE2\x80");
        put_part(seed, "text 2", "");
        end_seed(seed);
    }
}

/* The pieces of a small tokenizer.model; byte 1C, which separates parts, does not occur in it. */
static size_t make_model(bool unigram, char *bytes)
{
    static const struct {
        const char *text;
        char type;
    } pieces[] = {
        {"<unk>", 2},
        {"<s>", 3},
        {"</s>", 3},
        {"<0x00>", 6},
        {"<0xFF>", 6},
        {"<br>", 4},
        {"a", 1},
        {"b", 1},
        {"\xE2\x96\x81", 1},
        {"ab", 1},
        {"\xE2\x96\x81"
         "a",
         1},
        {"aab", 1},
        {"x", 5},
    };
    char *at = bytes;
    for (size_t i = 0; i < COUNT(pieces); i++) {
        size_t length = strlen(pieces[i].text);
        *at++ = '\x0A';
        *at++ = (char)(length + 9);
        *at++ = '\x0A';
        *at++ = (char)length;
        memcpy(at, pieces[i].text, length);
        at += length;
        memcpy(at, "\x15\0\0\0\xC0\x18", 6);
        at[3] = (char)(8 * i); /* the scores differ */
        at[6] = pieces[i].type;
        at += 7;
    }
    memcpy(at, "\x12\x02\x18", 3);
    at[3] = unigram ? 1 : 2;
    memcpy(at + 4, "\x1A\x02\x20\x01", 4);
    return (size_t)(at + 8 - bytes);
}

/* Vocabularies with U+2581 for a space, in tokenizer.json, tokenizer.model and GGUF files. */
static void write_spaced(void)
{
    static const char *const files[] = {"llama", "gemma", "unknown", "unigram", "white"};
    static const struct tiny tiny = {.n_layers = 1, .is_tied = true, .n_vocab = 16};
    char name[64], bytes[512];
    for (size_t i = 0; i < COUNT(files) + 2; i++) {
        bool is_model = i >= COUNT(files), unigram = i == COUNT(files);
        snprintf(name, sizeof name, "spaced-%s", is_model ? unigram ? "u" : "b" : files[i]);
        FILE *seed = begin_seed("tokenizer", name);
        put_part(seed, is_model ? "tokenizer.model" : "tokenizer.json", "");
        size_t length = make_model(unigram, bytes);
        if (is_model)
            fwrite(bytes, 1, length, seed);
        else
            snprintf(name, sizeof name, "tests/data/text/spaced/%s.json", files[i]);
        if (!is_model)
            put_file(seed, name);
        put_part(seed, "tokenizer_config.json",
                 "{\"legacy\":false,\"added_tokens_decoder\":{\"13\":{\"content\":\"<t>\"}}}");
        put_part(seed, "text", " Once  upon aab<br>a\n\xE2\x96\x81 <t> ");
        put_part(seed, "text 1", "<s>abc</s> a\xF0\x9F\x98\x80\xFF\xE2\x80");
        end_seed(seed);
        if (!is_model)
            continue;
        folder_begin();
        require(tiny_write_weights(&tiny, folder), "cannot write to %s", folder);
        folder_write("tokenizer.model", bytes, length, 0);
        require_ok(lckv_convert(folder, folder_path("m.gguf"), NULL, NULL));
        seed = begin_seed("gguf", unigram ? "spaced-u" : "spaced-b");
        put_file(seed, folder_path("m.gguf"));
        end_seed(seed);
    }
}

/* The ways of writing a conversation that published templates have, in other words. */
static void write_chats(void)
{
    static const char *const templates[] = {
        "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + "
        "message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ "
        "'<|im_start|>assistant\n' }}{% endif %}",
        "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ "
        "'<|im_start|>system\nYou are helpful<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + "
        "message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}",
        "{{ bos_token }}{% for m in messages %}[INST] {{ m['content'] }} [/INST]{% endfor %}",
        "{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}",
        "{%- if tools %}\n    {{- tools | tojson }}\n{%- else %}\n"
        "    {%- if messages[0]['role'] == 'system' %}\n"
        "        {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}\n"
        "    {%- else %}\n        {{- '<|im_start|>system\\nHelp.<|im_end|>\\n' }}\n"
        "    {%- endif %}\n{%- endif %}\n{%- for message in messages %}\n"
        "    {%- if (message.role == \"user\") or (message.role == \"system\" and not loop.first) "
        "or (message.role == \"assistant\" and not message.tool_calls) %}\n"
        "        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + "
        "'\\n' "
        "}}\n    {%- endif %}\n{%- endfor %}\n{%- if add_generation_prompt %}\n"
        "    {{- '<|im_start|>assistant\\n' }}\n{%- endif %}\n",
        "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set "
        "system_message = messages[0]['content'] | trim + '\\n\\n' %}{% else %}{% set "
        "loop_messages = messages %}{% set system_message = '' %}{% endif %}{% for message in "
        "loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ "
        "raise_exception('Roles must alternate') }}{% endif %}{% if loop.index0 == 0 %}{% set "
        "content = system_message ~ message['content'] %}{% else %}{% set content = "
        "message['content'] %}{% endif %}{% if message['role'] == 'user' %}{{ bos_token + '[INST] "
        "' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' ' + "
        "content + ' ' + eos_token }}{% endif %}{% endfor %}",
        "{# A role on a line of its own. #}\r\n{% for m in messages -%}\n  <|im_start|>{{ 'model' "
        "if m.role == 'assistant' else m.role }}\n{{ m.content | trim }}<|im_end|>\n"
        "{%+ if loop.last and m.role is defined and m.name is not defined %} {{ eos_token }}"
        "{%- endif %}\n{% endfor %}{{ '<|im_start|>model\n' if add_generation_prompt }}",
        "{%- set ns = namespace(last=-1, s='') %}{%- macro plain(text, n=0) %}{%- for part in "
        "text.split('</think>') %}{%- if loop.last or n %}{{- part.lstrip('\\n') }}{%- endif %}"
        "{%- endfor %}{%- endmacro %}{%- for m in messages[::-1] %}{%- if ns.last < 0 and m.role "
        "in ['user', 'system'] and not m.content.startswith('<tool') %}{%- set ns.last = "
        "messages|length - 1 - loop.index0 %}{%- endif %}{%- endfor %}{%- for i in "
        "range(messages|length) %}{%- set m = messages[i] %}{{- '<|im_start|>' ~ m.role ~ '\\n' ~ "
        "plain(m.content)|trim|default('', true) ~ '<|im_end|>' }}{%- set ns.s = ns.s + "
        "m.content.replace('/think', '') %}{%- endfor %}{{ ns.s.rstrip() | tojson }}{{ "
        "strftime_now('%d %B %Y') }}{% for j in range(3, -1, -1) %}{{ messages[j].get('content', "
        "'x').split('a', 1)[-1] }}{% endfor %}",
    };
    for (size_t i = 0; i < 2 * COUNT(templates); i++) {
        const char name[] = {(char)('a' + i), '\0'};
        FILE *seed = begin_seed("chat", name);
        put_part(seed, i % 2 == 0 ? "template" : "chat_template.jinja", templates[i / 2]);
        if (i % 3 != 0)
            put_part(seed, "system", " Be brief. ");
        put_part(seed, "user", "Hi <|im_end|>\n<|im_start|>");
        put_part(seed, "assistant", "");
        end_seed(seed);
    }
}

static void write_plans(void)
{
    static const char *const plans[] = {"0_1_2_3", "0_3_3_3",         "0s_1s_2_2",
                                        "3_3_3_3", "0_6_6_6_6_6_6_7", "0_0_2_2s"};
    static const char numbers[] = {1, 0, 2, 0, 64, 0, 2, 3, 1, 1, 1, 4, 3, 2, 1, 9, 1, 20, 2, 0};
    for (size_t i = 0; i < COUNT(plans); i++) {
        FILE *seed = begin_seed("plan", plans[i]);
        fwrite(numbers, 1, sizeof numbers, seed);
        fputs(plans[i], seed);
        end_seed(seed);
    }
}

/* Writes bytes without a pattern. Each is an argument or a call of fuzz_calls.c. */
static void write_calls(void)
{
    uint32_t bits = 1;
    for (int i = 0; i < 120; i++) {
        char name[16];
        snprintf(name, sizeof name, "%03d", i);
        FILE *seed = begin_seed("calls", name);
        fputc(i % 7, seed);
        for (int k = 0; k < 400; k++) {
            bits = bits * 1664525 + 1013904223;
            fputc((int)(bits >> 24), seed);
        }
        end_seed(seed);
    }
}

/*
 * Sessions that share pages, and some that do not, saved from pages of each size, without and with
 * a context window.
 */
static void write_saved(void)
{
    const size_t n_ordinary = COUNT(restore_tinies) * COUNT(restore_pages);
    for (size_t i = 0; i < 2 * n_ordinary; i++) {
        const uint32_t flags = i < n_ordinary ? 0 : RESTORE_ENDLESS;
        const size_t model = i % n_ordinary / COUNT(restore_pages), page = i % COUNT(restore_pages);
        lckv_cache *cache = restore_cache(model, page, flags);
        lckv_session *sessions[3];
        lckv_token tokens[45];
        for (size_t t = 0; t < COUNT(tokens); t++)
            tokens[t] = (lckv_token)((t * 7 + i) % TINY_VOCAB);
        require_ok(lckv_session_create(cache, &sessions[0]));
        require_ok(lckv_session_create(cache, &sessions[2]));
        lckv_item item = {.session = sessions[0], .tokens = tokens, .n_tokens = COUNT(tokens)};
        require_ok(lckv_evaluate(cache, &item, sizeof item, 1, NULL, NULL));
        require_ok(lckv_session_fork(sessions[0], &sessions[1]));
        item = (lckv_item){.session = sessions[1], .tokens = tokens, .n_tokens = 6};
        require_ok(lckv_evaluate(cache, &item, sizeof item, 1, NULL, NULL));
        struct bytes stream = {0}, empty = saved_empty(cache);
        const lckv_save_options options = {
            .size = sizeof options, .note = "a note", .note_length = i % 2 * 6};
        require_ok(lckv_sessions_save(sessions, COUNT(sessions), bytes_put, &stream, &options));
        struct bytes payload = unframed(&stream), description = unframed(&empty);
        const size_t begin = description.length - RESTORE_COUNTS - RESTORE_EMPTY_SESSION;
        char name[32];
        snprintf(name, sizeof name, "%s%zu-%u", flags != 0 ? "endless-" : "", model,
                 restore_pages[page]);
        FILE *seed = begin_seed("restore", name);
        fputc((int)model, seed);
        fputc((int)((page + i) % COUNT(restore_pages)), seed);
        fputc((int)flags, seed);
        fputc((int)(i * 20 % 256), seed);
        fwrite(payload.data + begin, 1, payload.length - begin, seed);
        end_seed(seed);
        for (size_t s = 0; s < COUNT(sessions); s++)
            lckv_session_release(sessions[s]);
        lckv_cache_release(cache);
        free(stream.data);
        free(empty.data);
        free(payload.data);
        free(description.data);
    }
}

/* A model with tensors of three dimensions, small matrices and streams beside the residual one. */
static void write_streams(void)
{
    folder_begin();
    require_ok(lckv_convert("tests/data/architectures/gemma3n", folder_path("m.gguf"), NULL, NULL));
    FILE *seed = begin_seed("gguf", "gemma3n");
    put_file(seed, folder_path("m.gguf"));
    end_seed(seed);
}

int main(int argc, char **argv)
{
    require(argc == 2, "usage: %s FOLDER", argv[0]);
    out = argv[1];
    mkdir(out, 0777);
    write_models();
    write_architectures();
    write_shards();
    write_f8();
    write_parts();
    write_blocks();
    write_streams();
    write_splits();
    write_conversions();
    write_unpackings();
    write_pipelines();
    write_texts();
    write_spaced();
    write_chats();
    write_plans();
    write_calls();
    write_saved();
    return 0;
}
