/*
 * lckv chat: a conversation in the terminal. The one place that uses libedit; without a terminal,
 * lines are read plainly.
 */
#include "commands.h"
#include "common_options.h"
#include "conversation.h"
#include "interrupt.h"
#include "report.h"
#include "sampling.h"
#include "setup.h"

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
    uint64_t n_threads;
    lckv_dtype kv_type;
};

/*
 * The next line from malloc, without its newline; NULL at the end of the input. Ctrl-C at a
 * terminal gives an empty line.
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

static int talk(struct conversation *conversation, uint64_t context)
{
    bool is_terminal = isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1;
    size_t n_first = conversation->n_messages; /* the system message, if there is one */
    char *line;
    if (is_terminal)
        fputs("Ctrl-C stops an answer, /reset begins anew, Ctrl-D ends.\n", stderr);
    while ((line = read_line(is_terminal)) != NULL) {
        enum answer result = ANSWER_WHOLE;
        if (strcmp(line, "/reset") == 0) {
            conversation_cut(conversation, n_first);
        } else if (line[0] != '\0') {
            interrupt_watch(conversation->cache);
            result = conversation_say(conversation, line, strlen(line));
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
    if (is_terminal)
        putchar('\n');
    if (!is_terminal && ferror(stdin)) {
        complain("cannot read standard input: %s", strerror(errno));
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

/* What the model was trained for, within reason. */
static uint64_t default_context(const lckv_model *model)
{
    enum { UNKNOWN = 4096, MOST = 8192 };
    lckv_model_info info = {.size = sizeof info};
    if (lckv_model_get_info(model, &info) != LCKV_OK || info.context_length == 0)
        return UNKNOWN;
    return info.context_length < MOST ? info.context_length : MOST;
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
    fprintf(stderr, "lckv: note: %s; the model continues each line as a text of its own\n",
            lckv_last_error());
    if (settings->system == NULL)
        return EXIT_SUCCESS;
    complain("--system needs a model with a chat template");
    return EXIT_FAILURE;
}

static int run(const struct settings *settings)
{
    lckv_model *model;
    int status = open_model(&settings->model, NULL, &model);
    if (status != EXIT_SUCCESS)
        return status;
    uint64_t context = settings->context != 0 ? settings->context : default_context(model);
    lckv_cache_options options = {
        .size = sizeof options,
        .n_tokens = context,
        .max_sessions = 1,
        .kv_dtype = settings->kv_type,
        .n_threads = (uint32_t)settings->n_threads,
    };
    struct conversation conversation = {
        .model = model, .max_tokens = settings->n_tokens, .context = context};
    status = create_sampler(&settings->sampling, &conversation.sampler);
    if (status == EXIT_SUCCESS)
        status = begin(settings, &conversation);
    if (status == EXIT_SUCCESS &&
        lckv_cache_create(model, &options, &conversation.cache) != LCKV_OK)
        status = fail_library();
    if (status == EXIT_SUCCESS)
        status = talk(&conversation, context);
    conversation_end(&conversation);
    lckv_sampler_release(conversation.sampler);
    lckv_cache_release(conversation.cache);
    lckv_model_release(model);
    return status;
}

int cmd_chat(int argc, char **argv)
{
    struct settings settings = {
        .sampling = SAMPLING_DEFAULTS, .n_tokens = 512, .kv_type = LCKV_DTYPE_F16};
    const struct argument arguments[] = {{"MODEL", &settings.model.path, false},
                                         {NULL, NULL, false}};
    const struct option options[] = {
        {.name = "system",
         .kind = OPTION_TEXT,
         .to.text = &settings.system,
         .value = "TEXT",
         .help = "the system message"},
        {.name = "n-tokens",
         .letter = 'n',
         .kind = OPTION_NUMBER,
         .to.number = &settings.n_tokens,
         .value = "N",
         .help = "tokens of an answer at most (default 512)",
         .least = 1},
        option_temperature(&settings.sampling.temperature),
        option_top_k(&settings.sampling.top_k),
        option_top_p(&settings.sampling.top_p),
        option_min_p(&settings.sampling.min_p),
        option_seed(&settings.sampling.seed),
        {.name = "context",
         .letter = 'c',
         .kind = OPTION_NUMBER,
         .to.number = &settings.context,
         .value = "N",
         .help = "tokens of the whole conversation (default: the\nmodel's context, at most 8192)",
         .least = 1},
        option_precision(&settings.model.precision),
        option_gemm(&settings.model.gemm),
        option_kernel_set(&settings.model.kernel_set),
        option_sliding_window(&settings.model.sliding_window),
        option_kv_type(&settings.kv_type),
        option_threads(&settings.n_threads),
        {.name = NULL},
    };
    const struct command_line line = {
        "chat",
        "Talks with a model, in the model's chat format. Ctrl-C stops an answer, Ctrl-D ends,\n"
        "/reset begins a new conversation. Without a terminal, each line of standard input is\n"
        "a message.",
        "lckv chat model.gguf --temp 0.7 --system 'You answer briefly.'\n"
        "echo 'What is a cache?' | lckv chat model.gguf",
        arguments, options};
    int status;
    return options_parse(&line, argc, argv, &status) ? run(&settings) : status;
}
