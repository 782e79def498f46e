/*
 * See common_options.h.
 */
#include "common_options.h"

void add_model_options(struct command_line *line, struct model_settings *model)
{
    static const struct choice precisions[] = {
        {"full", LCKV_PRECISION_FULL}, {"fast", LCKV_PRECISION_FAST}, {NULL, 0}};
    static const struct choice gemms[] = {
        {"own", LCKV_GEMM_OWN}, {"openblas", LCKV_GEMM_OPENBLAS}, {NULL, 0}};
    add_choice(line, "--precision full|fast", &model->precision, precisions,
               model->precision == LCKV_PRECISION_FULL
                   ? "full: float32 activations; fast: 8-bit where\nkernels gain (default full)"
                   : "full: float32 activations; fast: 8-bit where\nkernels gain (default fast)");
    add_choice(line, "--gemm own|openblas", &model->gemm, gemms,
               model->gemm == LCKV_GEMM_OWN ? "matrix products of prompts (default own)"
                                            : "matrix products of prompts (default: own, but\n"
                                              "openblas on the portable kernel set)");
    add_text(line, "--kernel-set NAME", &model->kernel_set,
             "portable, avx2, ... (default: $LCKV_CPU, else\nthe best that the processor runs)");
    add_number(line, "--sliding-window N", &model->sliding_window, 1, UINT32_MAX,
               "tokens that windowed layers attend to (default:\nas the model says)");
    add_number(line, "--rope-context N", &model->rope_context, 1, UINT32_MAX,
               "tokens of the longest text, if rotation depends\non it (longrope, dynamic)");
    add_flag(line, "--stream-weights", &model->stream_weights,
             "read layers from the file as they are needed, for\nweights larger than memory; the "
             "model is a file from\nlckv convert --packed");
    add_size(line, "--stream-bytes SIZE", &model->stream_bytes,
             "with --stream-weights, memory for layers, such as\n512MiB (default: three layers)");
}

void add_saved_options(struct command_line *line, struct saved_settings *saved)
{
    add_text(line, "--save FILE", &saved->save_to, "save the session to FILE at the end");
    add_text(line, "--restore FILE", &saved->restore_from,
             "begin with the session that --save wrote to FILE,\nwith the same model and options");
    add_flag(line, "--any-kernels", &saved->any_kernels,
             "restore also what another kernel set, precision or\ngemm computed");
}

void add_sampling_options(struct command_line *line, struct sampling *sampling)
{
    add_real(line, "--temp T", &sampling->temperature, 1000,
             "temperature (default 0: always the most likely\ntoken; 0.8 is lively)");
    add_number(line, "--top-k K", &sampling->top_k, 0, UINT32_MAX,
               "keep the K most likely tokens (default 0: all)");
    add_real(line, "--top-p P", &sampling->top_p, 1,
             "keep the fewest most likely tokens that reach\nprobability P, at least one "
             "(default 1: all)");
    add_real(line, "--min-p P", &sampling->min_p, 1,
             "keep tokens of at least P times the top\nprobability (default 0: all)");
    add_number(line, "--seed N", &sampling->seed, 0, UINT64_MAX,
               "seed of the random choice (default 0)");
}

void add_kv_type(struct command_line *line, struct kv_types *types)
{
    add_kv_types(
        line, "--kv-type TYPE[,TYPE]", types,
        types->keys == LCKV_DTYPE_F32
            ? "type of keys and values, or one of each: f32,\nf16, bf16, q8_0, q4_0 (default f32)"
            : "type of keys and values, or one of each: f32,\nf16, bf16, q8_0, q4_0 (default f16)");
}

void add_cache_options(struct command_line *line, struct cache_settings *cache)
{
    add_kv_type(line, &cache->kv_types);
    add_number(line, "-t, --threads N", &cache->n_threads, 1, 1024,
               "threads (default: the physical cores)");
}

void add_context_window(struct command_line *line, struct cache_settings *cache)
{
    add_number(line, "--context-window N", &cache->context_window, 2, UINT32_MAX,
               "texts have no end, but each token sees only N: the\nfirst ones, and the last "
               "(default: no window)");
    add_number(line, "--sinks S", &cache->n_sinks, 1, 1024,
               "tokens that are always seen (default 4; needs\n--context-window)");
}

void add_file(struct command_line *line, const char **file)
{
    add_text(line, "-f, --file FILE", file, "the text is in FILE (-: standard input)");
}

void add_token_list(struct command_line *line, struct token_list *tokens)
{
    add_tokens(line, "--tokens IDS", tokens, "token ids: 1,2,3, or @FILE with such a list");
}

void add_prefill_mode(struct command_line *line, struct prefill *prefill)
{
    add_prefill(line, "--prefill MODE", prefill,
                "auto: the fastest way (default); if layers read\n"
                "higher ones, within a tolerance, tokens going through\n"
                "them in a window. auto:16,1e-3 sets both;\n"
                "exact: token by token where layers read higher ones;\n"
                "iterated:M+B: M + B passes (iterated: the model's);\n"
                "model: as its configuration asks");
}

void add_json(struct command_line *line, bool *as_json)
{
    add_flag(line, "--json", as_json, "print JSON");
}
