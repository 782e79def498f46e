/*
 * What the files of the program "seeds" share: tiny models, the calls that make a seed, and the
 * functions that write the seeds. seeds.c says which file has the seeds of which target.
 */
#ifndef LCKV_TESTS_FUZZ_SEEDS_H
#define LCKV_TESTS_FUZZ_SEEDS_H

#include "fuzz.h"
#include "tiny.h"

/* Models that differ in what a model can have. */
struct tiny_model {
    const char *name;
    struct tiny tiny;
};
extern const struct tiny_model tiny_models[];
extern const size_t n_tiny_models;

/* A seed is the file FOLDER/TARGET/NAME. Its pieces are put one after the other. */
FILE *begin_seed(const char *target, const char *name);
void end_seed(FILE *seed);

/* Puts a part, as fuzz.h describes it; its body goes on until the next part is put. */
void put_part(FILE *seed, const char *header, const char *body);

/* Puts the bytes of a file. */
void put_file(FILE *seed, const char *path);

/* Puts the parts of a tiny model's directory, as text. The target makes the data. */
void put_directory(FILE *seed, const struct tiny *tiny);

/* Each of these writes the seeds that stand in one of the files. */
void write_directory_seeds(void);
void write_gguf_seeds(void);
void write_convert_seeds(void);
void write_text_seeds(void);
void write_session_seeds(void);

#endif
