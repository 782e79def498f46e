/*
 * Writes the seeds of fuzz_convert.c: directories, GGUF files and packed files, each behind the
 * options of a conversion. fuzz_convert.c says what the digits of the options mean.
 */
#include "seeds.h"

/* Writes each conversion twice: from a directory and from a GGUF file. */
static void write_conversions(void)
{
    static const struct {
        const char *name, *digits, *plan;
        size_t model; /* its place in tiny_models */
    } conversions[] = {
        {"same", "00000", "", 0},         {"f16", "20000", "", 1},
        {"bf16", "30000", "", 2},         {"q8_0", "40000", "", 4},
        {"condensed", "00000", "1_1", 0}, {"copied", "01000", "1_1", 2},
        {"windows", "00004", "0s_1", 0},  {"downward", "00000", "0_0_0", 3},
        {"packed", "00100", "", 4},       {"portable", "20110", "", 5},
    };
    for (size_t i = 0; i < COUNT(conversions); i++) {
        const struct tiny *tiny = &tiny_models[conversions[i].model].tiny;
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

/* Writes a packed file to turn back, into another type too, and to pack for another kernel set. */
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

void write_convert_seeds(void)
{
    write_conversions();
    write_unpackings();
}
