/*
 * The command line of a subcommand as one table: parsing, the help text and usage errors come from
 * it.
 *
 * What the values mean together (options that exclude each other) is the subcommand's business.
 */
#ifndef TOOLS_OPTIONS_H
#define TOOLS_OPTIONS_H

#include "values.h"

enum option_kind {
    OPTION_FLAG,    /* no value; sets to.flag */
    OPTION_TEXT,    /* any text */
    OPTION_TEXTS,   /* any text; each use adds one */
    OPTION_NUMBER,  /* a whole number, least .. most */
    OPTION_NUMBERS, /* a list of those */
    OPTION_SIZE,    /* bytes: 8GiB */
    OPTION_REAL,    /* least_real .. most_real */
    OPTION_CHOICE,  /* one of `choices` */
    OPTION_PREFILL, /* auto, exact, model, iterated, iterated:M+B */
    OPTION_TOKENS   /* a list of ids, or @FILE with one */
};

struct choice {
    const char *name; /* NULL ends the list */
    int32_t value;
};

/* The default of an option is what its target holds before parsing. The last use of one counts. */
struct option {
    const char *name; /* the long one, without dashes; NULL ends the table */
    char letter;      /* the short one, or 0 */
    enum option_kind kind;
    union {
        bool *flag;
        const char **text;
        struct string_list *texts;
        uint64_t *number; /* also OPTION_SIZE */
        struct number_list *numbers;
        double *real;
        int32_t *choice;
        struct prefill *prefill;
        struct token_list *tokens;
    } to;
    const char *value; /* how the help names the value */
    const char *help;  /* lines separated by \n */
    uint64_t least;
    uint64_t most; /* 0: UINT32_MAX */
    double least_real;
    double most_real;
    const struct choice *choices;
};

struct argument {
    const char *name; /* NULL ends the list */
    const char **to;
    bool is_optional;
};

struct command_line {
    const char *command;
    const char *description;
    const char *examples; /* lines separated by \n */
    const struct argument *arguments;
    const struct option *options;
};

/*
 * Parses argv[1 ..]; argv[0] is the subcommand. True: go on. False: done with *status, after a
 * help text or a complaint. Lists may have been allocated in either case.
 */
bool options_parse(const struct command_line *line, int argc, char **argv, int *status);

/* Complains about a wrong use of `command` and returns EXIT_USAGE. */
__attribute__((format(printf, 2, 3))) int fail_usage(const char *command, const char *format, ...);

#endif
