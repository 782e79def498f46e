/*
 * Checks the layout of the public structs when the library is compiled: members follow each other
 * without implicit padding, and on machines with 64-bit pointers the sizes are those of version
 * 0.0.1.
 *
 * A size here changes only when a struct grows at its end.
 */
#include "lckv.h"

#define SIZE_OF(type, member) sizeof(((type *)0)->member)

#define BEGINS(type, member) \
    _Static_assert(offsetof(type, member) == 0, #type " must begin with " #member)

/* Checks that `next` stands right behind `member`. */
#define FOLLOWS(type, member, next)                                                        \
    _Static_assert(offsetof(type, next) == offsetof(type, member) + SIZE_OF(type, member), \
                   #type " has padding before " #next)

/* Checks that `member` is the last. */
#define ENDS(type, member)                                                         \
    _Static_assert(sizeof(type) == offsetof(type, member) + SIZE_OF(type, member), \
                   #type " has padding at its end")

#if UINTPTR_MAX == UINT64_MAX
#define SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), #type " has another size")
#else
#define SIZE(type, bytes) _Static_assert(sizeof(type) <= (bytes), #type " has another size")
#endif

SIZE(lckv_allocator, 32);
BEGINS(lckv_allocator, size);
FOLLOWS(lckv_allocator, size, user);
FOLLOWS(lckv_allocator, user, alloc);
FOLLOWS(lckv_allocator, alloc, free);
ENDS(lckv_allocator, free);

SIZE(lckv_plan_info, 32);
BEGINS(lckv_plan_info, size);
FOLLOWS(lckv_plan_info, size, n_layers);
FOLLOWS(lckv_plan_info, n_layers, n_slots);
FOLLOWS(lckv_plan_info, n_slots, n_windowed_slots);
FOLLOWS(lckv_plan_info, n_windowed_slots, n_upward);
FOLLOWS(lckv_plan_info, n_upward, n_groups);
FOLLOWS(lckv_plan_info, n_groups, is_standard);
ENDS(lckv_plan_info, is_standard);

SIZE(lckv_layer_info, 32);
BEGINS(lckv_layer_info, size);
FOLLOWS(lckv_layer_info, size, source);
FOLLOWS(lckv_layer_info, source, is_upward);
FOLLOWS(lckv_layer_info, is_upward, is_windowed);
FOLLOWS(lckv_layer_info, is_windowed, slot);
FOLLOWS(lckv_layer_info, slot, source_slot);
FOLLOWS(lckv_layer_info, source_slot, reserved);
ENDS(lckv_layer_info, reserved);

SIZE(lckv_slot_info, 24);
BEGINS(lckv_slot_info, size);
FOLLOWS(lckv_slot_info, size, layer);
FOLLOWS(lckv_slot_info, layer, n_readers);
FOLLOWS(lckv_slot_info, n_readers, is_windowed);
FOLLOWS(lckv_slot_info, is_windowed, reserved);
ENDS(lckv_slot_info, reserved);

SIZE(lckv_group_info, 24);
BEGINS(lckv_group_info, size);
FOLLOWS(lckv_group_info, size, first);
FOLLOWS(lckv_group_info, first, last);
FOLLOWS(lckv_group_info, last, is_cyclic);
FOLLOWS(lckv_group_info, is_cyclic, reserved);
ENDS(lckv_group_info, reserved);

SIZE(lckv_kv_shape, 8);
BEGINS(lckv_kv_shape, n_kv_heads);
FOLLOWS(lckv_kv_shape, n_kv_heads, head_dim);
ENDS(lckv_kv_shape, head_dim);

SIZE(lckv_memory_request, 96);
BEGINS(lckv_memory_request, size);
FOLLOWS(lckv_memory_request, size, plan);
FOLLOWS(lckv_memory_request, plan, n_kv_heads);
FOLLOWS(lckv_memory_request, n_kv_heads, head_dim);
FOLLOWS(lckv_memory_request, head_dim, kv_dtype);
FOLLOWS(lckv_memory_request, kv_dtype, sliding_window);
FOLLOWS(lckv_memory_request, sliding_window, rollback);
FOLLOWS(lckv_memory_request, rollback, page_positions);
FOLLOWS(lckv_memory_request, page_positions, context);
FOLLOWS(lckv_memory_request, context, budget_bytes);
FOLLOWS(lckv_memory_request, budget_bytes, n_sessions);
FOLLOWS(lckv_memory_request, n_sessions, v_dtype);
FOLLOWS(lckv_memory_request, v_dtype, context_window);
FOLLOWS(lckv_memory_request, context_window, n_sinks);
FOLLOWS(lckv_memory_request, n_sinks, reserved);
FOLLOWS(lckv_memory_request, reserved, kv_shapes);
FOLLOWS(lckv_memory_request, kv_shapes, n_kv_shapes);
ENDS(lckv_memory_request, n_kv_shapes);

SIZE(lckv_memory_report, 80);
BEGINS(lckv_memory_report, size);
FOLLOWS(lckv_memory_report, size, bytes_per_token);
FOLLOWS(lckv_memory_report, bytes_per_token, standard_bytes_per_token);
FOLLOWS(lckv_memory_report, standard_bytes_per_token, bytes_per_session);
FOLLOWS(lckv_memory_report, bytes_per_session, standard_bytes_per_session);
FOLLOWS(lckv_memory_report, standard_bytes_per_session, bytes_needed);
FOLLOWS(lckv_memory_report, bytes_needed, sessions_that_fit);
FOLLOWS(lckv_memory_report, sessions_that_fit, standard_sessions_that_fit);
FOLLOWS(lckv_memory_report, standard_sessions_that_fit, context_that_fits);
FOLLOWS(lckv_memory_report, context_that_fits, full_bytes_per_token);
ENDS(lckv_memory_report, full_bytes_per_token);

SIZE(lckv_model_options, 96);
BEGINS(lckv_model_options, size);
FOLLOWS(lckv_model_options, size, kernel_set);
FOLLOWS(lckv_model_options, kernel_set, precision);
FOLLOWS(lckv_model_options, precision, gemm);
FOLLOWS(lckv_model_options, gemm, sliding_window);
FOLLOWS(lckv_model_options, sliding_window, weights);
FOLLOWS(lckv_model_options, weights, allocator);
FOLLOWS(lckv_model_options, allocator, log);
FOLLOWS(lckv_model_options, log, log_user);
FOLLOWS(lckv_model_options, log_user, progress);
FOLLOWS(lckv_model_options, progress, progress_user);
FOLLOWS(lckv_model_options, progress_user, pool);
FOLLOWS(lckv_model_options, pool, stream_bytes);
FOLLOWS(lckv_model_options, stream_bytes, rope_context);
ENDS(lckv_model_options, rope_context);

SIZE(lckv_model_layer, 24);
BEGINS(lckv_model_layer, size);
FOLLOWS(lckv_model_layer, size, kv_shape);
FOLLOWS(lckv_model_layer, kv_shape, intermediate_size);
FOLLOWS(lckv_model_layer, intermediate_size, reserved);
ENDS(lckv_model_layer, reserved);

SIZE(lckv_model_info, 184);
BEGINS(lckv_model_info, size);
FOLLOWS(lckv_model_info, size, n_layers);
FOLLOWS(lckv_model_info, n_layers, n_vocab);
FOLLOWS(lckv_model_info, n_vocab, hidden_size);
FOLLOWS(lckv_model_info, hidden_size, intermediate_size);
FOLLOWS(lckv_model_info, intermediate_size, n_heads);
FOLLOWS(lckv_model_info, n_heads, n_kv_heads);
FOLLOWS(lckv_model_info, n_kv_heads, head_dim);
FOLLOWS(lckv_model_info, head_dim, context_length);
FOLLOWS(lckv_model_info, context_length, sliding_window);
FOLLOWS(lckv_model_info, sliding_window, forward_passes);
FOLLOWS(lckv_model_info, forward_passes, backward_passes);
FOLLOWS(lckv_model_info, backward_passes, use_sequential);
FOLLOWS(lckv_model_info, use_sequential, force_nodiag);
FOLLOWS(lckv_model_info, force_nodiag, has_tokenizer);
FOLLOWS(lckv_model_info, has_tokenizer, is_tied);
FOLLOWS(lckv_model_info, is_tied, precision);
FOLLOWS(lckv_model_info, precision, rope_theta);
FOLLOWS(lckv_model_info, rope_theta, rms_norm_eps);
FOLLOWS(lckv_model_info, rms_norm_eps, n_parameters);
FOLLOWS(lckv_model_info, n_parameters, weight_bytes);
FOLLOWS(lckv_model_info, weight_bytes, architecture);
FOLLOWS(lckv_model_info, architecture, name);
FOLLOWS(lckv_model_info, name, kernel_set);
FOLLOWS(lckv_model_info, kernel_set, weight_dtypes);
FOLLOWS(lckv_model_info, weight_dtypes, is_mapped);
FOLLOWS(lckv_model_info, is_mapped, is_repacked);
FOLLOWS(lckv_model_info, is_repacked, decode_bytes);
FOLLOWS(lckv_model_info, decode_bytes, resident_bytes);
FOLLOWS(lckv_model_info, resident_bytes, ring_bytes);
FOLLOWS(lckv_model_info, ring_bytes, problem);
FOLLOWS(lckv_model_info, problem, has_weights);
FOLLOWS(lckv_model_info, has_weights, is_table_mapped);
FOLLOWS(lckv_model_info, is_table_mapped, table_bytes);
ENDS(lckv_model_info, table_bytes);

SIZE(lckv_message, 32);
BEGINS(lckv_message, role);
FOLLOWS(lckv_message, role, role_length);
FOLLOWS(lckv_message, role_length, content);
FOLLOWS(lckv_message, content, content_length);
ENDS(lckv_message, content_length);

SIZE(lckv_convert_options, 88);
BEGINS(lckv_convert_options, size);
FOLLOWS(lckv_convert_options, size, plan);
FOLLOWS(lckv_convert_options, plan, dtype);
FOLLOWS(lckv_convert_options, dtype, init);
FOLLOWS(lckv_convert_options, init, allocator);
FOLLOWS(lckv_convert_options, allocator, log);
FOLLOWS(lckv_convert_options, log, log_user);
FOLLOWS(lckv_convert_options, log_user, progress);
FOLLOWS(lckv_convert_options, progress, progress_user);
FOLLOWS(lckv_convert_options, progress_user, sliding_window);
FOLLOWS(lckv_convert_options, sliding_window, packed);
FOLLOWS(lckv_convert_options, packed, kernel_set);
FOLLOWS(lckv_convert_options, kernel_set, mixture);
FOLLOWS(lckv_convert_options, mixture, reserved);
ENDS(lckv_convert_options, reserved);

SIZE(lckv_convert_report, 32);
BEGINS(lckv_convert_report, size);
FOLLOWS(lckv_convert_report, size, n_tensors);
FOLLOWS(lckv_convert_report, n_tensors, n_kept_f16);
FOLLOWS(lckv_convert_report, n_kept_f16, file_bytes);
ENDS(lckv_convert_report, file_bytes);

SIZE(lckv_cache_options, 88);
BEGINS(lckv_cache_options, size);
FOLLOWS(lckv_cache_options, size, budget_bytes);
FOLLOWS(lckv_cache_options, budget_bytes, n_tokens);
FOLLOWS(lckv_cache_options, n_tokens, max_sessions);
FOLLOWS(lckv_cache_options, max_sessions, kv_dtype);
FOLLOWS(lckv_cache_options, kv_dtype, page_positions);
FOLLOWS(lckv_cache_options, page_positions, n_threads);
FOLLOWS(lckv_cache_options, n_threads, pool);
FOLLOWS(lckv_cache_options, pool, max_rows);
FOLLOWS(lckv_cache_options, max_rows, max_logit_rows);
FOLLOWS(lckv_cache_options, max_logit_rows, rollback);
FOLLOWS(lckv_cache_options, rollback, v_dtype);
FOLLOWS(lckv_cache_options, v_dtype, reuse);
FOLLOWS(lckv_cache_options, reuse, reuse_tolerance);
FOLLOWS(lckv_cache_options, reuse_tolerance, context_window);
FOLLOWS(lckv_cache_options, context_window, n_sinks);
FOLLOWS(lckv_cache_options, n_sinks, waits);
FOLLOWS(lckv_cache_options, waits, reserved);
ENDS(lckv_cache_options, reserved);

SIZE(lckv_cache_estimate_report, 64);
BEGINS(lckv_cache_estimate_report, size);
FOLLOWS(lckv_cache_estimate_report, size, sessions_that_fit);
FOLLOWS(lckv_cache_estimate_report, sessions_that_fit, n_pages);
FOLLOWS(lckv_cache_estimate_report, n_pages, page_bytes);
FOLLOWS(lckv_cache_estimate_report, page_bytes, page_bytes_total);
FOLLOWS(lckv_cache_estimate_report, page_bytes_total, scratch_bytes);
FOLLOWS(lckv_cache_estimate_report, scratch_bytes, table_bytes);
FOLLOWS(lckv_cache_estimate_report, table_bytes, max_sessions);
FOLLOWS(lckv_cache_estimate_report, max_sessions, reserved);
ENDS(lckv_cache_estimate_report, reserved);

SIZE(lckv_cache_stats, 144);
BEGINS(lckv_cache_stats, size);
FOLLOWS(lckv_cache_stats, size, bytes_per_token);
FOLLOWS(lckv_cache_stats, bytes_per_token, page_bytes);
FOLLOWS(lckv_cache_stats, page_bytes, n_pages);
FOLLOWS(lckv_cache_stats, n_pages, n_pages_free);
FOLLOWS(lckv_cache_stats, n_pages_free, page_bytes_total);
FOLLOWS(lckv_cache_stats, page_bytes_total, table_bytes);
FOLLOWS(lckv_cache_stats, table_bytes, scratch_bytes);
FOLLOWS(lckv_cache_stats, scratch_bytes, n_sessions);
FOLLOWS(lckv_cache_stats, n_sessions, max_sessions);
FOLLOWS(lckv_cache_stats, max_sessions, n_threads);
FOLLOWS(lckv_cache_stats, n_threads, page_positions);
FOLLOWS(lckv_cache_stats, page_positions, max_rows);
FOLLOWS(lckv_cache_stats, max_rows, max_logit_rows);
FOLLOWS(lckv_cache_stats, max_logit_rows, kv_dtype);
FOLLOWS(lckv_cache_stats, kv_dtype, rollback);
FOLLOWS(lckv_cache_stats, rollback, v_dtype);
FOLLOWS(lckv_cache_stats, v_dtype, reserved);
FOLLOWS(lckv_cache_stats, reserved, n_pages_kept);
FOLLOWS(lckv_cache_stats, n_pages_kept, n_reuses);
FOLLOWS(lckv_cache_stats, n_reuses, n_reused_tokens);
FOLLOWS(lckv_cache_stats, n_reused_tokens, n_reused_pages);
FOLLOWS(lckv_cache_stats, n_reused_pages, context_window);
FOLLOWS(lckv_cache_stats, context_window, n_sinks);
ENDS(lckv_cache_stats, n_sinks);

SIZE(lckv_save_options, 40);
BEGINS(lckv_save_options, size);
FOLLOWS(lckv_save_options, size, note);
FOLLOWS(lckv_save_options, note, note_length);
FOLLOWS(lckv_save_options, note_length, progress);
FOLLOWS(lckv_save_options, progress, progress_user);
ENDS(lckv_save_options, progress_user);

SIZE(lckv_restore_options, 48);
BEGINS(lckv_restore_options, size);
FOLLOWS(lckv_restore_options, size, any_kernels);
FOLLOWS(lckv_restore_options, any_kernels, reserved);
FOLLOWS(lckv_restore_options, reserved, note);
FOLLOWS(lckv_restore_options, note, note_user);
FOLLOWS(lckv_restore_options, note_user, progress);
FOLLOWS(lckv_restore_options, progress, progress_user);
ENDS(lckv_restore_options, progress_user);

SIZE(lckv_item, 64);
BEGINS(lckv_item, session);
FOLLOWS(lckv_item, session, tokens);
FOLLOWS(lckv_item, tokens, n_tokens);
FOLLOWS(lckv_item, n_tokens, want);
FOLLOWS(lckv_item, want, reserved);
FOLLOWS(lckv_item, reserved, logits);
FOLLOWS(lckv_item, logits, logits_capacity);
FOLLOWS(lckv_item, logits_capacity, hidden);
FOLLOWS(lckv_item, hidden, hidden_capacity);
ENDS(lckv_item, hidden_capacity);

SIZE(lckv_evaluate_options, 48);
BEGINS(lckv_evaluate_options, size);
FOLLOWS(lckv_evaluate_options, size, prefill);
FOLLOWS(lckv_evaluate_options, prefill, forward_passes);
FOLLOWS(lckv_evaluate_options, forward_passes, backward_passes);
FOLLOWS(lckv_evaluate_options, backward_passes, window);
FOLLOWS(lckv_evaluate_options, window, progress);
FOLLOWS(lckv_evaluate_options, progress, progress_user);
FOLLOWS(lckv_evaluate_options, progress_user, tolerance);
FOLLOWS(lckv_evaluate_options, tolerance, reserved);
ENDS(lckv_evaluate_options, reserved);

SIZE(lckv_evaluate_report, 80);
BEGINS(lckv_evaluate_report, size);
FOLLOWS(lckv_evaluate_report, size, failed_item);
FOLLOWS(lckv_evaluate_report, failed_item, pages_needed);
FOLLOWS(lckv_evaluate_report, pages_needed, pages_free);
FOLLOWS(lckv_evaluate_report, pages_free, n_tokens);
FOLLOWS(lckv_evaluate_report, n_tokens, n_rows);
FOLLOWS(lckv_evaluate_report, n_rows, n_passes);
FOLLOWS(lckv_evaluate_report, n_passes, window);
FOLLOWS(lckv_evaluate_report, window, tolerance);
FOLLOWS(lckv_evaluate_report, tolerance, residual);
FOLLOWS(lckv_evaluate_report, residual, reserved);
FOLLOWS(lckv_evaluate_report, reserved, seconds);
ENDS(lckv_evaluate_report, seconds);

SIZE(lckv_logit_bias, 8);
BEGINS(lckv_logit_bias, token);
FOLLOWS(lckv_logit_bias, token, bias);
ENDS(lckv_logit_bias, bias);

SIZE(lckv_sampler_options, 88);
BEGINS(lckv_sampler_options, size);
FOLLOWS(lckv_sampler_options, size, temperature);
FOLLOWS(lckv_sampler_options, temperature, top_k);
FOLLOWS(lckv_sampler_options, top_k, top_p);
FOLLOWS(lckv_sampler_options, top_p, min_p);
FOLLOWS(lckv_sampler_options, min_p, repetition_penalty);
FOLLOWS(lckv_sampler_options, repetition_penalty, frequency_penalty);
FOLLOWS(lckv_sampler_options, frequency_penalty, presence_penalty);
FOLLOWS(lckv_sampler_options, presence_penalty, penalty_window);
FOLLOWS(lckv_sampler_options, penalty_window, seed);
FOLLOWS(lckv_sampler_options, seed, logit_bias);
FOLLOWS(lckv_sampler_options, logit_bias, n_logit_bias);
FOLLOWS(lckv_sampler_options, n_logit_bias, callback);
FOLLOWS(lckv_sampler_options, callback, callback_user);
FOLLOWS(lckv_sampler_options, callback_user, allocator);
ENDS(lckv_sampler_options, allocator);

SIZE(lckv_string, 16);
BEGINS(lckv_string, text);
FOLLOWS(lckv_string, text, length);
ENDS(lckv_string, length);

SIZE(lckv_generate_options, 64);
BEGINS(lckv_generate_options, size);
FOLLOWS(lckv_generate_options, size, max_tokens);
FOLLOWS(lckv_generate_options, max_tokens, stops);
FOLLOWS(lckv_generate_options, stops, n_stops);
FOLLOWS(lckv_generate_options, n_stops, ignore_end);
FOLLOWS(lckv_generate_options, ignore_end, prefill);
FOLLOWS(lckv_generate_options, prefill, callback);
FOLLOWS(lckv_generate_options, callback, callback_user);
FOLLOWS(lckv_generate_options, callback_user, window);
FOLLOWS(lckv_generate_options, window, tolerance);
ENDS(lckv_generate_options, tolerance);

SIZE(lckv_generate_report, 80);
BEGINS(lckv_generate_report, size);
FOLLOWS(lckv_generate_report, size, reason);
FOLLOWS(lckv_generate_report, reason, reserved);
FOLLOWS(lckv_generate_report, reserved, n_prompt);
FOLLOWS(lckv_generate_report, n_prompt, n_generated);
FOLLOWS(lckv_generate_report, n_generated, prompt_seconds);
FOLLOWS(lckv_generate_report, prompt_seconds, decode_seconds);
FOLLOWS(lckv_generate_report, decode_seconds, n_prompt_rows);
FOLLOWS(lckv_generate_report, n_prompt_rows, n_prompt_passes);
FOLLOWS(lckv_generate_report, n_prompt_passes, window);
FOLLOWS(lckv_generate_report, window, tolerance);
FOLLOWS(lckv_generate_report, tolerance, residual);
FOLLOWS(lckv_generate_report, residual, reserved2);
ENDS(lckv_generate_report, reserved2);
