/*
 * Writes the inputs that fuzzing begins with: "seeds FOLDER" makes a folder in it for each target.
 * This file has what the others share. The seeds of the targets stand in these files:
 *
 *     seeds_directory.c    directory
 *     seeds_gguf.c         gguf, packed, split
 *     seeds_convert.c      convert
 *     seeds_texts.c        tokenizer, chat; also those of gguf that have a spaced vocabulary
 *     seeds_sessions.c     plan, calls, restore
 *
 * Models are the tiny ones of tiny.h, and those of tests/data/architectures.
 */
#include "seeds.h"

static const char *out;

const struct tiny_model tiny_models[] = {
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
const size_t n_tiny_models = COUNT(tiny_models);

FILE *begin_seed(const char *target, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", out, target);
    mkdir(path, 0777);
    snprintf(path, sizeof path, "%s/%s/%s", out, target, name);
    FILE *seed = fopen(path, "wb");
    require(seed != NULL, "cannot make %s", path);
    return seed;
}

void end_seed(FILE *seed)
{
    require(fclose(seed) == 0, "cannot write a seed");
}

void put_part(FILE *seed, const char *header, const char *body)
{
    fprintf(seed, "\x1C%s\n%s", header, body);
}

void put_file(FILE *seed, const char *path)
{
    FILE *file = fopen(path, "rb");
    require(file != NULL, "cannot open %s; seeds run from the root of the repository", path);
    for (int byte; (byte = fgetc(file)) != EOF;)
        fputc(byte, seed);
    fclose(file);
}

void put_directory(FILE *seed, const struct tiny *tiny)
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

int main(int argc, char **argv)
{
    require(argc == 2, "usage: %s FOLDER", argv[0]);
    out = argv[1];
    mkdir(out, 0777);
    write_directory_seeds();
    write_gguf_seeds();
    write_convert_seeds();
    write_text_seeds();
    write_session_seeds();
    return 0;
}
