/*
 * lckv batch: the options. batch_run.c does the work.
 */
#include "batch_run.h"
#include "commands.h"
#include "common_options.h"

#include <stdlib.h>
#include <string.h>

int cmd_batch(int argc, char **argv)
{
    struct batch_settings settings = {
        .cache.kv_types = KV_TYPES_DEFAULT,
        .model.gemm = LCKV_GEMM_OWN, /* then no answer depends on the others */
        .input = "-",
        .output = "-",
        .memory = UINT64_C(1) << 30,
        .n_sessions = 64,
        .defaults = {.sampling = SAMPLING_DEFAULTS, .max_tokens = 128},
    };
    struct command_line line = {
        .command = "batch",
        .description =
            "Answers many prompts, as many at once as fit into --memory. The input is JSON "
            "Lines:\n\n"
            "  {\"id\": \"a\", \"prompt\": \"Once upon a time\", \"max_tokens\": 50}\n"
            "  {\"id\": \"b\", \"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}], "
            "\"stop\": [\".\"]}\n\n"
            "A line has one of prompt, tokens and messages, an id (else it is the number of the "
            "line),\n"
            "and if wanted max_tokens, temperature, top_k, top_p, min_p, seed and stop, which "
            "count\n"
            "before the options. Each answer is a line of the output, in the order in which they "
            "are\n"
            "complete. A line that is wrong gives a line with an error.\n\n"
            "After Ctrl-C, a crash or a full disk the same command goes on where it was: answers "
            "that\n"
            "the output file has are not computed again.",
        .examples = "lckv batch model.gguf -f prompts.jsonl -o answers.jsonl\n"
                    "lckv batch model.gguf -f prompts.jsonl -o answers.jsonl --memory 4GiB "
                    "--sessions 128\n"
                    "lckv batch model.gguf --temp 0.8 --seed 7 < prompts.jsonl > answers.jsonl",
    };
    add_argument(&line, "MODEL", &settings.model.path);
    add_text(&line, "-f, --file FILE", &settings.input, "the prompts (default -: standard input)");
    add_text(&line, "-o, --output FILE", &settings.output,
             "the answers; a file that has some gets the rest\n(default -: standard output)");
    add_size(&line, "-m, --memory SIZE", &settings.memory,
             "memory of keys and values: 512MiB (default 1GiB)");
    add_number(&line, "-s, --sessions N", &settings.n_sessions, 1, 4096,
               "prompts at once at most (default 64)");
    add_number(&line, "-n, --n-tokens N", &settings.defaults.max_tokens, 1, UINT32_MAX,
               "tokens of an answer at most (default 128)");
    add_texts(&line, "--stop TEXT", &settings.defaults.stops,
              "end answers before this text; may be given several\ntimes");
    add_flag(&line, "--ignore-eos", &settings.ignore_end, "go on after the model ended its text");
    add_sampling_options(&line, &settings.defaults.sampling);
    add_model_options(&line, &settings.model);
    add_cache_options(&line, &settings.cache);
    add_flag(&line, "--json", &settings.as_json, "print a summary as JSON at the end");
    int status;
    if (options_parse(&line, argc, argv, &status)) {
        if (settings.as_json && strcmp(settings.output, "-") == 0)
            status = fail_usage("batch", "--json needs --output, because the answers go to "
                                         "standard output without it");
        else
            status = batch_run(&settings);
    }
    free(settings.defaults.stops.items);
    return status;
}
