/*
 * lckv convert writes a checkpoint as GGUF, perhaps with another element type or layer plan.
 */
#include "commands.h"
#include "common_options.h"
#include "json.h"
#include "progress.h"
#include "report.h"
#include "show.h"

#include <inttypes.h>
#include <stdlib.h>

static void print_report(const char *output, const lckv_convert_report *report, bool as_json)
{
    if (as_json) {
        struct json json = json_open(stdout);
        json_add_string(&json, "output", output);
        json_add_unsigned(&json, "n_tensors", report->n_tensors);
        json_add_unsigned(&json, "n_kept_f16", report->n_kept_f16);
        json_add_unsigned(&json, "file_bytes", report->file_bytes);
        json_close(&json);
        return;
    }
    printf("%s: %" PRIu64 " tensors, %s", shown(output).text, report->n_tensors,
           human_bytes(report->file_bytes).text);
    if (report->n_kept_f16 > 0)
        printf("; %" PRIu64 " %s f16, as noted", report->n_kept_f16,
               report->n_kept_f16 == 1 ? "is" : "are");
    putchar('\n');
}

int cmd_convert(int argc, char **argv)
{
    enum { INIT_NONE = -1, MIXTURE = 256 }; /* added to the type that most matrices have */
    static const struct choice types[] = {
        {"f32", LCKV_DTYPE_F32},   {"f16", LCKV_DTYPE_F16},
        {"bf16", LCKV_DTYPE_BF16}, {"q8_0", LCKV_DTYPE_Q8_0},
        {"q6_k", LCKV_DTYPE_Q6_K}, {"q5_k_m", LCKV_DTYPE_Q5_K + MIXTURE},
        {"q5_k", LCKV_DTYPE_Q5_K}, {"q5_1", LCKV_DTYPE_Q5_1},
        {"q5_0", LCKV_DTYPE_Q5_0}, {"q4_k_m", LCKV_DTYPE_Q4_K + MIXTURE},
        {"q4_k", LCKV_DTYPE_Q4_K}, {"q4_1", LCKV_DTYPE_Q4_1},
        {"q4_0", LCKV_DTYPE_Q4_0}, {NULL, 0}};
    static const struct choice inits[] = {
        {"mean", LCKV_CONVERT_MEAN}, {"copy", LCKV_CONVERT_COPY}, {NULL, 0}};
    const char *input = NULL, *output = NULL;
    bool packed = false, as_json = false;
    int32_t init = INIT_NONE, type = LCKV_DTYPE_DEFAULT;
    uint64_t sliding_window = 0;
    struct progress progress = progress_begin("writing");
    lckv_convert_options convert = {
        .size = sizeof convert,
        .log = log_remark,
        .progress = progress_update,
        .progress_user = &progress,
    };
    struct command_line line = {
        .command = "convert",
        .description = "Writes a Hugging Face directory or a GGUF file as GGUF. OUT.gguf is "
                       "replaced only when\n"
                       "the whole file has been written.",
        .examples =
            "lckv convert stories-lckv stories-lckv.gguf --type q8_0\n"
            "lckv convert llama.gguf condensed.gguf --plan 0_6_6_6_6_6_6_7 --init mean\n"
            "lckv info condensed.gguf\n"
            "lckv convert Llama-3.2-1B llama.gguf --type q4_k_m\n"
            "lckv convert llama.gguf llama-packed.gguf --packed\n"
            "lckv convert llama.gguf windows.gguf --plan 0s_1s_2_2_2_2_2_2 --sliding-window 512",
    };
    add_argument(&line, "IN", &input);
    add_argument(&line, "OUT.gguf", &output);
    add_choice(&line, "--type TYPE", &type, types,
               "f32, f16, bf16, q8_0, q6_k, q5_k_m, q5_k, q5_1,\n"
               "q5_0, q4_k_m, q4_k, q4_1 or q4_0 (default: as IN\n"
               "has it); norms and biases stay f32. In q5_k_m and\n"
               "q4_k_m the output and half of v and down are q6_k");
    add_text(&line, "--plan PLAN", &convert.plan,
             "give the model this layer plan (default: its own);\nit needs training then");
    add_choice(&line, "--init mean|copy", &init, inits,
               "with --plan, keys and values of a source layer:\n"
               "the mean over the layers that read it (default),\nor its own");
    add_number(&line, "--sliding-window N", &sliding_window, 1, UINT32_MAX,
               "tokens that windowed layers attend to (default: as\nIN says; it need not)");
    add_flag(&line, "--packed", &packed,
             "write weights as this machine's kernels read them:\n"
             "such a file opens at once, mapped, in lckv only");
    add_text(&line, "--kernel-set NAME", &convert.kernel_set,
             "with --packed, the kernel set of another machine");
    add_json(&line, &as_json);
    int status;
    if (!options_parse(&line, argc, argv, &status))
        return status;
    if (init != INIT_NONE && convert.plan == NULL)
        return fail_usage("convert", "--init needs --plan");
    if (convert.kernel_set != NULL && !packed)
        return fail_usage("convert", "--kernel-set needs --packed");
    convert.dtype = type % MIXTURE;
    convert.mixture = type / MIXTURE;
    convert.packed = packed;
    convert.init = init == INIT_NONE ? LCKV_CONVERT_MEAN : init;
    convert.sliding_window = (uint32_t)sliding_window;
    lckv_convert_report report = {.size = sizeof report};
    lckv_status result = lckv_convert(input, output, &convert, &report);
    progress_end(&progress);
    if (result != LCKV_OK)
        return fail_library();
    print_report(output, &report, as_json);
    return EXIT_SUCCESS;
}
