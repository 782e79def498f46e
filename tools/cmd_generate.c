/*
 * lckv generate: the options. generation.c does the work.
 */
#include "commands.h"
#include "common_options.h"
#include "generation.h"

#include <stdlib.h>

int cmd_generate(int argc, char **argv)
{
    struct generate_settings settings = {
        .sampling = SAMPLING_DEFAULTS, .n_tokens = 128, .cache.kv_types = KV_TYPES_DEFAULT};
    struct command_line line = {
        .command = "generate",
        .description = "Continues a prompt. The text goes to standard output as it comes, a line "
                       "of figures to\n"
                       "standard error. A terminal shows the prompt first. Ctrl-C ends the text.",
        .examples =
            "lckv generate model.gguf -p 'Once upon a time'\n"
            "lckv generate model.gguf -f prompt.txt -n 200 --temp 0.8 --top-p 0.95 --seed 7\n"
            "lckv generate model.gguf -p 'The end' --stop . --echo > end.txt\n"
            "lckv generate model.gguf -n 100000 --ignore-eos --context-window 512 --temp 1\n"
            "lckv generate model.gguf -f prompt.txt --save prompt.lckv\n"
            "lckv generate model.gguf --restore prompt.lckv -p ' In short:'",
    };
    add_argument(&line, "MODEL", &settings.model.path);
    add_text(&line, "-p, --prompt TEXT", &settings.prompt.text,
             "the text to continue (default: an empty one, that\nis BOS; with --restore, what was "
             "saved)");
    add_file(&line, &settings.prompt.file);
    add_token_list(&line, &settings.prompt.tokens);
    add_number(&line, "-n, --n-tokens N", &settings.n_tokens, 1, UINT32_MAX,
               "tokens to generate at most (default 128)");
    add_texts(&line, "--stop TEXT", &settings.stops,
              "end before this text; may be given several times");
    add_flag(&line, "--ignore-eos", &settings.ignore_eos, "go on after the model ended its text");
    add_flag(&line, "--echo", &settings.echo, "print the prompt first where no terminal shows it");
    add_number(&line, "-c, --context N", &settings.context, 1, UINT32_MAX,
               "tokens of prompt and text at most (default: the\nprompt's and those of -n; with "
               "--restore the\nmodel's context, at most 8192, or no limit with\n"
               "--context-window)");
    add_prefill(&line, "--prefill MODE", &settings.prefill,
                "how the prompt is encoded: auto (default; auto:16 in\n"
                "a window of 16 tokens, auto:16,1e-3 within a\n"
                "tolerance), exact, iterated (the model's passes) or\n"
                "model (as its configuration asks)");
    add_saved_options(&line, &settings.saved);
    add_sampling_options(&line, &settings.sampling);
    add_model_options(&line, &settings.model);
    add_cache_options(&line, &settings.cache);
    add_context_window(&line, &settings.cache);
    add_flag(&line, "--json", &settings.as_json, "print JSON at the end, not the text as it comes");
    int status;
    if (options_parse(&line, argc, argv, &status)) {
        const struct prompt_source *prompt = &settings.prompt;
        settings.prompt.continues = settings.saved.restore_from != NULL;
        if ((prompt->text != NULL) + (prompt->file != NULL) + (prompt->tokens.ids != NULL) > 1)
            status = fail_usage("generate", "--prompt, --file and --tokens exclude each other");
        else if (settings.saved.any_kernels && settings.saved.restore_from == NULL)
            status = fail_usage("generate", "--any-kernels needs --restore");
        else
            status = generate_run(&settings);
    }
    free(settings.prompt.tokens.ids);
    free(settings.stops.items);
    return status;
}
