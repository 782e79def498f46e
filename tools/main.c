/*
 * The `lckv` command: finds the subcommand, and answers help and --version itself.
 */
#include "commands.h"
#include "lckv.h"
#include "report.h"
#include "suggest.h"
#include "tiles.h"

#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#ifndef LCKV_COMMIT
#define LCKV_COMMIT "" /* in a checkout the Makefile defines it */
#endif

static const struct command {
    const char *name;
    const char *summary;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"info", "show what a model is: shape, plan, memory, metadata", cmd_info},
    {"plan", "show what a layer plan computes and what memory it needs", cmd_plan},
    {"tokenize", "turn text into token ids", cmd_tokenize},
    {"detokenize", "turn token ids into text", cmd_detokenize},
    {"logits", "write the logits of given tokens as a NumPy file", cmd_logits},
    {"generate", "continue a prompt", cmd_generate},
    {"chat", "talk with a model", cmd_chat},
    {"batch", "answer many prompts of a file, many at once", cmd_batch},
    {"perplexity", "measure how well a model predicts a text", cmd_perplexity},
    {"convert", "write a checkpoint as GGUF, perhaps with another plan or type", cmd_convert},
    {"bench", "measure prompt and decode speed", cmd_bench},
};
enum { N_COMMANDS = sizeof commands / sizeof commands[0] };

static void print_usage(FILE *file)
{
    fputs("Usage: lckv COMMAND [arguments]\n\n"
          "Language models with a layer-condensed KV cache.\n\nCommands:\n",
          file);
    for (size_t i = 0; i < N_COMMANDS; i++)
        fprintf(file, "  %-12s%s\n", commands[i].name, commands[i].summary);
    fputs("\nlckv help COMMAND and lckv COMMAND --help tell more, with examples.\n"
          "lckv --version shows the version.\n",
          file);
}

static void print_version(void)
{
    printf("lckv %s", LCKV_VERSION_STRING);
    if (LCKV_COMMIT[0] != '\0')
        printf(", commit %s", LCKV_COMMIT);
    if (strcmp(lckv_version_string(), LCKV_VERSION_STRING) != 0)
        printf(" (library %s)", lckv_version_string());
    printf("\nkernel sets:");
    for (size_t i = 0; lckv_kernel_set_name(i) != NULL; i++) {
        const char *name = lckv_kernel_set_name(i);
        printf(" %s%s", name, lckv_kernel_set_available(name) ? "" : " (not here)");
    }
    putchar('\n');
}

/* Complains and returns NULL if there is no command of that name. */
static const struct command *find_command(const char *name)
{
    struct suggestion suggestion = {.word = name, .length = strlen(name)};
    suggest(&suggestion, "help", strlen("help"));
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (strcmp(name, commands[i].name) == 0)
            return &commands[i];
        suggest(&suggestion, commands[i].name, strlen(commands[i].name));
    }
    if (suggestion.name != NULL)
        complain("no command '%s'; did you mean %s? (see lckv --help)", name, suggestion.name);
    else
        complain("no command '%s' (see lckv --help)", name);
    return NULL;
}

/* lckv help [COMMAND] */
static int help(int argc, char **argv)
{
    if (argc == 1 || strcmp(argv[1], "help") == 0) {
        print_usage(stdout);
        return EXIT_SUCCESS;
    }
    const struct command *command = find_command(argv[1]);
    char option[] = "--help";
    char *arguments[] = {argv[1], option, NULL};
    return command != NULL ? command->run(2, arguments) : EXIT_USAGE;
}

static int run(int argc, char **argv)
{
    if (argc < 2) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--version") == 0) {
        print_version();
        return EXIT_SUCCESS;
    }
    if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return help(argc - 1, argv + 1);
    const struct command *command = find_command(name);
    return command != NULL ? command->run(argc - 1, argv + 1) : EXIT_USAGE;
}

int main(int argc, char **argv)
{
    /* Line editing must know whether the terminal uses UTF-8. Numbers stay as in the C locale. */
    setlocale(LC_CTYPE, "");
    /* Then writing to a closed pipe is an error, which close_output() reports. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* the same for a file that grows beyond the limit of the process */
    request_tiles();
    return close_output(run(argc, argv));
}
