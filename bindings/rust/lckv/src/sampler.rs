//! Samplers choose tokens from logits.

use crate::callback::guard;
use crate::error::{check, create, Result};
use crate::text::Token;
use lckv_sys as sys;
use std::fmt;
use std::ops::ControlFlow;
use std::os::raw::c_void;
use std::ptr::NonNull;
use std::slice;
use std::sync::Arc;

/// May change the logits before a token is chosen.
type Filter = Box<dyn Fn(&mut [f32]) -> ControlFlow<()> + Send + Sync>;

/// Chooses tokens from logits.
///
/// The same options, accepted tokens and logits give the same token on every machine.
///
/// A sampler belongs to one thread at a time: it is [`Send`] and not [`Sync`].
///
/// ```compile_fail,E0277
/// fn share<T: Sync>(_: T) {}
/// share(lckv::Sampler::greedy());
/// ```
pub struct Sampler {
    raw: NonNull<sys::lckv_sampler>,
    /// What `callback_user` of the options points to. Clones of the sampler share it.
    filter: Option<Arc<Filter>>,
}

// SAFETY: a sampler may move from thread to thread, but not be used by two at once. Its closure may
// be shared.
unsafe impl Send for Sampler {}

/// How tokens are chosen. The default is greedy: always the most likely one.
///
/// ```
/// use lckv::SamplerOptions;
///
/// let mut sampler = SamplerOptions::new().temperature(0.8).top_p(0.95).seed(7).create()?;
/// let logits = [0.0, 2.0, 1.0];
/// let token = sampler.sample(&logits)?;
/// sampler.accept(token)?;
///
/// // A closure may change the logits. A grammar bans tokens so.
/// let mut only_even = SamplerOptions::new()
///     .filter(|logits| {
///         logits.iter_mut().skip(1).step_by(2).for_each(|l| *l = f32::NEG_INFINITY);
///         std::ops::ControlFlow::Continue(())
///     })
///     .create()?;
/// assert_eq!(only_even.sample(&logits)?, 2);
/// # Ok::<(), lckv::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct SamplerOptions {
    raw: sys::lckv_sampler_options,
    bias: Vec<sys::lckv_logit_bias>,
    filter: Option<Arc<Filter>>,
}

// SAFETY: the pointers in `raw` are NULL; they are set in a copy when the options are used.
unsafe impl Send for SamplerOptions {}
unsafe impl Sync for SamplerOptions {}

impl SamplerOptions {
    /// Greedy: always the most likely token, and of equals the lower id.
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// 0: greedy.
        temperature: f32,
        /// Keep the k most likely tokens; 0: all.
        top_k: u32,
        /// Keep the fewest most likely tokens whose probabilities reach this sum; 0 or 1: all.
        top_p: f32,
        /// Keep tokens of at least this share of the top probability; 0: all.
        min_p: f32,
        /// Divides positive logits of seen tokens and multiplies others; 1 by default.
        repetition_penalty: f32,
        /// Subtracted once for each time that the token was seen.
        frequency_penalty: f32,
        /// Subtracted once if the token was seen.
        presence_penalty: f32,
        /// How many of the last accepted tokens count as seen; 64 by default.
        penalty_window: u32,
        /// The seed of the random numbers.
        seed: u64,
    }

    /// Adds to the logit of a token; [`f32::NEG_INFINITY`] bans it.
    #[must_use]
    pub fn bias(mut self, token: Token, bias: f32) -> Self {
        self.bias.push(sys::lckv_logit_bias { token, bias });
        self
    }

    /// A closure that may change the logits before a token is chosen; `Break` cancels the call.
    ///
    /// Clones of a sampler share the closure, so it is not `FnMut`, and may be called from the
    /// threads of several samplers.
    #[must_use]
    pub fn filter(
        mut self,
        filter: impl Fn(&mut [f32]) -> ControlFlow<()> + Send + Sync + 'static,
    ) -> Self {
        self.filter = Some(Arc::new(Box::new(filter)));
        self
    }

    /// Makes the sampler.
    pub fn create(&self) -> Result<Sampler> {
        let mut raw = self.raw;
        raw.size = std::mem::size_of_val(&raw);
        if !self.bias.is_empty() {
            raw.logit_bias = self.bias.as_ptr();
            raw.n_logit_bias = self.bias.len();
        }
        if let Some(filter) = &self.filter {
            raw.callback = Some(call_filter);
            raw.callback_user = Arc::as_ptr(filter) as *mut c_void;
        }
        let filter = self.filter.clone();
        // SAFETY: the options are complete, and the sampler holds what they point to.
        create(
            |raw| Sampler { raw, filter },
            |sampler| unsafe { sys::lckv_sampler_create(&raw, sampler) },
        )
    }
}

/// `user` is a `Filter` that the sampler holds.
unsafe extern "C" fn call_filter(user: *mut c_void, logits: *mut f32, n_vocab: usize) -> i32 {
    let filter = &*user.cast::<Filter>();
    guard(|| filter(slice::from_raw_parts_mut(logits, n_vocab)))
}

impl Sampler {
    /// Always the most likely token.
    pub fn greedy() -> Result<Self> {
        SamplerOptions::new().create()
    }

    /// Chooses a token from a row of logits, which stays as it is. Does not accept the token.
    pub fn sample(&mut self, logits: &[f32]) -> Result<Token> {
        let mut token = 0;
        // SAFETY: the logits are as many as the call is told.
        check(unsafe {
            sys::lckv_sampler_sample(self.raw(), logits.as_ptr(), logits.len(), &mut token)
        })?;
        Ok(token)
    }

    /// Tells the sampler that a token was appended: penalties count it.
    pub fn accept(&mut self, token: Token) -> Result<()> {
        // SAFETY: the sampler is valid.
        check(unsafe { sys::lckv_sampler_accept(self.raw(), token) })
    }

    /// Goes back to the state after creation.
    pub fn reset(&mut self) -> Result<()> {
        // SAFETY: the sampler is valid.
        check(unsafe { sys::lckv_sampler_reset(self.raw()) })
    }

    /// A second sampler in the same state: both give the same tokens for the same logits.
    pub fn try_clone(&self) -> Result<Self> {
        let filter = self.filter.clone();
        // SAFETY: the sampler is valid, and the clone holds the closure that it calls.
        create(
            |raw| Self { raw, filter },
            |clone| unsafe { sys::lckv_sampler_clone(self.raw(), clone) },
        )
    }

    pub(crate) fn raw(&self) -> *mut sys::lckv_sampler {
        self.raw.as_ptr()
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        // SAFETY: this is the one release of a reference that the sampler owns.
        unsafe { sys::lckv_sampler_release(self.raw()) }
    }
}

impl fmt::Debug for Sampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sampler").field(&self.raw).finish()
    }
}

impl fmt::Debug for SamplerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SamplerOptions")
            .field("options", &self.raw)
            .field("bias", &self.bias)
            .finish_non_exhaustive()
    }
}

/// log(softmax(logits)).
///
/// ```
/// let log_probabilities = lckv::log_probabilities(&[1.0, 1.0])?;
/// assert!((log_probabilities[0] - 0.5f32.ln()).abs() < 1e-6);
/// # Ok::<(), lckv::Error>(())
/// ```
pub fn log_probabilities(logits: &[f32]) -> Result<Vec<f32>> {
    let mut result = vec![0.0; logits.len()];
    // SAFETY: both arrays are as long as the call is told.
    check(unsafe {
        sys::lckv_log_probabilities(logits.as_ptr(), logits.len(), result.as_mut_ptr())
    })?;
    Ok(result)
}
