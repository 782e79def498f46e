//! lckv runs language models with a layer-condensed KV cache, on the CPU.
//!
//! Most layers of such a model have no keys and values of their own: they attend to those of a few
//! layers. lckv opens the checkpoint, keeps the keys and values of only those few layers, and
//! decodes many sequences, token by token, in a fixed amount of memory.
//!
//! - A [`Model`] holds weights, a layer [`Plan`] and a tokenizer. It does not change; clones share
//!   it, and any number of threads use it at once.
//! - A [`Cache`] is the memory of many sessions, and the threads that compute on it.
//! - A [`Session`] is one sequence of tokens.
//!
//! ```
//! # let path = concat!(env!("CARGO_MANIFEST_DIR"),
//! #     "/../../../examples/models/stories-lckv-q8_0.gguf");
//! use lckv::{Cache, GenerateOptions, Model};
//!
//! let model = Model::open(path)?;
//! let mut cache = Cache::new(&model)?;
//! let mut session = cache.session()?;
//! let prompt = model.tokenize("Once upon a time")?;
//! let text = cache
//!     .generate(&mut session, &prompt, GenerateOptions::new().max_tokens(24))
//!     .into_text()?;
//! println!("Once upon a time{text}");
//! # Ok::<(), lckv::Error>(())
//! ```
//!
//! # Lifetimes and threads
//!
//! Handles are counted by the library, and children hold their parents: a session its cache, a
//! cache its model. So handles have no lifetimes; they may be put into any struct, sent to other
//! threads and dropped in any order.
//!
//! Lifetimes stand where something could become invalid. The cache holds the logits of its last
//! evaluation until the next one, so [`Logits`] borrow the cache, and whatever computes needs the
//! cache mutably. Two threads cannot compute on one cache at once for the same reason; they take
//! turns by a [`Mutex`](std::sync::Mutex), or better, one of them evaluates all sessions in one
//! call. A [`CacheHandle`] tells statistics and cancels at any time.
//!
//! [`Model`], [`Plan`], [`Pool`], [`Cache`], [`CacheHandle`] and [`Session`] are `Send` and `Sync`.
//! A [`Sampler`] and a [`Detokenizer`] are `Send` only.
//!
//! # Closures
//!
//! Options and calls take closures: for progress, remarks, notes, pieces of text. They run on the
//! calling thread and return [`ControlFlow`](std::ops::ControlFlow), where they can stop the call:
//! `Break` makes it fail with [`Status::Cancelled`]. If a closure panics, the call is stopped, and
//! the panic goes on when it has returned; sessions are then as before, as after any failure.
//!
//! Only a generation is a loop of steps, and what it has appended to the session stays there,
//! however it ends. A `Break` of the closure that takes the pieces is no failure: the report says
//! [`StopReason::Callback`].
//!
//! # What is not here
//!
//! Custom allocators. The crate `lckv-sys` has the whole C interface.

#![deny(missing_docs, missing_debug_implementations)]
#![warn(rust_2018_idioms)]

#[macro_use]
mod raw;
#[macro_use]
mod plan;
mod cache;
mod callback;
mod constants;
mod convert;
mod error;
mod evaluate;
mod generate;
mod library;
mod memory;
mod model;
mod sampler;
mod saved;
mod session;
mod stops;
mod text;

pub use cache::{Cache, CacheEstimate, CacheHandle, CacheOptions, CacheStats};
pub use constants::{
    ConvertInit, Dtype, Gemm, Precision, Prefill, Special, Status, StopReason, TokenType, Weights,
};
pub use convert::{ConvertOptions, ConvertReport};
pub use error::{Error, Result};
pub use evaluate::{EvaluateOptions, EvaluateReport, Item, Logits, Want};
pub use generate::{GenerateOptions, GenerateReport, Generation, Piece};
pub use library::{kernel_sets, version, version_number, KernelSet, Pool};
pub use memory::{MemoryReport, MemoryRequest};
pub use model::{KvShape, Model, ModelInfo, ModelLayer, ModelOptions};
pub use plan::{GroupInfo, LayerInfo, Plan, PlanInfo, SlotInfo};
pub use sampler::{log_probabilities, Sampler, SamplerOptions};
pub use saved::{RestoreOptions, SaveOptions};
pub use session::{KeysAndValues, Session};
pub use text::{DetokenizeFlags, Detokenizer, Message, Token, TokenizeFlags};

/// The examples of the README are tests, too.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
