/*
 * See common_options.h.
 */
#include "common_options.h"

struct option option_precision(lckv_precision *precision)
{
    static const struct choice choices[] = {
        {"full", LCKV_PRECISION_FULL}, {"fast", LCKV_PRECISION_FAST}, {NULL, 0}};
    return (struct option){
        .name = "precision",
        .kind = OPTION_CHOICE,
        .to.choice = precision,
        .value = "full|fast",
        .help = *precision == LCKV_PRECISION_FULL
                    ? "full: float32 activations; fast: 8-bit where\nkernels gain (default full)"
                    : "full: float32 activations; fast: 8-bit where\nkernels gain (default fast)",
        .choices = choices,
    };
}

struct option option_kv_type(lckv_dtype *kv_type)
{
    static const struct choice choices[] = {
        {"f32", LCKV_DTYPE_F32}, {"f16", LCKV_DTYPE_F16}, {"bf16", LCKV_DTYPE_BF16}, {NULL, 0}};
    return (struct option){
        .name = "kv-type",
        .kind = OPTION_CHOICE,
        .to.choice = kv_type,
        .value = "f32|f16|bf16",
        .help = *kv_type == LCKV_DTYPE_F32 ? "type of keys and values (default f32)"
                                           : "type of keys and values (default f16)",
        .choices = choices,
    };
}

struct option option_gemm(lckv_gemm *gemm)
{
    static const struct choice choices[] = {
        {"own", LCKV_GEMM_OWN}, {"openblas", LCKV_GEMM_OPENBLAS}, {NULL, 0}};
    return (struct option){
        .name = "gemm",
        .kind = OPTION_CHOICE,
        .to.choice = gemm,
        .value = "own|openblas",
        .help = "matrix products of prompts (default: own, but\n"
                "openblas on the portable kernel set)",
        .choices = choices,
    };
}

struct option option_kernel_set(const char **kernel_set)
{
    return (struct option){
        .name = "kernel-set",
        .kind = OPTION_TEXT,
        .to.text = kernel_set,
        .value = "NAME",
        .help = "portable, avx2, ... (default: $LCKV_CPU, else\nthe best that the processor runs)",
    };
}

struct option option_sliding_window(uint64_t *sliding_window)
{
    return (struct option){
        .name = "sliding-window",
        .kind = OPTION_NUMBER,
        .to.number = sliding_window,
        .value = "N",
        .help = "tokens that windowed layers attend to (default:\nas the model says)",
        .least = 1,
    };
}

struct option option_threads(uint64_t *n_threads)
{
    return (struct option){
        .name = "threads",
        .letter = 't',
        .kind = OPTION_NUMBER,
        .to.number = n_threads,
        .value = "N",
        .help = "threads (default: the physical cores)",
        .least = 1,
        .most = 1024,
    };
}

struct option option_prefill(struct prefill *prefill)
{
    return (struct option){
        .name = "prefill",
        .kind = OPTION_PREFILL,
        .to.prefill = prefill,
        .value = "MODE",
        .help = "auto: exact, the fastest way (default);\n"
                "exact: token by token;\n"
                "iterated:M+B: M + B passes (iterated: the model's);\n"
                "model: as its configuration asks",
    };
}

struct option option_json(bool *as_json)
{
    return (struct option){
        .name = "json", .kind = OPTION_FLAG, .to.flag = as_json, .help = "print JSON"};
}
