//! Evaluation: appending tokens to sessions, many of them in one call.

use crate::cache::Cache;
use crate::callback::{self, Progress};
use crate::constants::Prefill;
use crate::error::{check, Result};
use crate::session::Session;
use crate::text::Token;
use lckv_sys as sys;
use std::fmt;
use std::ops::{ControlFlow, Deref};

/// For which of its new tokens an item wants logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Want {
    /// None.
    Nothing,
    /// The last.
    Last,
    /// All.
    All,
}

/// A session and the tokens to append to it.
///
/// An item wants the logits after its last token, and the cache holds them, unless it says
/// otherwise.
#[derive(Debug)]
pub struct Item<'a> {
    session: &'a mut Session,
    tokens: &'a [Token],
    want: u32,
    hidden_want: u32,
    logits: Option<&'a mut [f32]>,
    hidden: Option<&'a mut [f32]>,
}

impl<'a> Item<'a> {
    /// Appends tokens to a session: one to decode, many for a prompt.
    pub fn new(session: &'a mut Session, tokens: &'a [Token]) -> Self {
        Self {
            session,
            tokens,
            want: sys::LCKV_WANT_LAST,
            hidden_want: 0,
            logits: None,
            hidden: None,
        }
    }

    /// For which tokens logits are computed.
    #[must_use]
    pub fn want(mut self, want: Want) -> Self {
        self.want = match want {
            Want::Nothing => sys::LCKV_WANT_NOTHING,
            Want::Last => sys::LCKV_WANT_LAST,
            Want::All => sys::LCKV_WANT_ALL,
        };
        self
    }

    /// Writes the logits to an array `[rows, n_vocab]`; the cache then does not hold them.
    #[must_use]
    pub fn logits_into(mut self, logits: &'a mut [f32]) -> Self {
        self.logits = Some(logits);
        self
    }

    /// Writes the hidden states after the final norm to an array `[rows, hidden_size]`: at the
    /// positions whose logits are wanted, or if none are, at the last one.
    #[must_use]
    pub fn hidden_into(mut self, hidden: &'a mut [f32]) -> Self {
        self.hidden_want = sys::LCKV_WANT_HIDDEN;
        self.hidden = Some(hidden);
        self
    }

    /// The same at every new position, whatever logits are wanted.
    #[must_use]
    pub fn all_hidden_into(mut self, hidden: &'a mut [f32]) -> Self {
        self.hidden_want = sys::LCKV_WANT_HIDDEN_ALL;
        self.hidden = Some(hidden);
        self
    }

    fn raw(&mut self) -> sys::lckv_item {
        let mut raw = sys::lckv_item {
            session: self.session.raw(),
            tokens: self.tokens.as_ptr(),
            n_tokens: self.tokens.len(),
            want: self.want | self.hidden_want,
            ..Default::default()
        };
        if let Some(logits) = &mut self.logits {
            raw.logits = logits.as_mut_ptr();
            raw.logits_capacity = logits.len();
        }
        if let Some(hidden) = &mut self.hidden {
            raw.hidden = hidden.as_mut_ptr();
            raw.hidden_capacity = hidden.len();
        }
        raw
    }
}

/// How an evaluation encodes prompts, and who is told of its progress.
#[derive(Default)]
pub struct EvaluateOptions<'a> {
    raw: sys::lckv_evaluate_options,
    progress: Option<Progress<'a>>,
}

impl<'a> EvaluateOptions<'a> {
    /// All defaults.
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// How the prompts of plans with upward layers are encoded.
        prefill: Prefill,
        /// With [`Prefill::Iterated`]: passes forward, at most 65536; by default the model's own.
        forward_passes: u32,
        /// With [`Prefill::Iterated`]: passes backward.
        backward_passes: u32,
        /// With [`Prefill::Auto`]: the tokens that go through cyclic layers together; by default
        /// the library chooses.
        window: u32,
        /// With [`Prefill::Auto`]: a token leaves the window when its keys and values changed by
        /// less than this in the last pass, relatively.
        tolerance: f32,
    }

    /// Is told how many tokens of how many are done; `Break` cancels the call.
    #[must_use]
    pub fn progress(mut self, progress: impl FnMut(u64, u64) -> ControlFlow<()> + 'a) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }
}

impl fmt::Debug for EvaluateOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EvaluateOptions")
            .field("options", &self.raw)
            .finish_non_exhaustive()
    }
}

record! {
    /// What an evaluation did, or why it failed.
    EvaluateReport from lckv_evaluate_report {
        /// The index of the item that made the call fail.
        failed_item: Option<usize>,
        /// The most new pages that all items need at one time.
        pages_needed: u64,
        /// The free pages before the call.
        pages_free: u64,
        /// New tokens of all items.
        n_tokens: u64,
        /// Rows sent through the layers: one for each token and each pass that it was in.
        n_rows: u64,
        /// Passes over the weights.
        n_passes: u64,
        /// With [`Prefill::Auto`] and upward layers: the window, else 0.
        window: u32,
        /// With [`Prefill::Auto`] and upward layers: the tolerance, else 0.
        tolerance: f32,
        /// The largest of the last changes of tokens that left a window early.
        residual: f32,
        /// The time that the call took.
        seconds: f64,
    }
}

/// Rows of logits, float32 `[rows, n_vocab]`, which the cache holds while they are borrowed.
///
/// They are also one slice, of all rows.
#[derive(Clone, Copy, Debug)]
pub struct Logits<'a> {
    numbers: &'a [f32],
    n_vocab: usize,
}

impl<'a> Logits<'a> {
    pub(crate) fn new(numbers: &'a [f32], n_vocab: usize) -> Self {
        Self { numbers, n_vocab }
    }

    /// The rows, one for each token whose logits were wanted.
    pub fn rows(&self) -> std::slice::ChunksExact<'a, f32> {
        self.numbers.chunks_exact(self.n_vocab)
    }

    /// The last row.
    pub fn last(&self) -> &'a [f32] {
        &self.numbers[self.numbers.len() - self.n_vocab..]
    }
}

impl Deref for Logits<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        self.numbers
    }
}

impl Cache {
    /// Appends tokens to sessions, all of them in one batch, and computes what the items want.
    ///
    /// After a failure the sessions are as before, and so are the logits that the cache holds.
    /// [`Error::report`](crate::Error::report) then tells which item failed.
    ///
    /// ```
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"),
    /// #     "/../../../examples/models/stories-lckv-q8_0.gguf");
    /// # let model = lckv::Model::open(path)?;
    /// use lckv::{Item, Want};
    ///
    /// let mut cache = lckv::Cache::new(&model)?;
    /// let (mut one, mut two) = (cache.session()?, cache.session()?);
    /// let (hello, once) = (model.tokenize("Hello")?, model.tokenize("Once upon")?);
    /// cache.evaluate(&mut [
    ///     Item::new(&mut one, &hello),
    ///     Item::new(&mut two, &once).want(Want::All),
    /// ])?;
    /// assert_eq!(cache.logits(&one)?.rows().len(), 1);
    /// assert_eq!(cache.logits(&two)?.rows().len(), once.len());
    /// # Ok::<(), lckv::Error>(())
    /// ```
    pub fn evaluate(&mut self, items: &mut [Item<'_>]) -> Result<EvaluateReport> {
        self.evaluate_with(items, EvaluateOptions::new())
    }

    /// The same, with options.
    pub fn evaluate_with(
        &mut self,
        items: &mut [Item<'_>],
        options: EvaluateOptions<'_>,
    ) -> Result<EvaluateReport> {
        self.call(sys::lckv_evaluate, items, options)
    }

    /// Checks the same call and tells what it needs, but computes nothing.
    pub fn evaluate_cost(&self, items: &mut [Item<'_>]) -> Result<EvaluateReport> {
        self.call(sys::lckv_evaluate_cost, items, EvaluateOptions::new())
    }

    fn call(
        &self,
        function: Evaluate,
        items: &mut [Item<'_>],
        mut options: EvaluateOptions<'_>,
    ) -> Result<EvaluateReport> {
        let items: Vec<_> = items.iter_mut().map(Item::raw).collect();
        let mut raw = options.raw;
        raw.size = std::mem::size_of_val(&raw);
        (raw.progress, raw.progress_user) =
            callback::parts(&mut options.progress, callback::progress as _);
        let mut report = sized!(lckv_evaluate_report);
        let stride = std::mem::size_of::<sys::lckv_item>();
        // SAFETY: items and options are complete, and what they point to outlives the call.
        let status = unsafe {
            let (first, n_items) = (items.as_ptr(), items.len());
            function(self.raw(), first, stride, n_items, &raw, &mut report)
        };
        let report = EvaluateReport::from_raw(&report);
        match check(status) {
            Ok(()) => Ok(report),
            Err(error) => Err(error.with_report(report)),
        }
    }
}

/// lckv_evaluate and lckv_evaluate_cost.
type Evaluate = unsafe extern "C" fn(
    *mut sys::lckv_cache,
    *const sys::lckv_item,
    usize,
    usize,
    *const sys::lckv_evaluate_options,
    *mut sys::lckv_evaluate_report,
) -> sys::lckv_status;
