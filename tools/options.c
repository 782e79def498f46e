/*
 * See options.h.
 */
#include "options.h"

#include "option_use.h"
#include "report.h"
#include "suggest.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

int fail_usage(const char *command, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = NULL;
    if (vasprintf(&text, format, arguments) < 0)
        text = NULL;
    va_end(arguments);
    complain("%s: %s (see lckv %s --help)", command, text != NULL ? text : "wrong use", command);
    free(text);
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
    int n = printf("  %s%s", option_letter(option) != '\0' ? "" : "    ", option->spelling);
    if (n < HELP_COLUMN - 1)
        printf("%*s", HELP_COLUMN - n, "");
    else
        printf("\n%*s", HELP_COLUMN, "");
    print_indented(option->help, HELP_COLUMN);
}

static void print_help(const struct command_line *line)
{
    printf("Usage: lckv %s", line->command);
    for (size_t i = 0; i < line->n_arguments; i++)
        printf(line->arguments[i].is_optional ? " [%s]" : " %s", line->arguments[i].name);
    printf(" [options]\n\n%s\n\nOptions:\n", line->description);
    for (size_t i = 0; i < line->n_options; i++)
        print_option(&line->options[i]);
    print_option(&(struct option){.spelling = "-h, --help", .help = "show this text"});
    fputs("\nExamples:\n  ", stdout);
    print_indented(line->examples, 2);
}

/* The option of that name, or NULL, with a name that may have been meant in *suggestion. */
static const struct option *find_name(const struct command_line *line, const char *word,
                                      size_t length, struct suggestion *suggestion)
{
    *suggestion = (struct suggestion){.word = word, .length = length};
    suggest(suggestion, "help", strlen("help"));
    for (size_t i = 0; i < line->n_options; i++) {
        int name_length;
        const char *name = option_name(&line->options[i], &name_length);
        if ((size_t)name_length == length && memcmp(name, word, length) == 0)
            return &line->options[i];
        suggest(suggestion, name, (size_t)name_length);
    }
    return NULL;
}

static int fail_unknown(const struct command_line *line, const char *word,
                        const struct suggestion *suggestion)
{
    if (suggestion->name == NULL)
        return fail_usage(line->command, "unknown option %s", word);
    return fail_usage(line->command, "unknown option %s; did you mean --%.*s?", word,
                      (int)suggestion->name_length, suggestion->name);
}

/* Takes "-p" or "-pVALUE". "-prompt" is refused: it was hardly meant as -p with "rompt". */
static int take_letter(const struct command_line *line, const char *word, struct option_use *use)
{
    struct suggestion suggestion;
    const struct option *meant = find_name(line, word + 1, strcspn(word + 1, "="), &suggestion);
    if (word[2] != '\0' && meant != NULL)
        return fail_usage(line->command, "unknown option %s; did you mean %s?", word,
                          option_text(meant).text);
    for (size_t i = 0; i < line->n_options; i++) {
        if (option_letter(&line->options[i]) == word[1])
            use->option = &line->options[i];
    }
    if (use->option == NULL)
        return fail_unknown(line, word, &suggestion);
    use->value = word[2] != '\0' ? word + 2 : NULL;
    return EXIT_SUCCESS;
}

static int take_name(const struct command_line *line, const char *word, struct option_use *use)
{
    struct suggestion suggestion;
    size_t length = strcspn(word + 2, "=");
    use->option = find_name(line, word + 2, length, &suggestion);
    if (use->option == NULL)
        return fail_unknown(line, word, &suggestion);
    use->value = word[2 + length] == '=' ? word + 2 + length + 1 : NULL;
    return EXIT_SUCCESS;
}

/* Takes the option at argv[*index], and its value behind it. */
static int take_option(const struct command_line *line, int argc, char **argv, int *index)
{
    const char *word = argv[*index];
    struct option_use use = {.command = line->command};
    int status = word[1] == '-' ? take_name(line, word, &use) : take_letter(line, word, &use);
    if (status != EXIT_SUCCESS)
        return status;
    if (use.option->kind == OPTION_FLAG) {
        if (use.value != NULL)
            return fail_usage(line->command, "%s takes no value, got '%s'",
                              option_text(use.option).text, use.value);
    } else if (use.value == NULL) {
        if (*index + 1 == argc)
            return fail_usage(line->command, "%s needs a value", option_text(use.option).text);
        use.value = argv[++*index];
    }
    return option_store(&use);
}

bool options_parse(const struct command_line *line, int argc, char **argv, int *status)
{
    size_t n_arguments = 0;
    bool only_arguments = false; /* after "--" */
    *status = EXIT_SUCCESS;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (only_arguments || word[0] != '-' || word[1] == '\0') {
            if (n_arguments == line->n_arguments) {
                *status = fail_usage(line->command, "unexpected argument '%s'", word);
                return false;
            }
            *line->arguments[n_arguments++].to = word;
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
    if (n_arguments < line->n_arguments && !line->arguments[n_arguments].is_optional) {
        *status = fail_usage(line->command, "%s is missing", line->arguments[n_arguments].name);
        return false;
    }
    return true;
}
