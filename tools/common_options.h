/*
 * The groups of options that several subcommands share.
 *
 * If a group has a choice, its help shows as the default what the target holds when the group is
 * added.
 */
#ifndef TOOLS_COMMON_OPTIONS_H
#define TOOLS_COMMON_OPTIONS_H

#include "options.h"
#include "sampling.h"
#include "saved.h"
#include "setup.h"

/* How a model is opened. Its path is an argument, or the option --model of lckv plan. */
void add_model_options(struct command_line *line, struct model_settings *model);

/* How a session is saved and restored. */
void add_saved_options(struct command_line *line, struct saved_settings *saved);

/* How tokens are chosen. */
void add_sampling_options(struct command_line *line, struct sampling *sampling);

/* The types of keys and values, and the number of threads. */
void add_kv_type(struct command_line *line, struct kv_types *types);
void add_cache_options(struct command_line *line, struct cache_settings *cache);

/* The context window and its sinks. */
void add_context_window(struct command_line *line, struct cache_settings *cache);

/* The text or the tokens that a command works on, and how a prompt is encoded. */
void add_file(struct command_line *line, const char **file);
void add_token_list(struct command_line *line, struct token_list *tokens);
void add_prefill_mode(struct command_line *line, struct prefill *prefill);

/* How facts are printed. */
void add_json(struct command_line *line, bool *as_json);

#endif
