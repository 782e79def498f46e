/*
 * lckv chat holds a conversation in the terminal. This is the only file that uses libedit; without
 * a terminal it reads lines itself.
 */
#include "commands.h"
#include "common_options.h"
#include "conversation.h"
#include "interrupt.h"
#include "report.h"
#include "sampling.h"
#include "setup.h"
#include "suggest.h"

#include <editline/readline.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct settings {
    struct model_settings model;
    struct sampling sampling;
    const char *system;
    uint64_t n_tokens;
    uint64_t context;
    struct cache_settings cache;
    struct saved_settings saved;
};

/*
 * The next line, from malloc and without its newline; NULL at the end of the input. At a terminal,
 * Ctrl-C gives an empty line.
 */
static char *read_line(bool is_terminal)
{
    if (is_terminal) {
        interrupt_watch(NULL);
        char *line = readline("> ");
        if (line != NULL && line[0] != '\0')
            add_history(line);
        if (line == NULL && interrupt_came()) {
            putchar('\n');
            line = calloc(1, 1);
        }
        return line;
    }
    interrupt_unwatch();
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length = getline(&line, &capacity, stdin);
    if (length < 0) {
        free(line);
        return NULL;
    }
    if (length > 0 && line[length - 1] == '\n')
        line[length - 1] = '\0';
    return line;
}

enum command { COMMAND_NONE, COMMAND_HELP, COMMAND_RESET, COMMAND_EXIT, COMMAND_UNKNOWN };

/*
 * Finds the command that a line names, if it is a slash and a word. An unknown word from a pipe,
 * which may hold anything, is a message. At a terminal it is a mistake, unless a blank stands
 * before the slash.
 */
static enum command find_command(const char *line, bool is_terminal)
{
    static const char *const names[] = {
        [COMMAND_HELP] = "/help", [COMMAND_RESET] = "/reset", [COMMAND_EXIT] = "/exit"};
    size_t length = strlen(line);
    bool is_word = line[0] == '/' && line[1] != '\0' &&
                   strspn(line + 1, "abcdefghijklmnopqrstuvwxyz") + 1 == length;
    struct suggestion suggestion = {.word = line, .length = length};
    if (!is_word)
        return COMMAND_NONE;
    for (size_t i = COMMAND_HELP; i <= COMMAND_EXIT; i++) {
        if (strcmp(line, names[i]) == 0)
            return (enum command)i;
        suggest(&suggestion, names[i], strlen(names[i]));
    }
    if (!is_terminal)
        return COMMAND_NONE;
    if (suggestion.name != NULL)
        complain("no command %s; did you mean %s?", line, suggestion.name);
    else
        complain("no command %s; /help lists them, and a blank before it makes it a message", line);
    return COMMAND_UNKNOWN;
}

static void print_commands(void)
{
    fputs("/help   shows this\n"
          "/reset  begins a new conversation\n"
          "/exit   ends the program, as Ctrl-D does\n"
          "Ctrl-C stops an answer.\n",
          stderr);
}

/*
 * Whether the conversation, or the context window if there is one, is longer than the model was
 * trained for. If so, makes a remark.
 */
static bool note_length(const struct conversation *conversation, uint64_t window)
{
    const uint64_t length = conversation->held.count;
    return note_training_context(conversation->model,
                                 window > 0 && window < length ? window : length);
}

static int talk(struct conversation *conversation, uint64_t context, uint64_t window)
{
    bool is_terminal = isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1;
    size_t n_first = conversation_n_first(conversation);
    bool ends = false, is_noted = false;
    char *line;
    if (is_terminal)
        fputs("Ctrl-C stops an answer, /help lists the commands, /exit or Ctrl-D ends.\n", stderr);
    while (!ends && (line = read_line(is_terminal)) != NULL) {
        enum answer result = ANSWER_WHOLE;
        enum command command = find_command(line, is_terminal);
        if (command == COMMAND_HELP) {
            print_commands();
        } else if (command == COMMAND_RESET) {
            conversation_cut(conversation, n_first);
        } else if (command == COMMAND_EXIT) {
            ends = true;
        } else if (command == COMMAND_NONE && line[0] != '\0') {
            interrupt_watch(conversation->cache);
            result = conversation_say(conversation, line, strlen(line));
            is_noted = is_noted || note_length(conversation, window);
        }
        free(line);
        if (result == ANSWER_FULL)
            complain("the conversation fills the context of %" PRIu64
                     " token%s; /reset begins anew, --context makes it larger",
                     context, plural(context));
        if (result == ANSWER_FAILED) {
            interrupt_unwatch();
            return EXIT_FAILURE;
        }
    }
    interrupt_unwatch();
    if (is_terminal && !ends)
        putchar('\n');
    if (!is_terminal && ferror(stdin)) {
        complain("cannot read standard input: %s", strerror(errno));
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

static int begin(const struct settings *settings, struct conversation *conversation)
{
    conversation->has_template = conversation_has_template(conversation->model);
    if (conversation->has_template)
        return settings->system == NULL ||
                       conversation_add(conversation, "system", settings->system,
                                        strlen(settings->system))
                   ? EXIT_SUCCESS
                   : EXIT_FAILURE;
    complain("note: %s; the model continues each line as a text of its own", lckv_last_error());
    if (settings->system == NULL && settings->saved.save_to == NULL &&
        settings->saved.restore_from == NULL)
        return EXIT_SUCCESS;
    complain("--system, --save and --restore need a model with a chat template");
    return EXIT_FAILURE;
}

/* Talks, and saves the conversation however that ends. */
static int talk_and_save(const struct settings *settings, struct conversation *conversation)
{
    int status = talk(conversation, conversation->context, settings->cache.context_window);
    if (settings->saved.save_to == NULL)
        return status;
    int saved = conversation_save(conversation, settings->saved.save_to);
    return saved == EXIT_SUCCESS ? status : saved;
}

static int run(const struct settings *settings)
{
    enum { MOST_ROLLBACK = 4096 };
    lckv_model *model;
    int status = open_model(&settings->model, NULL, &model);
    if (status != EXIT_SUCCESS)
        return status;
    const uint64_t window = settings->cache.context_window;
    uint64_t context = settings->context != 0 ? settings->context
                       : window != 0          ? UINT32_MAX
                                              : usual_context(model);
    lckv_cache_options options = {
        .size = sizeof options,
        .n_tokens = context,
        .max_sessions = 1,
        .kv_dtype = settings->cache.kv_types.keys,
        .v_dtype = settings->cache.kv_types.values,
        .n_threads = (uint32_t)settings->cache.n_threads,
        .context_window = (uint32_t)window,
        .n_sinks = (uint32_t)settings->cache.n_sinks,
    };
    if (window != 0) /* so that the session can go back behind an answer, to what its text gives */
        options.rollback =
            (uint32_t)(settings->n_tokens < MOST_ROLLBACK ? settings->n_tokens : MOST_ROLLBACK);
    struct conversation conversation = {
        .model = model, .max_tokens = settings->n_tokens, .context = context};
    status = create_sampler(&settings->sampling, &conversation.sampler);
    if (status == EXIT_SUCCESS)
        status = begin(settings, &conversation);
    if (status == EXIT_SUCCESS)
        status = create_cache(model, &options, "a smaller --context", &conversation.cache);
    if (status == EXIT_SUCCESS && settings->saved.restore_from != NULL)
        status = conversation_restore(&conversation, &settings->saved);
    if (status == EXIT_SUCCESS)
        status = talk_and_save(settings, &conversation);
    conversation_end(&conversation);
    lckv_sampler_release(conversation.sampler);
    lckv_cache_release(conversation.cache);
    lckv_model_release(model);
    return status;
}

int cmd_chat(int argc, char **argv)
{
    struct settings settings = {
        .sampling = SAMPLING_DEFAULTS, .n_tokens = 512, .cache.kv_types = KV_TYPES_DEFAULT};
    struct command_line line = {
        .command = "chat",
        .description =
            "Talks with a model, in the model's chat format. Ctrl-C stops an answer, Ctrl-D or\n"
            "/exit ends, /reset begins a new conversation, /help lists the commands. Without a\n"
            "terminal, each line of standard input is a message.",
        .examples = "lckv chat model.gguf --temp 0.7 --system 'You answer briefly.'\n"
                    "echo 'What is a cache?' | lckv chat model.gguf -n 40\n"
                    "lckv chat model.gguf --save talk.lckv\n"
                    "lckv chat model.gguf --restore talk.lckv --save talk.lckv",
    };
    add_argument(&line, "MODEL", &settings.model.path);
    add_text(&line, "--system TEXT", &settings.system, "the system message");
    add_number(&line, "-n, --n-tokens N", &settings.n_tokens, 1, UINT32_MAX,
               "tokens of an answer at most (default 512)");
    add_number(&line, "-c, --context N", &settings.context, 1, UINT32_MAX,
               "tokens of the whole conversation (default: the\nmodel's context, at most 8192; "
               "no limit with\n--context-window)");
    add_saved_options(&line, &settings.saved);
    add_sampling_options(&line, &settings.sampling);
    add_model_options(&line, &settings.model);
    add_cache_options(&line, &settings.cache);
    add_context_window(&line, &settings.cache);
    int status;
    if (!options_parse(&line, argc, argv, &status))
        return status;
    if (settings.saved.any_kernels && settings.saved.restore_from == NULL)
        return fail_usage("chat", "--any-kernels needs --restore");
    if (settings.system != NULL && settings.saved.restore_from != NULL)
        return fail_usage("chat", "--restore brings a system message of its own, so --system "
                                  "cannot be given");
    return run(&settings);
}
