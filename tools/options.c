/*
 * See options.h.
 */
#include "options.h"

#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int fail_usage(const char *command, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "lckv: %s: ", command);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, " (see lckv %s --help)\n", command);
    va_end(arguments);
    return EXIT_USAGE;
}

/* Prints `text` with `indent` blanks before every line but the first. */
static void print_indented(const char *text, int indent)
{
    for (; *text != '\0'; text++) {
        putchar(*text);
        if (*text == '\n')
            printf("%*s", indent, "");
    }
    putchar('\n');
}

static void print_option(const struct option *option)
{
    enum { HELP_COLUMN = 30 };
    char left[80];
    int n = snprintf(left, sizeof left, "  %c%c%s --%s%s%s", option->letter ? '-' : ' ',
                     option->letter ? option->letter : ' ', option->letter ? "," : " ",
                     option->name, option->value ? " " : "", option->value ? option->value : "");
    if (n < HELP_COLUMN - 1)
        printf("%-*s", HELP_COLUMN, left);
    else
        printf("%s\n%*s", left, HELP_COLUMN, "");
    print_indented(option->help, HELP_COLUMN);
}

static void print_help(const struct command_line *line)
{
    printf("Usage: lckv %s", line->command);
    for (const struct argument *argument = line->arguments; argument->name != NULL; argument++)
        printf(argument->is_optional ? " [%s]" : " %s", argument->name);
    printf(" [options]\n\n%s\n\nOptions:\n", line->description);
    for (const struct option *option = line->options; option->name != NULL; option++)
        print_option(option);
    print_option(&(struct option){.name = "help", .letter = 'h', .help = "show this text"});
    fputs("\nExamples:\n  ", stdout);
    print_indented(line->examples, 2);
}

/* An option in use: which one, as which subcommand's, with what value. */
struct use {
    const char *command;
    const struct option *option;
    const char *value;
};

static int fail_value(const struct use *use, const char *expected)
{
    return fail_usage(use->command, "--%s: expected %s, got '%s'", use->option->name, expected,
                      use->value);
}

static int store_number(const struct use *use)
{
    const struct option *option = use->option;
    uint64_t most = option->most != 0 ? option->most : UINT32_MAX;
    uint64_t number;
    if (!parse_number(use->value, &number) || number < option->least || number > most) {
        char expected[80];
        snprintf(expected, sizeof expected, "a whole number from %" PRIu64 " to %" PRIu64,
                 option->least, most);
        return fail_value(use, expected);
    }
    *option->to.number = number;
    return EXIT_SUCCESS;
}

static int store_numbers(const struct use *use)
{
    const struct option *option = use->option;
    uint64_t most = option->most != 0 ? option->most : UINT32_MAX;
    struct number_list list = {0};
    if (!parse_numbers(use->value, &list))
        return errno == ENOMEM ? fail_memory() : fail_value(use, "a list such as 1,2,4");
    bool ok = list.count > 0;
    for (size_t i = 0; i < list.count; i++)
        ok = ok && list.items[i] >= option->least && list.items[i] <= most;
    if (!ok) {
        free(list.items);
        char expected[80];
        snprintf(expected, sizeof expected, "whole numbers from %" PRIu64 " to %" PRIu64,
                 option->least, most);
        return fail_value(use, expected);
    }
    free(option->to.numbers->items);
    *option->to.numbers = list;
    return EXIT_SUCCESS;
}

static int store_real(const struct use *use)
{
    const struct option *option = use->option;
    double number;
    if (!parse_real(use->value, &number) || number < option->least_real ||
        number > option->most_real) {
        char expected[80];
        snprintf(expected, sizeof expected, "a number from %g to %g", option->least_real,
                 option->most_real);
        return fail_value(use, expected);
    }
    *option->to.real = number;
    return EXIT_SUCCESS;
}

static int store_text(const struct use *use)
{
    struct string_list *list = use->option->to.texts;
    lckv_string *items = realloc(list->items, (list->count + 1) * sizeof *items);
    if (items == NULL)
        return fail_memory();
    items[list->count] = (lckv_string){use->value, strlen(use->value)};
    *list = (struct string_list){items, list->count + 1};
    return EXIT_SUCCESS;
}

static int store_choice(const struct use *use)
{
    for (const struct choice *choice = use->option->choices; choice->name != NULL; choice++) {
        if (strcasecmp(choice->name, use->value) == 0) {
            *use->option->to.choice = choice->value;
            return EXIT_SUCCESS;
        }
    }
    char expected[160] = "one of";
    for (const struct choice *choice = use->option->choices; choice->name != NULL; choice++) {
        size_t used = strlen(expected);
        snprintf(expected + used, sizeof expected - used, " %s%s", choice->name,
                 choice[1].name != NULL ? "," : "");
    }
    return fail_value(use, expected);
}

static int store_tokens(const struct use *use)
{
    static const char expected[] = "token ids such as 1,2,3, or @FILE";
    struct token_list *tokens = use->option->to.tokens;
    if (use->value[0] != '@') {
        if (parse_tokens(use->value, strlen(use->value), tokens))
            return EXIT_SUCCESS;
        return errno == ENOMEM ? fail_memory() : fail_value(use, expected);
    }
    const char *path = use->value + 1;
    struct bytes text;
    if (!read_whole(path, &text)) {
        complain("cannot read %s: %s", path, strerror(errno));
        return EXIT_FAILURE;
    }
    int status = EXIT_SUCCESS;
    if (!parse_tokens(text.data, text.length, tokens)) {
        status = EXIT_FAILURE;
        if (errno == ENOMEM)
            fail_memory();
        else
            complain("%s: expected token ids with commas or blanks between them", path);
    }
    free(text.data);
    return status;
}

static int store(const struct use *use)
{
    const struct option *option = use->option;
    switch (option->kind) {
    case OPTION_FLAG:
        *option->to.flag = true;
        return EXIT_SUCCESS;
    case OPTION_TEXT:
        *option->to.text = use->value;
        return EXIT_SUCCESS;
    case OPTION_TEXTS:
        return store_text(use);
    case OPTION_NUMBER:
        return store_number(use);
    case OPTION_NUMBERS:
        return store_numbers(use);
    case OPTION_SIZE:
        return parse_size(use->value, option->to.number)
                   ? EXIT_SUCCESS
                   : fail_value(use, "a size such as 512MiB or 8GiB");
    case OPTION_REAL:
        return store_real(use);
    case OPTION_CHOICE:
        return store_choice(use);
    case OPTION_PREFILL:
        return parse_prefill(use->value, option->to.prefill)
                   ? EXIT_SUCCESS
                   : fail_value(use, "auto, exact, model, iterated or iterated:M+B");
    case OPTION_TOKENS:
        return store_tokens(use);
    }
    return EXIT_USAGE;
}

/* The option that `word` (beginning with a dash) names; *value is what is joined to it, or NULL. */
static const struct option *find_option(const struct option *options, const char *word,
                                        const char **value)
{
    if (word[1] == '-') {
        const char *name = word + 2;
        size_t length = strcspn(name, "=");
        *value = name[length] == '=' ? name + length + 1 : NULL;
        for (const struct option *option = options; option->name != NULL; option++) {
            if (strlen(option->name) == length && memcmp(option->name, name, length) == 0)
                return option;
        }
        return NULL;
    }
    *value = word[2] != '\0' ? word + 2 : NULL;
    for (const struct option *option = options; option->name != NULL; option++) {
        if (option->letter == word[1])
            return option;
    }
    return NULL;
}

/* Takes the option at argv[*index], and its value behind it. */
static int take_option(const struct command_line *line, int argc, char **argv, int *index)
{
    const char *word = argv[*index];
    struct use use = {.command = line->command};
    use.option = find_option(line->options, word, &use.value);
    if (use.option == NULL)
        return fail_usage(line->command, "unknown option %s", word);
    if (use.option->kind == OPTION_FLAG) {
        if (use.value != NULL)
            return fail_usage(line->command, "--%s takes no value, got '%s'", use.option->name,
                              use.value);
    } else if (use.value == NULL) {
        if (*index + 1 == argc)
            return fail_usage(line->command, "--%s needs a value", use.option->name);
        use.value = argv[++*index];
    }
    return store(&use);
}

bool options_parse(const struct command_line *line, int argc, char **argv, int *status)
{
    const struct argument *next = line->arguments;
    bool only_arguments = false; /* after "--" */
    *status = EXIT_SUCCESS;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (only_arguments || word[0] != '-' || word[1] == '\0') {
            if (next->name == NULL) {
                *status = fail_usage(line->command, "unexpected argument '%s'", word);
                return false;
            }
            *next++->to = word;
        } else if (strcmp(word, "--") == 0) {
            only_arguments = true;
        } else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            print_help(line);
            return false;
        } else {
            *status = take_option(line, argc, argv, &i);
            if (*status != EXIT_SUCCESS)
                return false;
        }
    }
    if (next->name != NULL && !next->is_optional) {
        *status = fail_usage(line->command, "%s is missing", next->name);
        return false;
    }
    return true;
}
