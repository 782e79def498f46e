/*
 * The command line of a subcommand is one table, which serves for parsing, the help text and usage
 * errors. A command adds rows of its own with the functions below, and shared ones with those of
 * common_options.h.
 *
 * The subcommand itself checks options that exclude each other.
 */
#ifndef TOOLS_OPTIONS_H
#define TOOLS_OPTIONS_H

#include "values.h"

enum option_kind {
    OPTION_FLAG,     /* no value; sets to.flag */
    OPTION_TEXT,     /* any text */
    OPTION_TEXTS,    /* any text; each use adds one */
    OPTION_NUMBER,   /* a whole number, least .. most */
    OPTION_NUMBERS,  /* a list of those */
    OPTION_SIZE,     /* bytes: 8GiB */
    OPTION_REAL,     /* a number from 0 to most_real */
    OPTION_CHOICE,   /* one of `choices` */
    OPTION_KV_TYPES, /* the type of keys and values, or one of each */
    OPTION_PREFILL,  /* auto, exact, model, iterated, iterated:M+B */
    OPTION_TOKENS    /* a list of ids, or @FILE with one */
};

struct choice {
    const char *name; /* NULL ends the list */
    int32_t value;
};

/* The default of an option is what its target holds before parsing. Its last use counts. */
struct option {
    const char *spelling; /* as the help shows it: "-n, --n-tokens N", "--json" */
    enum option_kind kind;
    union {
        bool *flag;
        const char **text;
        struct string_list *texts;
        uint64_t *number; /* also OPTION_SIZE */
        struct number_list *numbers;
        double *real;
        int32_t *choice;
        struct kv_types *kv_types;
        struct prefill *prefill;
        struct token_list *tokens;
    } to;
    const char *help; /* lines separated by \n */
    uint64_t least;
    uint64_t most;
    double most_real;
    const struct choice *choices;
};

struct argument {
    const char *name;
    const char **to;
    bool is_optional;
};

struct command_line {
    const char *command;
    const char *description;
    const char *examples; /* lines separated by \n */
    struct argument arguments[2];
    size_t n_arguments;
    struct option options[32];
    size_t n_options;
};

/* Each adds a row to the table. */
void add_argument(struct command_line *line, const char *name, const char **to);
void add_optional_argument(struct command_line *line, const char *name, const char **to);
void add_flag(struct command_line *line, const char *spelling, bool *to, const char *help);
void add_text(struct command_line *line, const char *spelling, const char **to, const char *help);
void add_texts(struct command_line *line, const char *spelling, struct string_list *to,
               const char *help);
void add_number(struct command_line *line, const char *spelling, uint64_t *to, uint64_t least,
                uint64_t most, const char *help);
void add_numbers(struct command_line *line, const char *spelling, struct number_list *to,
                 uint64_t least, uint64_t most, const char *help);
void add_size(struct command_line *line, const char *spelling, uint64_t *to, const char *help);
void add_real(struct command_line *line, const char *spelling, double *to, double most,
              const char *help);
void add_choice(struct command_line *line, const char *spelling, int32_t *to,
                const struct choice *choices, const char *help);
void add_kv_types(struct command_line *line, const char *spelling, struct kv_types *to,
                  const char *help);
void add_prefill(struct command_line *line, const char *spelling, struct prefill *to,
                 const char *help);
void add_tokens(struct command_line *line, const char *spelling, struct token_list *to,
                const char *help);

/*
 * Parses argv[1 ..]; argv[0] is the subcommand. If the result is false, a help text or a complaint
 * has been printed, and the program should end with *status. Lists may have been allocated in
 * either case.
 */
bool options_parse(const struct command_line *line, int argc, char **argv, int *status);

/* Complains about a wrong use of `command` and returns EXIT_USAGE. */
__attribute__((format(printf, 2, 3))) int fail_usage(const char *command, const char *format, ...);

#endif
