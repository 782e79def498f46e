"""The declarations of lckv.h 0.1.0 for ctypes.

Made by tools/declare.py from the header: do not edit it. Names are those of the header, which explains them. Pointers
to arrays and to handles are ``c_void_p``, which takes addresses, arrays and ``byref(...)``.
"""

from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    c_char_p,
    c_double,
    c_float,
    c_int32,
    c_int64,
    c_size_t,
    c_uint32,
    c_uint64,
    c_void_p,
)
from typing import Any, Dict, List, Optional, Tuple

LCKV_VERSION_MAJOR = 0
LCKV_VERSION_MINOR = 1
LCKV_VERSION_PATCH = 0
LCKV_VERSION_STRING = "0.1.0"

LCKV_OK = 0
LCKV_INVALID_ARGUMENT = 1
LCKV_OUT_OF_MEMORY = 2
LCKV_IO = 3
LCKV_BAD_FORMAT = 4
LCKV_UNSUPPORTED = 5
LCKV_BAD_PLAN = 6
LCKV_CACHE_FULL = 7
LCKV_CANCELLED = 8
LCKV_BUSY = 9
LCKV_BUFFER_TOO_SMALL = 10
LCKV_MISMATCH = 11
LCKV_OUT_OF_WINDOW = 12
LCKV_INTERNAL = 13

LCKV_DTYPE_DEFAULT = 0
LCKV_DTYPE_F32 = 1
LCKV_DTYPE_F16 = 2
LCKV_DTYPE_BF16 = 3
LCKV_DTYPE_Q8_0 = 4
LCKV_DTYPE_Q4_0 = 5
LCKV_DTYPE_Q4_1 = 6
LCKV_DTYPE_Q6_K = 7
LCKV_DTYPE_Q4_K = 8
LCKV_DTYPE_Q5_K = 9
LCKV_DTYPE_Q2_K = 10
LCKV_DTYPE_Q3_K = 11
LCKV_DTYPE_Q5_0 = 12
LCKV_DTYPE_Q5_1 = 13
LCKV_DTYPE_IQ4_NL = 14
LCKV_DTYPE_IQ4_XS = 15
LCKV_DTYPE_MXFP4 = 16
LCKV_DTYPE_F8_E4M3 = 17


class lckv_allocator(Structure):
    size: int
    user: Optional[int]
    alloc: Any
    free: Any
    _fields_ = [
        ("size", c_size_t),
        ("user", c_void_p),
        ("alloc", CFUNCTYPE(c_void_p, c_void_p, c_size_t, c_size_t)),
        ("free", CFUNCTYPE(None, c_void_p, c_void_p, c_size_t)),
    ]


lckv_log_callback = CFUNCTYPE(None, c_void_p, c_void_p, c_size_t)

lckv_progress_callback = CFUNCTYPE(c_int32, c_void_p, c_uint64, c_uint64)


class lckv_plan_info(Structure):
    size: int
    n_layers: int
    n_slots: int
    n_windowed_slots: int
    n_upward: int
    n_groups: int
    is_standard: int
    _fields_ = [
        ("size", c_size_t),
        ("n_layers", c_uint32),
        ("n_slots", c_uint32),
        ("n_windowed_slots", c_uint32),
        ("n_upward", c_uint32),
        ("n_groups", c_uint32),
        ("is_standard", c_int32),
    ]


class lckv_layer_info(Structure):
    size: int
    source: int
    is_upward: int
    is_windowed: int
    slot: int
    source_slot: int
    reserved: int
    _fields_ = [
        ("size", c_size_t),
        ("source", c_uint32),
        ("is_upward", c_int32),
        ("is_windowed", c_int32),
        ("slot", c_int32),
        ("source_slot", c_uint32),
        ("reserved", c_uint32),
    ]


class lckv_slot_info(Structure):
    size: int
    layer: int
    n_readers: int
    is_windowed: int
    reserved: int
    _fields_ = [
        ("size", c_size_t),
        ("layer", c_uint32),
        ("n_readers", c_uint32),
        ("is_windowed", c_int32),
        ("reserved", c_uint32),
    ]


class lckv_group_info(Structure):
    size: int
    first: int
    last: int
    is_cyclic: int
    reserved: int
    _fields_ = [
        ("size", c_size_t),
        ("first", c_uint32),
        ("last", c_uint32),
        ("is_cyclic", c_int32),
        ("reserved", c_uint32),
    ]


class lckv_kv_shape(Structure):
    n_kv_heads: int
    head_dim: int
    _fields_ = [
        ("n_kv_heads", c_uint32),
        ("head_dim", c_uint32),
    ]


class lckv_memory_request(Structure):
    size: int
    plan: Optional[int]
    n_kv_heads: int
    head_dim: int
    kv_dtype: int
    sliding_window: int
    rollback: int
    page_positions: int
    context: int
    budget_bytes: int
    n_sessions: int
    v_dtype: int
    context_window: int
    n_sinks: int
    reserved: int
    kv_shapes: Optional[int]
    n_kv_shapes: int
    _fields_ = [
        ("size", c_size_t),
        ("plan", c_void_p),
        ("n_kv_heads", c_uint32),
        ("head_dim", c_uint32),
        ("kv_dtype", c_int32),
        ("sliding_window", c_uint32),
        ("rollback", c_uint32),
        ("page_positions", c_uint32),
        ("context", c_uint64),
        ("budget_bytes", c_uint64),
        ("n_sessions", c_uint64),
        ("v_dtype", c_int32),
        ("context_window", c_uint32),
        ("n_sinks", c_uint32),
        ("reserved", c_uint32),
        ("kv_shapes", c_void_p),
        ("n_kv_shapes", c_size_t),
    ]


class lckv_memory_report(Structure):
    size: int
    bytes_per_token: int
    standard_bytes_per_token: int
    bytes_per_session: int
    standard_bytes_per_session: int
    bytes_needed: int
    sessions_that_fit: int
    standard_sessions_that_fit: int
    context_that_fits: int
    full_bytes_per_token: int
    _fields_ = [
        ("size", c_size_t),
        ("bytes_per_token", c_uint64),
        ("standard_bytes_per_token", c_uint64),
        ("bytes_per_session", c_uint64),
        ("standard_bytes_per_session", c_uint64),
        ("bytes_needed", c_uint64),
        ("sessions_that_fit", c_uint64),
        ("standard_sessions_that_fit", c_uint64),
        ("context_that_fits", c_uint64),
        ("full_bytes_per_token", c_uint64),
    ]


LCKV_PRECISION_DEFAULT = 0
LCKV_PRECISION_FULL = 1
LCKV_PRECISION_FAST = 2

LCKV_GEMM_DEFAULT = 0
LCKV_GEMM_OWN = 1
LCKV_GEMM_OPENBLAS = 2

LCKV_WEIGHTS_DEFAULT = 0
LCKV_WEIGHTS_COPIED = 1
LCKV_WEIGHTS_STREAMED = 2
LCKV_WEIGHTS_NONE = 3


class lckv_model_options(Structure):
    size: int
    kernel_set: Optional[bytes]
    precision: int
    gemm: int
    sliding_window: int
    weights: int
    allocator: Optional[int]
    log: Any
    log_user: Optional[int]
    progress: Any
    progress_user: Optional[int]
    pool: Optional[int]
    stream_bytes: int
    rope_context: int
    _fields_ = [
        ("size", c_size_t),
        ("kernel_set", c_char_p),
        ("precision", c_int32),
        ("gemm", c_int32),
        ("sliding_window", c_uint32),
        ("weights", c_int32),
        ("allocator", c_void_p),
        ("log", lckv_log_callback),
        ("log_user", c_void_p),
        ("progress", lckv_progress_callback),
        ("progress_user", c_void_p),
        ("pool", c_void_p),
        ("stream_bytes", c_uint64),
        ("rope_context", c_uint64),
    ]


class lckv_model_info(Structure):
    size: int
    n_layers: int
    n_vocab: int
    hidden_size: int
    intermediate_size: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    context_length: int
    sliding_window: int
    forward_passes: int
    backward_passes: int
    use_sequential: int
    force_nodiag: int
    has_tokenizer: int
    is_tied: int
    precision: int
    rope_theta: float
    rms_norm_eps: float
    n_parameters: int
    weight_bytes: int
    architecture: Optional[bytes]
    name: Optional[bytes]
    kernel_set: Optional[bytes]
    weight_dtypes: Optional[bytes]
    is_mapped: int
    is_repacked: int
    decode_bytes: int
    resident_bytes: int
    ring_bytes: int
    problem: Optional[bytes]
    has_weights: int
    is_table_mapped: int
    table_bytes: int
    _fields_ = [
        ("size", c_size_t),
        ("n_layers", c_uint32),
        ("n_vocab", c_uint32),
        ("hidden_size", c_uint32),
        ("intermediate_size", c_uint32),
        ("n_heads", c_uint32),
        ("n_kv_heads", c_uint32),
        ("head_dim", c_uint32),
        ("context_length", c_uint32),
        ("sliding_window", c_uint32),
        ("forward_passes", c_uint32),
        ("backward_passes", c_uint32),
        ("use_sequential", c_int32),
        ("force_nodiag", c_int32),
        ("has_tokenizer", c_int32),
        ("is_tied", c_int32),
        ("precision", c_int32),
        ("rope_theta", c_float),
        ("rms_norm_eps", c_float),
        ("n_parameters", c_uint64),
        ("weight_bytes", c_uint64),
        ("architecture", c_char_p),
        ("name", c_char_p),
        ("kernel_set", c_char_p),
        ("weight_dtypes", c_char_p),
        ("is_mapped", c_int32),
        ("is_repacked", c_int32),
        ("decode_bytes", c_uint64),
        ("resident_bytes", c_uint64),
        ("ring_bytes", c_uint64),
        ("problem", c_char_p),
        ("has_weights", c_int32),
        ("is_table_mapped", c_int32),
        ("table_bytes", c_uint64),
    ]


class lckv_model_layer(Structure):
    size: int
    kv_shape: lckv_kv_shape
    intermediate_size: int
    reserved: int
    _fields_ = [
        ("size", c_size_t),
        ("kv_shape", lckv_kv_shape),
        ("intermediate_size", c_uint32),
        ("reserved", c_uint32),
    ]


LCKV_TOKENIZE_NO_SPECIAL = 1
LCKV_TOKENIZE_BOS = 2
LCKV_TOKENIZE_NO_BOS = 4

LCKV_DETOKENIZE_SPECIAL = 1
LCKV_DETOKENIZE_CONTINUES = 2

LCKV_SPECIAL_BOS = 0
LCKV_SPECIAL_EOS = 1
LCKV_SPECIAL_UNKNOWN = 2
LCKV_SPECIAL_PADDING = 3
LCKV_SPECIAL_EOT = 4

LCKV_TOKEN_NORMAL = 1
LCKV_TOKEN_UNKNOWN = 2
LCKV_TOKEN_CONTROL = 3
LCKV_TOKEN_USER_DEFINED = 4
LCKV_TOKEN_UNUSED = 5
LCKV_TOKEN_BYTE = 6


class lckv_message(Structure):
    role: Optional[bytes]
    role_length: int
    content: Optional[bytes]
    content_length: int
    _fields_ = [
        ("role", c_char_p),
        ("role_length", c_size_t),
        ("content", c_char_p),
        ("content_length", c_size_t),
    ]


LCKV_CHAT_ANSWER = 1

LCKV_CONVERT_MEAN = 0
LCKV_CONVERT_COPY = 1


class lckv_convert_options(Structure):
    size: int
    plan: Optional[bytes]
    dtype: int
    init: int
    allocator: Optional[int]
    log: Any
    log_user: Optional[int]
    progress: Any
    progress_user: Optional[int]
    sliding_window: int
    packed: int
    kernel_set: Optional[bytes]
    mixture: int
    reserved: int
    _fields_ = [
        ("size", c_size_t),
        ("plan", c_char_p),
        ("dtype", c_int32),
        ("init", c_int32),
        ("allocator", c_void_p),
        ("log", lckv_log_callback),
        ("log_user", c_void_p),
        ("progress", lckv_progress_callback),
        ("progress_user", c_void_p),
        ("sliding_window", c_uint32),
        ("packed", c_int32),
        ("kernel_set", c_char_p),
        ("mixture", c_int32),
        ("reserved", c_uint32),
    ]


class lckv_convert_report(Structure):
    size: int
    n_tensors: int
    n_kept_f16: int
    file_bytes: int
    _fields_ = [
        ("size", c_size_t),
        ("n_tensors", c_uint64),
        ("n_kept_f16", c_uint64),
        ("file_bytes", c_uint64),
    ]


LCKV_REUSE_DEFAULT = 0
LCKV_REUSE_ON = 1
LCKV_REUSE_OFF = 2


class lckv_cache_options(Structure):
    size: int
    budget_bytes: int
    n_tokens: int
    max_sessions: int
    kv_dtype: int
    page_positions: int
    n_threads: int
    pool: Optional[int]
    max_rows: int
    max_logit_rows: int
    rollback: int
    v_dtype: int
    reuse: int
    reuse_tolerance: float
    context_window: int
    n_sinks: int
    waits: int
    reserved: int
    _fields_ = [
        ("size", c_size_t),
        ("budget_bytes", c_uint64),
        ("n_tokens", c_uint64),
        ("max_sessions", c_uint32),
        ("kv_dtype", c_int32),
        ("page_positions", c_uint32),
        ("n_threads", c_uint32),
        ("pool", c_void_p),
        ("max_rows", c_uint32),
        ("max_logit_rows", c_uint32),
        ("rollback", c_uint32),
        ("v_dtype", c_int32),
        ("reuse", c_int32),
        ("reuse_tolerance", c_float),
        ("context_window", c_uint32),
        ("n_sinks", c_uint32),
        ("waits", c_int32),
        ("reserved", c_uint32),
    ]


class lckv_cache_estimate_report(Structure):
    size: int
    sessions_that_fit: int
    n_pages: int
    page_bytes: int
    page_bytes_total: int
    scratch_bytes: int
    table_bytes: int
    max_sessions: int
    reserved: int
    _fields_ = [
        ("size", c_size_t),
        ("sessions_that_fit", c_uint64),
        ("n_pages", c_uint64),
        ("page_bytes", c_uint64),
        ("page_bytes_total", c_uint64),
        ("scratch_bytes", c_uint64),
        ("table_bytes", c_uint64),
        ("max_sessions", c_uint32),
        ("reserved", c_uint32),
    ]


class lckv_cache_stats(Structure):
    size: int
    bytes_per_token: int
    page_bytes: int
    n_pages: int
    n_pages_free: int
    page_bytes_total: int
    table_bytes: int
    scratch_bytes: int
    n_sessions: int
    max_sessions: int
    n_threads: int
    page_positions: int
    max_rows: int
    max_logit_rows: int
    kv_dtype: int
    rollback: int
    v_dtype: int
    reserved: int
    n_pages_kept: int
    n_reuses: int
    n_reused_tokens: int
    n_reused_pages: int
    context_window: int
    n_sinks: int
    _fields_ = [
        ("size", c_size_t),
        ("bytes_per_token", c_uint64),
        ("page_bytes", c_uint64),
        ("n_pages", c_uint64),
        ("n_pages_free", c_uint64),
        ("page_bytes_total", c_uint64),
        ("table_bytes", c_uint64),
        ("scratch_bytes", c_uint64),
        ("n_sessions", c_uint32),
        ("max_sessions", c_uint32),
        ("n_threads", c_uint32),
        ("page_positions", c_uint32),
        ("max_rows", c_uint32),
        ("max_logit_rows", c_uint32),
        ("kv_dtype", c_int32),
        ("rollback", c_uint32),
        ("v_dtype", c_int32),
        ("reserved", c_uint32),
        ("n_pages_kept", c_uint64),
        ("n_reuses", c_uint64),
        ("n_reused_tokens", c_uint64),
        ("n_reused_pages", c_uint64),
        ("context_window", c_uint32),
        ("n_sinks", c_uint32),
    ]


lckv_write_callback = CFUNCTYPE(c_int32, c_void_p, c_void_p, c_size_t)

lckv_read_callback = CFUNCTYPE(c_int32, c_void_p, c_void_p, c_size_t, POINTER(c_size_t))


class lckv_save_options(Structure):
    size: int
    note: Optional[int]
    note_length: int
    progress: Any
    progress_user: Optional[int]
    _fields_ = [
        ("size", c_size_t),
        ("note", c_void_p),
        ("note_length", c_size_t),
        ("progress", lckv_progress_callback),
        ("progress_user", c_void_p),
    ]


class lckv_restore_options(Structure):
    size: int
    any_kernels: int
    reserved: int
    note: Any
    note_user: Optional[int]
    progress: Any
    progress_user: Optional[int]
    _fields_ = [
        ("size", c_size_t),
        ("any_kernels", c_int32),
        ("reserved", c_uint32),
        ("note", lckv_write_callback),
        ("note_user", c_void_p),
        ("progress", lckv_progress_callback),
        ("progress_user", c_void_p),
    ]


LCKV_WANT_NOTHING = 0
LCKV_WANT_LAST = 1
LCKV_WANT_ALL = 2
LCKV_WANT_HIDDEN = 4
LCKV_WANT_HIDDEN_ALL = 8


class lckv_item(Structure):
    session: Optional[int]
    tokens: Optional[int]
    n_tokens: int
    want: int
    reserved: int
    logits: Optional[int]
    logits_capacity: int
    hidden: Optional[int]
    hidden_capacity: int
    _fields_ = [
        ("session", c_void_p),
        ("tokens", c_void_p),
        ("n_tokens", c_size_t),
        ("want", c_uint32),
        ("reserved", c_uint32),
        ("logits", c_void_p),
        ("logits_capacity", c_size_t),
        ("hidden", c_void_p),
        ("hidden_capacity", c_size_t),
    ]


LCKV_PREFILL_AUTO = 0
LCKV_PREFILL_EXACT = 1
LCKV_PREFILL_ITERATED = 2
LCKV_PREFILL_MODEL = 3


class lckv_evaluate_options(Structure):
    size: int
    prefill: int
    forward_passes: int
    backward_passes: int
    window: int
    progress: Any
    progress_user: Optional[int]
    tolerance: float
    reserved: int
    _fields_ = [
        ("size", c_size_t),
        ("prefill", c_int32),
        ("forward_passes", c_uint32),
        ("backward_passes", c_uint32),
        ("window", c_uint32),
        ("progress", lckv_progress_callback),
        ("progress_user", c_void_p),
        ("tolerance", c_float),
        ("reserved", c_uint32),
    ]


class lckv_evaluate_report(Structure):
    size: int
    failed_item: int
    pages_needed: int
    pages_free: int
    n_tokens: int
    n_rows: int
    n_passes: int
    window: int
    tolerance: float
    residual: float
    reserved: int
    seconds: float
    _fields_ = [
        ("size", c_size_t),
        ("failed_item", c_int64),
        ("pages_needed", c_uint64),
        ("pages_free", c_uint64),
        ("n_tokens", c_uint64),
        ("n_rows", c_uint64),
        ("n_passes", c_uint64),
        ("window", c_uint32),
        ("tolerance", c_float),
        ("residual", c_float),
        ("reserved", c_uint32),
        ("seconds", c_double),
    ]


class lckv_logit_bias(Structure):
    token: int
    bias: float
    _fields_ = [
        ("token", c_int32),
        ("bias", c_float),
    ]


lckv_logits_callback = CFUNCTYPE(c_int32, c_void_p, c_void_p, c_size_t)


class lckv_sampler_options(Structure):
    size: int
    temperature: float
    top_k: int
    top_p: float
    min_p: float
    repetition_penalty: float
    frequency_penalty: float
    presence_penalty: float
    penalty_window: int
    seed: int
    logit_bias: Optional[int]
    n_logit_bias: int
    callback: Any
    callback_user: Optional[int]
    allocator: Optional[int]
    _fields_ = [
        ("size", c_size_t),
        ("temperature", c_float),
        ("top_k", c_uint32),
        ("top_p", c_float),
        ("min_p", c_float),
        ("repetition_penalty", c_float),
        ("frequency_penalty", c_float),
        ("presence_penalty", c_float),
        ("penalty_window", c_uint32),
        ("seed", c_uint64),
        ("logit_bias", c_void_p),
        ("n_logit_bias", c_size_t),
        ("callback", lckv_logits_callback),
        ("callback_user", c_void_p),
        ("allocator", c_void_p),
    ]


LCKV_STOP_LENGTH = 0
LCKV_STOP_END = 1
LCKV_STOP_STRING = 2
LCKV_STOP_CALLBACK = 3
LCKV_STOP_FULL = 4
LCKV_STOP_CANCELLED = 5

lckv_token_callback = CFUNCTYPE(c_int32, c_void_p, c_int32, c_void_p, c_size_t)


class lckv_string(Structure):
    text: Optional[bytes]
    length: int
    _fields_ = [
        ("text", c_char_p),
        ("length", c_size_t),
    ]


class lckv_generate_options(Structure):
    size: int
    max_tokens: int
    stops: Optional[int]
    n_stops: int
    ignore_end: int
    prefill: int
    callback: Any
    callback_user: Optional[int]
    window: int
    tolerance: float
    _fields_ = [
        ("size", c_size_t),
        ("max_tokens", c_uint64),
        ("stops", c_void_p),
        ("n_stops", c_size_t),
        ("ignore_end", c_int32),
        ("prefill", c_int32),
        ("callback", lckv_token_callback),
        ("callback_user", c_void_p),
        ("window", c_uint32),
        ("tolerance", c_float),
    ]


class lckv_generate_report(Structure):
    size: int
    reason: int
    reserved: int
    n_prompt: int
    n_generated: int
    prompt_seconds: float
    decode_seconds: float
    n_prompt_rows: int
    n_prompt_passes: int
    window: int
    tolerance: float
    residual: float
    reserved2: int
    _fields_ = [
        ("size", c_size_t),
        ("reason", c_int32),
        ("reserved", c_uint32),
        ("n_prompt", c_uint64),
        ("n_generated", c_uint64),
        ("prompt_seconds", c_double),
        ("decode_seconds", c_double),
        ("n_prompt_rows", c_uint64),
        ("n_prompt_passes", c_uint64),
        ("window", c_uint32),
        ("tolerance", c_float),
        ("residual", c_float),
        ("reserved2", c_uint32),
    ]


# The type of each function's result, and those of its arguments.
FUNCTIONS: Dict[str, Tuple[Any, List[Any]]] = {
    "lckv_version_number": (c_uint32, []),
    "lckv_version_string": (c_char_p, []),
    "lckv_status_name": (c_char_p, [c_int32]),
    "lckv_last_error": (c_char_p, []),
    "lckv_last_error_copy": (c_size_t, [c_void_p, c_size_t]),
    "lckv_kernel_set_name": (c_char_p, [c_size_t]),
    "lckv_kernel_set_available": (c_int32, [c_char_p]),
    "lckv_dtype_name": (c_char_p, [c_int32]),
    "lckv_dtype_from_name": (c_int32, [c_char_p, c_void_p]),
    "lckv_plan_parse": (c_int32, [c_char_p, c_size_t, c_uint32, POINTER(c_void_p)]),
    "lckv_plan_retain": (None, [c_void_p]),
    "lckv_plan_release": (None, [c_void_p]),
    "lckv_plan_get_info": (c_int32, [c_void_p, POINTER(lckv_plan_info)]),
    "lckv_plan_get_layer": (c_int32, [c_void_p, c_uint32, POINTER(lckv_layer_info)]),
    "lckv_plan_get_slot": (c_int32, [c_void_p, c_uint32, POINTER(lckv_slot_info)]),
    "lckv_plan_get_group": (c_int32, [c_void_p, c_uint32, POINTER(lckv_group_info)]),
    "lckv_plan_text": (c_int32, [c_void_p, c_void_p, c_size_t, POINTER(c_size_t)]),
    "lckv_plan_describe": (c_int32, [c_void_p, c_void_p, c_size_t, POINTER(c_size_t)]),
    "lckv_memory_request_init": (c_int32, [POINTER(lckv_memory_request), c_size_t]),
    "lckv_memory_estimate": (c_int32, [POINTER(lckv_memory_request), POINTER(lckv_memory_report)]),
    "lckv_pool_create": (c_int32, [c_uint32, POINTER(c_void_p)]),
    "lckv_pool_retain": (None, [c_void_p]),
    "lckv_pool_release": (None, [c_void_p]),
    "lckv_model_options_init": (c_int32, [POINTER(lckv_model_options), c_size_t]),
    "lckv_model_open": (c_int32, [c_char_p, POINTER(lckv_model_options), POINTER(c_void_p)]),
    "lckv_model_open_memory": (c_int32, [c_void_p, c_size_t, POINTER(lckv_model_options), POINTER(c_void_p)]),
    "lckv_model_retain": (None, [c_void_p]),
    "lckv_model_release": (None, [c_void_p]),
    "lckv_model_get_info": (c_int32, [c_void_p, POINTER(lckv_model_info)]),
    "lckv_model_get_layer": (c_int32, [c_void_p, c_uint32, POINTER(lckv_model_layer)]),
    "lckv_model_fingerprint": (c_int32, [c_void_p, POINTER(c_uint64)]),
    "lckv_model_plan": (c_void_p, [c_void_p]),
    "lckv_model_last_error": (c_size_t, [c_void_p, c_void_p, c_size_t]),
    "lckv_model_metadata": (c_int32, [c_void_p, c_char_p, c_void_p, c_size_t, POINTER(c_size_t)]),
    "lckv_model_metadata_key": (c_char_p, [c_void_p, c_size_t]),
    "lckv_tokenize": (c_int32, [c_void_p, c_char_p, c_size_t, c_uint32, c_void_p, c_size_t, POINTER(c_size_t)]),
    "lckv_detokenize": (c_int32, [c_void_p, c_void_p, c_size_t, c_uint32, c_void_p, c_size_t, POINTER(c_size_t)]),
    "lckv_detokenizer_create": (c_int32, [c_void_p, c_uint32, POINTER(c_void_p)]),
    "lckv_detokenizer_retain": (None, [c_void_p]),
    "lckv_detokenizer_release": (None, [c_void_p]),
    "lckv_detokenizer_push": (c_int32, [c_void_p, c_int32, POINTER(c_void_p), POINTER(c_size_t)]),
    "lckv_detokenizer_flush": (c_int32, [c_void_p, POINTER(c_void_p), POINTER(c_size_t)]),
    "lckv_model_special_token": (c_int32, [c_void_p, c_int32]),
    "lckv_model_is_end_token": (c_int32, [c_void_p, c_int32]),
    "lckv_model_token": (c_int32, [c_void_p, c_int32, POINTER(c_void_p), POINTER(c_size_t), c_void_p]),
    "lckv_chat_tokenize": (c_int32, [c_void_p, POINTER(lckv_message), c_size_t, c_size_t, c_uint32, c_void_p, c_size_t,
        POINTER(c_size_t)]),
    "lckv_chat_format": (c_int32, [c_void_p, POINTER(lckv_message), c_size_t, c_size_t, c_uint32, c_void_p, c_size_t,
        POINTER(c_size_t)]),
    "lckv_convert_options_init": (c_int32, [POINTER(lckv_convert_options), c_size_t]),
    "lckv_convert": (c_int32, [c_char_p, c_char_p, POINTER(lckv_convert_options), POINTER(lckv_convert_report)]),
    "lckv_cache_options_init": (c_int32, [POINTER(lckv_cache_options), c_size_t]),
    "lckv_cache_create": (c_int32, [c_void_p, POINTER(lckv_cache_options), POINTER(c_void_p)]),
    "lckv_cache_retain": (None, [c_void_p]),
    "lckv_cache_release": (None, [c_void_p]),
    "lckv_cache_model": (c_void_p, [c_void_p]),
    "lckv_cache_estimate": (c_int32, [c_void_p, POINTER(lckv_cache_options), c_uint64,
        POINTER(lckv_cache_estimate_report)]),
    "lckv_cache_get_stats": (c_int32, [c_void_p, POINTER(lckv_cache_stats)]),
    "lckv_cache_cancel": (None, [c_void_p]),
    "lckv_cache_last_error": (c_size_t, [c_void_p, c_void_p, c_size_t]),
    "lckv_session_create": (c_int32, [c_void_p, POINTER(c_void_p)]),
    "lckv_session_retain": (None, [c_void_p]),
    "lckv_session_release": (None, [c_void_p]),
    "lckv_session_cache": (c_void_p, [c_void_p]),
    "lckv_session_length": (c_int32, [c_void_p, POINTER(c_uint64)]),
    "lckv_session_min_length": (c_int32, [c_void_p, POINTER(c_uint64)]),
    "lckv_session_tokens": (c_int32, [c_void_p, c_void_p, c_size_t, POINTER(c_size_t)]),
    "lckv_session_read_tokens": (c_int32, [c_void_p, c_uint64, c_uint64, c_void_p]),
    "lckv_session_truncate": (c_int32, [c_void_p, c_uint64]),
    "lckv_session_fork": (c_int32, [c_void_p, POINTER(c_void_p)]),
    "lckv_session_reuse": (c_int32, [c_void_p, c_void_p, c_size_t, POINTER(c_size_t)]),
    "lckv_session_read_kv": (c_int32, [c_void_p, c_uint32, c_uint64, c_uint64, c_void_p, c_void_p]),
    "lckv_save_options_init": (c_int32, [POINTER(lckv_save_options), c_size_t]),
    "lckv_sessions_save": (c_int32, [POINTER(c_void_p), c_size_t, lckv_write_callback, c_void_p,
        POINTER(lckv_save_options)]),
    "lckv_sessions_save_file": (c_int32, [POINTER(c_void_p), c_size_t, c_char_p, POINTER(lckv_save_options)]),
    "lckv_restore_options_init": (c_int32, [POINTER(lckv_restore_options), c_size_t]),
    "lckv_sessions_restore": (c_int32, [c_void_p, lckv_read_callback, c_void_p, POINTER(lckv_restore_options),
        POINTER(c_void_p), c_size_t, POINTER(c_size_t)]),
    "lckv_sessions_restore_file": (c_int32, [c_void_p, c_char_p, POINTER(lckv_restore_options), POINTER(c_void_p),
        c_size_t, POINTER(c_size_t)]),
    "lckv_evaluate_options_init": (c_int32, [POINTER(lckv_evaluate_options), c_size_t]),
    "lckv_evaluate": (c_int32, [c_void_p, POINTER(lckv_item), c_size_t, c_size_t, POINTER(lckv_evaluate_options),
        POINTER(lckv_evaluate_report)]),
    "lckv_evaluate_cost": (c_int32, [c_void_p, POINTER(lckv_item), c_size_t, c_size_t, POINTER(lckv_evaluate_options),
        POINTER(lckv_evaluate_report)]),
    "lckv_session_logits": (c_int32, [c_void_p, POINTER(c_void_p), POINTER(c_size_t)]),
    "lckv_sampler_options_init": (c_int32, [POINTER(lckv_sampler_options), c_size_t]),
    "lckv_sampler_create": (c_int32, [POINTER(lckv_sampler_options), POINTER(c_void_p)]),
    "lckv_sampler_retain": (None, [c_void_p]),
    "lckv_sampler_release": (None, [c_void_p]),
    "lckv_sampler_clone": (c_int32, [c_void_p, POINTER(c_void_p)]),
    "lckv_sampler_reset": (c_int32, [c_void_p]),
    "lckv_sampler_sample": (c_int32, [c_void_p, c_void_p, c_size_t, c_void_p]),
    "lckv_sampler_sample_session": (c_int32, [c_void_p, c_void_p, c_void_p]),
    "lckv_sampler_accept": (c_int32, [c_void_p, c_int32]),
    "lckv_log_probabilities": (c_int32, [c_void_p, c_size_t, c_void_p]),
    "lckv_generate_options_init": (c_int32, [POINTER(lckv_generate_options), c_size_t]),
    "lckv_generate": (c_int32, [c_void_p, c_void_p, c_void_p, c_size_t, POINTER(lckv_generate_options),
        POINTER(lckv_generate_report)]),
}
