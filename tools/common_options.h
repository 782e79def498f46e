/*
 * Options that several subcommands share, as rows of their option tables.
 */
#ifndef TOOLS_COMMON_OPTIONS_H
#define TOOLS_COMMON_OPTIONS_H

#include "options.h"

/* The default as the help gives it is what the target holds when the row is made. */
struct option option_precision(lckv_precision *precision);
struct option option_kv_type(lckv_dtype *kv_type);

struct option option_gemm(lckv_gemm *gemm);
struct option option_kernel_set(const char **kernel_set);
struct option option_sliding_window(uint64_t *sliding_window);
struct option option_threads(uint64_t *n_threads);
struct option option_prefill(struct prefill *prefill);
struct option option_json(bool *as_json);

#endif
