/*
 * lckv generate: its options.
 */
#include "commands.h"
#include "common_options.h"
#include "generation.h"

#include <stdlib.h>

int cmd_generate(int argc, char **argv)
{
    static const struct choice prefills[] = {{"auto", LCKV_PREFILL_AUTO},
                                             {"exact", LCKV_PREFILL_EXACT},
                                             {"iterated", LCKV_PREFILL_ITERATED},
                                             {"model", LCKV_PREFILL_MODEL},
                                             {NULL, 0}};
    struct generate_settings settings = {
        .sampling = SAMPLING_DEFAULTS, .n_tokens = 128, .kv_type = LCKV_DTYPE_F16};
    const struct argument arguments[] = {{"MODEL", &settings.model.path, false},
                                         {NULL, NULL, false}};
    const struct option options[] = {
        {.name = "prompt",
         .letter = 'p',
         .kind = OPTION_TEXT,
         .to.text = &settings.prompt,
         .value = "TEXT",
         .help = "the text to continue (default: an empty one, that\nis BOS)"},
        {.name = "file",
         .letter = 'f',
         .kind = OPTION_TEXT,
         .to.text = &settings.file,
         .value = "FILE",
         .help = "the text is in FILE (-: standard input)"},
        {.name = "tokens",
         .kind = OPTION_TOKENS,
         .to.tokens = &settings.tokens,
         .value = "IDS",
         .help = "continue these token ids: 1,2,3, or @FILE"},
        {.name = "n-tokens",
         .letter = 'n',
         .kind = OPTION_NUMBER,
         .to.number = &settings.n_tokens,
         .value = "N",
         .help = "tokens to generate at most (default 128)",
         .least = 1},
        {.name = "stop",
         .kind = OPTION_TEXTS,
         .to.texts = &settings.stops,
         .value = "TEXT",
         .help = "end before this text; may be given several times"},
        {.name = "ignore-eos",
         .kind = OPTION_FLAG,
         .to.flag = &settings.ignore_eos,
         .help = "go on after the model ended its text"},
        {.name = "echo",
         .kind = OPTION_FLAG,
         .to.flag = &settings.echo,
         .help = "print the text of --prompt first"},
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
         .help = "tokens of prompt and text at most (default: the\nprompt's and those of -n)",
         .least = 1},
        {.name = "prefill",
         .kind = OPTION_CHOICE,
         .to.choice = &settings.prefill,
         .value = "MODE",
         .help = "how the prompt is encoded: auto (default), exact,\n"
                 "iterated (the model's passes) or model (as its\nconfiguration asks)",
         .choices = prefills},
        option_precision(&settings.model.precision),
        option_gemm(&settings.model.gemm),
        option_kernel_set(&settings.model.kernel_set),
        option_sliding_window(&settings.model.sliding_window),
        option_kv_type(&settings.kv_type),
        option_threads(&settings.n_threads),
        {.name = "json",
         .kind = OPTION_FLAG,
         .to.flag = &settings.as_json,
         .help = "print JSON at the end, not the text as it comes"},
        {.name = NULL},
    };
    const struct command_line line = {
        "generate",
        "Continues a prompt. The text goes to standard output as it comes, a line of figures to\n"
        "standard error. Ctrl-C ends the text.",
        "lckv generate model.gguf -p 'Once upon a time'\n"
        "lckv generate model.gguf -f prompt.txt -n 200 --temp 0.8 --top-p 0.95 --seed 7",
        arguments, options};
    int status;
    if (options_parse(&line, argc, argv, &status)) {
        int n_prompts =
            (settings.prompt != NULL) + (settings.file != NULL) + (settings.tokens.ids != NULL);
        if (n_prompts > 1)
            status = fail_usage("generate", "--prompt, --file and --tokens exclude each other");
        else if (settings.echo && settings.prompt == NULL)
            status = fail_usage("generate", "--echo needs --prompt");
        else
            status = generate_run(&settings);
    }
    free(settings.tokens.ids);
    free(settings.stops.items);
    return status;
}
