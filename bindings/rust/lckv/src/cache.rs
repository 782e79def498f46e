//! Caches: the memory of sessions, and the threads that compute on it.

use crate::constants::Dtype;
use crate::error::{check, create, Error, Result};
use crate::evaluate::{Item, Logits};
use crate::library::Pool;
use crate::model::Model;
use crate::session::Session;
use crate::text::Token;
use crate::Status;
use lckv_sys as sys;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

/// The memory of many sessions' keys and values, and the threads that compute on it.
///
/// Whatever computes needs the cache mutably: [`evaluate`](Self::evaluate),
/// [`append`](Self::append), [`generate`](Self::generate). So the compiler knows that logits, which
/// borrow the cache, are valid as long as they are used, and threads that share a cache take turns
/// by a [`Mutex`](std::sync::Mutex). For what others may ask and do meanwhile there is
/// [`CacheHandle`].
///
/// Sessions hold the memory of their cache, so the two may be dropped in any order.
///
/// ```
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"),
/// #     "/../../../examples/models/stories-lckv-q8_0.gguf");
/// # let model = lckv::Model::open(path)?;
/// let mut cache = lckv::Cache::new(&model)?;
/// let mut session = cache.session()?;
/// let prompt = model.tokenize("Once upon a")?;
/// let next = lckv::Sampler::greedy()?.sample(cache.append(&mut session, &prompt)?.last())?;
/// assert_eq!(model.text(&[next])?, " time");
/// # Ok::<(), lckv::Error>(())
/// ```
///
/// Logits of one call do not outlive the next, so this does not compile:
///
/// ```compile_fail,E0499
/// fn difference(cache: &mut lckv::Cache, session: &mut lckv::Session) -> lckv::Result<f32> {
///     let one = cache.append(session, &[1])?;
///     let two = cache.append(session, &[2])?;
///     Ok(one[0] - two[0])
/// }
/// ```
#[derive(Debug)]
pub struct Cache {
    handle: CacheHandle,
    n_vocab: usize,
    /// The logits of the last [`append`](Self::append).
    appended: Vec<f32>,
}

/// Asks a cache for its statistics and cancels its calls, at any time and from any thread.
///
/// It holds the cache's memory as long as it lives.
#[derive(Debug)]
pub struct CacheHandle {
    raw: NonNull<sys::lckv_cache>,
    /// How often the cache was cancelled: a generation also ends by a cancel between two calls.
    n_cancels: Arc<AtomicU64>,
}

// SAFETY: a cache may be used from any thread; what must not run at once waits or is refused.
unsafe impl Send for CacheHandle {}
unsafe impl Sync for CacheHandle {}

record! {
    /// How a cache is doing.
    CacheStats from lckv_cache_stats {
        /// Bytes of keys and values of a token, in all slots.
        bytes_per_token: u64,
        /// Bytes of a page: `page_positions` positions of one slot.
        page_bytes: u64,
        /// Pages.
        n_pages: u64,
        /// Pages that a call can have.
        n_pages_free: u64,
        /// Bytes of all pages.
        page_bytes_total: u64,
        /// Bytes of tables.
        table_bytes: u64,
        /// Bytes of scratch.
        scratch_bytes: u64,
        /// Sessions.
        n_sessions: u32,
        /// The most sessions.
        max_sessions: u32,
        /// Threads that compute.
        n_threads: u32,
        /// Positions of a page.
        page_positions: u32,
        /// Tokens computed at once.
        max_rows: u32,
        /// Rows of logits that the cache can hold.
        max_logit_rows: u32,
        /// The type of keys.
        kv_dtype: Dtype,
        /// Tokens beyond the window that windowed slots keep.
        rollback: u32,
        /// The type of values.
        v_dtype: Dtype,
        /// Pages of dropped sessions, kept for [`Session::reuse`].
        n_pages_kept: u64,
        /// Calls of [`Session::reuse`] that found something.
        n_reuses: u64,
        /// The tokens that they did not have to compute.
        n_reused_tokens: u64,
        /// The pages that they share.
        n_reused_pages: u64,
        /// The tokens that sessions without end attend to; 0: sessions remember everything.
        context_window: u32,
        /// Of these, the first tokens of a session.
        n_sinks: u32,
    }
}

record! {
    /// What a cache would take, to the byte.
    CacheEstimate from lckv_cache_estimate_report {
        /// Sessions of the context asked about that share no pages.
        sessions_that_fit: u64,
        /// Pages.
        n_pages: u64,
        /// Bytes of a page.
        page_bytes: u64,
        /// Bytes of all pages.
        page_bytes_total: u64,
        /// Bytes of scratch.
        scratch_bytes: u64,
        /// Bytes of tables, once the sessions are so long.
        table_bytes: u64,
        /// The most sessions.
        max_sessions: u32,
    }
}

/// How a cache is made.
///
/// ```
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"),
/// #     "/../../../examples/models/stories-lckv-q8_0.gguf");
/// # let model = lckv::Model::open(path)?;
/// use lckv::{CacheOptions, Dtype};
///
/// let options = CacheOptions::new()
///     .budget_bytes(8 << 20)
///     .max_sessions(4)
///     .kv_dtype(Dtype::Q8_0);
/// println!("{} sessions fit", options.estimate(&model, 512)?.sessions_that_fit);
/// let cache = options.create(&model)?;
/// # Ok::<(), lckv::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct CacheOptions {
    raw: sys::lckv_cache_options,
    pool: Option<Pool>,
}

// SAFETY: the pointers in `raw` are NULL; they are set in a copy when the options are used.
unsafe impl Send for CacheOptions {}
unsafe impl Sync for CacheOptions {}

impl Default for CacheOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl CacheOptions {
    /// Room for 4096 tokens in at most 16 sessions.
    pub fn new() -> Self {
        let mut raw = sized!(lckv_cache_options);
        raw.waits = 1;
        Self { raw, pool: None }
    }

    setters! {
        /// Bytes for pages, tables and scratch together; this, or `n_tokens`.
        budget_bytes: u64,
        /// Room for so many tokens in all; 4096 by default.
        n_tokens: u64,
        /// The most sessions; 16 by default.
        max_sessions: u32,
        /// The type of keys, and of values unless these have their own; f16 by default.
        kv_dtype: Dtype,
        /// The type of values.
        v_dtype: Dtype,
        /// Positions of a page: a multiple of 16, at most 1024; 64 by default.
        page_positions: u32,
        /// Threads, unless there is a pool; by default as for [`Pool::new`].
        n_threads: u32,
        /// Tokens computed at once, which bounds the scratch; 256 by default.
        max_rows: u32,
        /// Rows of logits that the cache holds; by default as many as sessions.
        max_logit_rows: u32,
        /// Tokens beyond the window that windowed slots keep; 64 by default.
        rollback: u32,
        /// What [`Session::reuse`] takes over of prompts that were encoded within a tolerance;
        /// below 0: only what was encoded exactly.
        reuse_tolerance: f32,
        /// Makes sessions endless: a token attends to the first `n_sinks` tokens and to the last
        /// ones, so many in all. By default sessions remember everything.
        context_window: u32,
        /// The first tokens of a session, which stay in the context window; 4 by default.
        n_sinks: u32,
        /// Whether calls on the cache and its sessions wait while another one works on it, in the
        /// order in which they came. This is so by default; otherwise they fail with
        /// [`Status::Busy`]. In a callback of the working call they fail in any case.
        waits: bool,
    }

    /// Whether dropped sessions are kept for [`Session::reuse`] while there is room; on by default.
    #[must_use]
    pub fn reuse(mut self, is_on: bool) -> Self {
        self.raw.reuse = if is_on {
            sys::LCKV_REUSE_ON
        } else {
            sys::LCKV_REUSE_OFF
        };
        self
    }

    /// Threads that caches share; by default a cache has its own.
    #[must_use]
    pub fn pool(mut self, pool: &Pool) -> Self {
        self.pool = Some(pool.clone());
        self
    }

    /// Makes the cache. Pages and scratch are allocated here, once.
    pub fn create(&self, model: &Model) -> Result<Cache> {
        let raw = self.complete();
        let n_vocab = model.info()?.n_vocab as usize;
        create(
            |raw| Cache {
                handle: CacheHandle {
                    raw,
                    n_cancels: Arc::default(),
                },
                n_vocab,
                appended: Vec::new(),
            },
            // SAFETY: model and options are valid; the cache holds the model.
            |cache| unsafe { sys::lckv_cache_create(model.raw(), &raw, cache) },
        )
    }

    /// Tells what the cache would take, for sessions of so many tokens (0: 4096), without making
    /// it. With `budget_bytes` and without `max_sessions` it finds the most sessions.
    pub fn estimate(&self, model: &Model, context: u64) -> Result<CacheEstimate> {
        let raw = self.complete();
        get!(CacheEstimate from lckv_cache_estimate_report:
            lckv_cache_estimate(model.raw(), &raw, context))
    }

    fn complete(&self) -> sys::lckv_cache_options {
        let mut raw = self.raw;
        raw.pool = self.pool.as_ref().map_or(ptr::null_mut(), Pool::raw);
        raw
    }
}

impl CacheHandle {
    pub(crate) fn raw(&self) -> *mut sys::lckv_cache {
        self.raw.as_ptr()
    }

    pub(crate) fn n_cancels(&self) -> u64 {
        self.n_cancels.load(Ordering::Relaxed)
    }

    /// How the cache is doing: while a call works on it, before or after that call.
    pub fn stats(&self) -> Result<CacheStats> {
        get!(CacheStats from lckv_cache_stats: lckv_cache_get_stats(self.raw()))
    }

    /// Ends the call that works on the cache soon, with nothing changed: it fails with
    /// [`Status::Cancelled`]. A generation ends, and says so in its report.
    pub fn cancel(&self) {
        self.n_cancels.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the cache is valid.
        unsafe { sys::lckv_cache_cancel(self.raw()) }
    }
}

impl Clone for CacheHandle {
    fn clone(&self) -> Self {
        // SAFETY: the cache is valid; the clone owns the new reference.
        unsafe { sys::lckv_cache_retain(self.raw()) };
        Self {
            raw: self.raw,
            n_cancels: self.n_cancels.clone(),
        }
    }
}

impl Drop for CacheHandle {
    fn drop(&mut self) {
        // SAFETY: this is the one release of a reference that the handle owns.
        unsafe { sys::lckv_cache_release(self.raw()) }
    }
}

impl Cache {
    /// A cache with all defaults: room for 4096 tokens in at most 16 sessions.
    pub fn new(model: &Model) -> Result<Self> {
        CacheOptions::new().create(model)
    }

    /// The cache's model.
    pub fn model(&self) -> Model {
        // SAFETY: the cache is valid.
        unsafe { Model::of_cache(self.raw()) }
    }

    /// A handle for other threads.
    pub fn handle(&self) -> CacheHandle {
        self.handle.clone()
    }

    /// How the cache is doing.
    pub fn stats(&self) -> Result<CacheStats> {
        self.handle.stats()
    }

    /// A new, empty session.
    pub fn session(&self) -> Result<Session> {
        // SAFETY: the cache is valid; the session holds it.
        create(Session, |session| unsafe {
            sys::lckv_session_create(self.raw(), session)
        })
    }

    /// Appends tokens to a session and gives the logits after the last of them. If it fails, nothing
    /// was appended.
    ///
    /// This is an evaluation whose logits go to an array of this object: [`logits`](Self::logits)
    /// has none afterwards.
    pub fn append(&mut self, session: &mut Session, tokens: &[Token]) -> Result<Logits<'_>> {
        let mut logits = std::mem::take(&mut self.appended);
        logits.resize(self.n_vocab, 0.0);
        let result = self.evaluate(&mut [Item::new(session, tokens).logits_into(&mut logits)]);
        self.appended = logits;
        result?;
        Ok(Logits::new(&self.appended, self.n_vocab))
    }

    /// The logits that the last evaluation computed for a session and the cache still holds.
    ///
    /// They borrow the cache, which can compute again when they are no longer used. While another
    /// thread works on one of the cache's sessions (by [`Session::fork`], for one), this fails with
    /// [`Status::Busy`], also if calls wait, and can be asked again.
    pub fn logits<'a>(&'a self, session: &'a Session) -> Result<Logits<'a>> {
        self.check_owns(session)?;
        let (mut logits, mut n_rows) = (ptr::null(), 0);
        // SAFETY: the rows are valid until an evaluation on the cache succeeds. That needs the
        // cache mutably, which the borrow excludes.
        check(unsafe { sys::lckv_session_logits(session.raw(), &mut logits, &mut n_rows) })?;
        let numbers = unsafe { slice::from_raw_parts(logits, n_rows * self.n_vocab) };
        Ok(Logits::new(numbers, self.n_vocab))
    }

    /// Refuses a session of another cache, which nobody has borrowed.
    pub(crate) fn check_owns(&self, session: &Session) -> Result<()> {
        // SAFETY: the session is valid.
        if unsafe { sys::lckv_session_cache(session.raw()) } == self.raw() {
            return Ok(());
        }
        let message = "the session belongs to another cache";
        Err(Error::new(Status::InvalidArgument, message))
    }

    pub(crate) fn raw(&self) -> *mut sys::lckv_cache {
        self.handle.raw()
    }

    pub(crate) fn n_cancels(&self) -> u64 {
        self.handle.n_cancels()
    }
}
