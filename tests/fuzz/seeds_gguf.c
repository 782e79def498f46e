/*
 * Writes the seeds that are GGUF files: those of fuzz_gguf.c, packed files for fuzz_packed.c, and a
 * file in three parts for fuzz_split.c.
 */
#include "bytes.h"
#include "seeds.h"

/* Writes the tiny models as they are, packed, and packed for the portable kernel set. */
static void write_tiny_models(void)
{
    static const lckv_dtype dtypes[] = {LCKV_DTYPE_DEFAULT, LCKV_DTYPE_F16, LCKV_DTYPE_BF16};
    for (size_t i = 0; i < n_tiny_models; i++) {
        const struct tiny *tiny = &tiny_models[i].tiny;
        folder_begin();
        require(tiny_write(tiny, folder), "cannot write to %s", folder);
        lckv_convert_options options = {.size = sizeof options, .dtype = dtypes[i % COUNT(dtypes)]};
        const char *targets[] = {"gguf", "packed"};
        for (int packed = 0; packed < 2; packed++) {
            options.packed = packed;
            require_ok(lckv_convert(folder, folder_path("m.gguf"), &options, NULL));
            FILE *seed = begin_seed(targets[packed], tiny_models[i].name);
            put_file(seed, folder_path("m.gguf"));
            end_seed(seed);
        }
        options =
            (lckv_convert_options){.size = sizeof options, .packed = 1, .kernel_set = "portable"};
        require_ok(lckv_convert(folder, folder_path("p.gguf"), &options, NULL));
        char name[64];
        snprintf(name, sizeof name, "%s-portable", tiny_models[i].name);
        FILE *seed = begin_seed("packed", name);
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

/* Writes a model with tensors of three dimensions, small matrices and side streams. */
static void write_streams(void)
{
    folder_begin();
    require_ok(lckv_convert("tests/data/architectures/gemma3n", folder_path("m.gguf"), NULL, NULL));
    FILE *seed = begin_seed("gguf", "gemma3n");
    put_file(seed, folder_path("m.gguf"));
    end_seed(seed);
}

/* Puts a number into `size` bytes, the lowest byte first. */
static void put_little(struct bytes *bytes, uint64_t number, size_t size)
{
    for (size_t i = 0; i < size; i++, number >>= 8)
        bytes_put(bytes, (const char[]){(char)number}, 1);
}

/* Puts a key of the metadata with its type and its value. */
static void put_key(struct bytes *bytes, const char *key, uint32_t type, uint64_t value,
                    size_t size)
{
    put_little(bytes, strlen(key), 8);
    bytes_put(bytes, key, strlen(key));
    put_little(bytes, type, 4);
    put_little(bytes, value, size);
}

/* Puts the keys of a part, and two that make their length a multiple of the alignment, 32 bytes. */
static void put_split(struct bytes *bytes, uint32_t number, uint32_t n_tensors)
{
    enum { U16 = 2, I32 = 5, U64 = 10 };
    put_key(bytes, "split.no", U16, number, 2);
    put_key(bytes, "split.count", U16, 3, 2);
    put_key(bytes, "split.tensors.count", I32, n_tensors, 4);
    put_key(bytes, "x", U64, 0, 8);
    put_key(bytes, "y....", U64, 0, 8);
}

/* Writes a tiny model in three parts, the second of which has a tensor that nothing reads. */
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

void write_gguf_seeds(void)
{
    write_tiny_models();
    write_blocks();
    write_streams();
    write_splits();
}
