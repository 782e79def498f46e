/*
 * Adds rows to a command's table. See options.h.
 */
#include "options.h"

#include <stdlib.h>

static void add_option(struct command_line *line, struct option option)
{
    if (line->n_options == sizeof line->options / sizeof line->options[0])
        abort(); /* the array in options.h must grow */
    line->options[line->n_options++] = option;
}

static void add_any_argument(struct command_line *line, struct argument argument)
{
    if (line->n_arguments == sizeof line->arguments / sizeof line->arguments[0])
        abort();
    line->arguments[line->n_arguments++] = argument;
}

void add_argument(struct command_line *line, const char *name, const char **to)
{
    add_any_argument(line, (struct argument){name, to, false});
}

void add_optional_argument(struct command_line *line, const char *name, const char **to)
{
    add_any_argument(line, (struct argument){name, to, true});
}

void add_flag(struct command_line *line, const char *spelling, bool *to, const char *help)
{
    add_option(line, (struct option){spelling, OPTION_FLAG, .to.flag = to, .help = help});
}

void add_text(struct command_line *line, const char *spelling, const char **to, const char *help)
{
    add_option(line, (struct option){spelling, OPTION_TEXT, .to.text = to, .help = help});
}

void add_texts(struct command_line *line, const char *spelling, struct string_list *to,
               const char *help)
{
    add_option(line, (struct option){spelling, OPTION_TEXTS, .to.texts = to, .help = help});
}

void add_number(struct command_line *line, const char *spelling, uint64_t *to, uint64_t least,
                uint64_t most, const char *help)
{
    add_option(line, (struct option){spelling, OPTION_NUMBER, .to.number = to, .help = help,
                                     .least = least, .most = most});
}

void add_numbers(struct command_line *line, const char *spelling, struct number_list *to,
                 uint64_t least, uint64_t most, const char *help)
{
    add_option(line, (struct option){spelling, OPTION_NUMBERS, .to.numbers = to, .help = help,
                                     .least = least, .most = most});
}

void add_size(struct command_line *line, const char *spelling, uint64_t *to, const char *help)
{
    add_option(line, (struct option){spelling, OPTION_SIZE, .to.number = to, .help = help});
}

void add_real(struct command_line *line, const char *spelling, double *to, double most,
              const char *help)
{
    add_option(line, (struct option){spelling, OPTION_REAL, .to.real = to, .help = help,
                                     .most_real = most});
}

void add_choice(struct command_line *line, const char *spelling, int32_t *to,
                const struct choice *choices, const char *help)
{
    add_option(line, (struct option){spelling, OPTION_CHOICE, .to.choice = to, .help = help,
                                     .choices = choices});
}

void add_kv_types(struct command_line *line, const char *spelling, struct kv_types *to,
                  const char *help)
{
    add_option(line, (struct option){spelling, OPTION_KV_TYPES, .to.kv_types = to, .help = help});
}

void add_prefill(struct command_line *line, const char *spelling, struct prefill *to,
                 const char *help)
{
    add_option(line, (struct option){spelling, OPTION_PREFILL, .to.prefill = to, .help = help});
}

void add_tokens(struct command_line *line, const char *spelling, struct token_list *to,
                const char *help)
{
    add_option(line, (struct option){spelling, OPTION_TOKENS, .to.tokens = to, .help = help});
}
