//! Generation: a prompt goes in, text comes out.

use crate::cache::Cache;
use crate::callback::{self, guard};
use crate::constants::{Prefill, Status, StopReason};
use crate::error::{check, lossy, Error, Result};
use crate::sampler::Sampler;
use crate::session::Session;
use crate::stops::Stops;
use crate::text::{DetokenizeFlags, Token};
use lckv_sys as sys;
use std::fmt;
use std::iter::FusedIterator;
use std::ops::ControlFlow;
use std::os::raw::{c_char, c_void};

/// How text is generated.
#[derive(Default)]
pub struct GenerateOptions<'a> {
    raw: sys::lckv_generate_options,
    stops: Vec<Vec<u8>>,
    sampler: Option<&'a mut Sampler>,
}

impl<'a> GenerateOptions<'a> {
    /// At most 256 tokens, always the most likely ones.
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// The most tokens; 256 by default.
        max_tokens: u64,
        /// Go on after an end token.
        ignore_end: bool,
        /// How the prompt is encoded.
        prefill: Prefill,
        /// With [`Prefill::Auto`]: as in [`EvaluateOptions`](crate::EvaluateOptions).
        window: u32,
        /// With [`Prefill::Auto`]: as in [`EvaluateOptions`](crate::EvaluateOptions).
        tolerance: f32,
    }

    /// The text ends before this string; there may be several.
    #[must_use]
    pub fn stop(mut self, stop: impl AsRef<[u8]>) -> Self {
        self.stops.push(stop.as_ref().to_vec());
        self
    }

    /// Chooses the tokens; without a sampler, the most likely one is taken.
    #[must_use]
    pub fn sampler(mut self, sampler: &'a mut Sampler) -> Self {
        self.sampler = Some(sampler);
        self
    }
}

impl fmt::Debug for GenerateOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GenerateOptions")
            .field("options", &self.raw)
            .field("stops", &self.stops)
            .field("sampler", &self.sampler)
            .finish()
    }
}

/// A token, and the text that is complete with it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Piece {
    /// The token; none for the text that is left at the end.
    pub token: Option<Token>,
    /// Whole characters, perhaps none. Text that may begin a stop string is held back. Bytes that
    /// are not UTF-8 became U+FFFD.
    pub text: String,
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

record! {
    /// How a generation went.
    GenerateReport from lckv_generate_report {
        /// Why it ended.
        reason: StopReason,
        /// Tokens of the prompt; 0 if it was cancelled before they were encoded.
        n_prompt: u64,
        /// Tokens that were generated, the end token included.
        n_generated: u64,
        /// The time for the prompt.
        prompt_seconds: f64,
        /// The time for the other tokens.
        decode_seconds: f64,
        /// Rows that the prompt took, as in [`EvaluateReport`](crate::EvaluateReport).
        n_prompt_rows: u64,
        /// Passes that the prompt took.
        n_prompt_passes: u64,
        /// The window of the prompt.
        window: u32,
        /// The tolerance of the prompt.
        tolerance: f32,
        /// The residual of the prompt.
        residual: f32,
    }
}

/// A generation, token by token: an iterator of pieces of text.
///
/// Dropping it ends the generation, and so does a failure or a panic of the sampler's filter. What
/// has been appended to the session by then stays there.
#[derive(Debug)]
pub struct Generation<'a> {
    cache: &'a mut Cache,
    session: &'a mut Session,
    options: GenerateOptions<'a>,
    /// Without a sampler in the options, a greedy one.
    greedy: Option<Sampler>,
    stops: Stops,
    /// What has not been appended yet: the prompt, then the last token.
    next: Vec<Token>,
    n_cancels: u64,
    report: sys::lckv_generate_report,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Running,
    /// The text that is left is still to be given.
    Ending,
    Ended,
    Failed,
}

impl Cache {
    /// Appends a prompt to a session and generates text.
    ///
    /// The session then holds the prompt and every generated token but the last.
    ///
    /// ```
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"),
    /// #     "/../../../examples/models/stories-lckv-q8_0.gguf");
    /// # let model = lckv::Model::open(path)?;
    /// use lckv::{GenerateOptions, SamplerOptions};
    ///
    /// let mut cache = lckv::Cache::new(&model)?;
    /// let mut session = cache.session()?;
    /// let mut sampler = SamplerOptions::new().temperature(0.7).seed(3).create()?;
    /// let options = GenerateOptions::new().max_tokens(16).sampler(&mut sampler);
    /// for piece in cache.generate(&mut session, &model.tokenize("One day")?, options) {
    ///     print!("{}", piece?);
    /// }
    /// # Ok::<(), lckv::Error>(())
    /// ```
    pub fn generate<'a>(
        &'a mut self,
        session: &'a mut Session,
        prompt: &[Token],
        mut options: GenerateOptions<'a>,
    ) -> Generation<'a> {
        Generation {
            n_cancels: self.n_cancels(),
            cache: self,
            session,
            stops: Stops::new(std::mem::take(&mut options.stops)),
            options,
            greedy: None,
            next: prompt.to_vec(),
            report: sized!(lckv_generate_report),
            state: State::Running,
        }
    }

    /// Generates text in one call of the library, which gives each piece to a closure; `Break` ends
    /// the generation, which is no failure, and the closure is then not called again. What has been
    /// appended to the session by then stays there.
    ///
    /// At the end the closure is called once more, without a token, for the text that is left.
    pub fn generate_with(
        &mut self,
        session: &mut Session,
        prompt: &[Token],
        options: GenerateOptions<'_>,
        mut take: impl FnMut(Piece) -> ControlFlow<()>,
    ) -> Result<GenerateReport> {
        self.check_owns(session)?;
        let stops = options.stops.iter().map(|stop| sys::lckv_string {
            text: stop.as_ptr().cast(),
            length: stop.len(),
        });
        let stops: Vec<_> = stops.collect();
        let mut take: Take<'_> = &mut take;
        let mut raw = options.raw;
        raw.stops = stops.as_ptr();
        raw.n_stops = stops.len();
        raw.callback = Some(give);
        raw.callback_user = (&mut take as *mut Take<'_>).cast();
        let report = generate(session, options.sampler.as_deref(), prompt, raw)?;
        Ok(GenerateReport::from_raw(&report))
    }
}

/// Takes a piece, and says whether to go on.
type Take<'a> = &'a mut dyn FnMut(Piece) -> ControlFlow<()>;

/// `user` is a `Take`.
unsafe extern "C" fn give(
    user: *mut c_void,
    token: Token,
    text: *const c_char,
    length: usize,
) -> i32 {
    let take = &mut *user.cast::<Take<'_>>();
    let piece = Piece {
        token: (token >= 0).then_some(token),
        text: lossy(callback::bytes(text, length).to_vec()),
    };
    guard(|| take(piece))
}

/// Calls lckv_generate. The session's cache is borrowed mutably by the caller.
fn generate(
    session: &mut Session,
    sampler: Option<&Sampler>,
    prompt: &[Token],
    mut options: sys::lckv_generate_options,
) -> Result<sys::lckv_generate_report> {
    options.size = std::mem::size_of_val(&options);
    let mut report = sized!(lckv_generate_report);
    let sampler = sampler.map_or(std::ptr::null_mut(), Sampler::raw);
    // SAFETY: options and prompt are complete, and what they point to outlives the call.
    check(unsafe {
        let (start, count) = (prompt.as_ptr(), prompt.len());
        sys::lckv_generate(session.raw(), sampler, start, count, &options, &mut report)
    })?;
    Ok(report)
}

/// The token and the bytes that a call for one token gave.
#[derive(Default)]
struct Given {
    token: Token,
    bytes: Vec<u8>,
}

/// `user` is a `Given`.
unsafe extern "C" fn keep(
    user: *mut c_void,
    token: Token,
    text: *const c_char,
    length: usize,
) -> i32 {
    let given = &mut *user.cast::<Given>();
    if token >= 0 {
        given.token = token;
    }
    given.bytes.extend_from_slice(callback::bytes(text, length));
    0
}

impl Generation<'_> {
    /// How the generation went; none before it has ended, or if it failed.
    pub fn report(&self) -> Option<GenerateReport> {
        let is_over = matches!(self.state, State::Ending | State::Ended);
        is_over.then(|| GenerateReport::from_raw(&self.report))
    }

    /// Generates all of it, and gives the text.
    pub fn into_text(self) -> Result<String> {
        self.map(|piece| Ok(piece?.text)).collect()
    }

    fn end(&mut self, reason: sys::lckv_stop_reason) {
        if self.state == State::Running {
            self.report.reason = reason;
            self.state = State::Ending;
        }
    }

    /// Appends what comes next and chooses a token, if nothing ends the generation.
    ///
    /// This is a call for one token, whose text is whole with what is left at its end. So the
    /// library decides about the sampler, end tokens, and the space in front of the first word.
    fn step(&mut self) -> Result<Option<Piece>> {
        let is_prompt = self.report.n_prompt == 0;
        if is_prompt {
            self.cache.check_owns(self.session)?;
            self.check_stops()?;
        }
        if self.n_cancels != self.cache.n_cancels() {
            self.end(sys::LCKV_STOP_CANCELLED);
            return Ok(None);
        }
        let mut given = Given::default();
        let mut raw = self.options.raw;
        if !is_prompt {
            // These are about prompts.
            (raw.prefill, raw.window, raw.tolerance) = (sys::LCKV_PREFILL_AUTO, 0, 0.0);
        }
        raw.max_tokens = 1;
        raw.callback = Some(keep);
        raw.callback_user = (&mut given as *mut Given).cast();
        let sampler = match &self.options.sampler {
            Some(sampler) => &**sampler,
            None => greedy(&mut self.greedy)?,
        };
        // If the sampler's filter panics, `next` may have been appended, and must not be again.
        self.state = State::Failed;
        let result = generate(self.session, Some(sampler), &self.next, raw);
        self.state = State::Running;
        let report = match result {
            Err(error) if !is_prompt && is_full(&error) => {
                self.end(sys::LCKV_STOP_FULL);
                return Ok(None);
            }
            result => result?,
        };
        if is_prompt {
            self.report = report;
        } else {
            self.report.n_generated += report.n_generated;
            self.report.decode_seconds += report.prompt_seconds + report.decode_seconds;
        }
        if report.n_generated == 0 {
            self.end(report.reason);
            return Ok(None);
        }
        self.next.clear();
        self.next.push(given.token);
        if report.reason != sys::LCKV_STOP_LENGTH {
            self.end(report.reason);
        }
        let text = lossy(self.stops.push(&given.bytes));
        if self.stops.found() {
            self.end(sys::LCKV_STOP_STRING);
        }
        if self.report.n_generated == self.max_tokens() {
            self.end(sys::LCKV_STOP_LENGTH);
        }
        let token = Some(given.token);
        Ok(Some(Piece { token, text }))
    }

    fn max_tokens(&self) -> u64 {
        match self.options.raw.max_tokens {
            0 => 256,
            max_tokens => max_tokens,
        }
    }

    /// Stop strings need a tokenizer, and at least a byte each.
    fn check_stops(&self) -> Result<()> {
        if self.stops.is_empty() {
            return Ok(());
        }
        if self.stops.has_empty_string() {
            return Err(Error::new(
                Status::InvalidArgument,
                "a stop string is empty",
            ));
        }
        let flags = DetokenizeFlags::default();
        self.cache.model().detokenize(&[], flags).map(drop)
    }
}

fn greedy(sampler: &mut Option<Sampler>) -> Result<&Sampler> {
    if sampler.is_none() {
        *sampler = Some(Sampler::greedy()?);
    }
    Ok(sampler.as_ref().expect("it was just made"))
}

/// Whether a single token could not be appended because there is no room for it: in the cache, or
/// in the lengths for which the model's rotation is defined.
fn is_full(error: &Error) -> bool {
    matches!(error.status(), Status::CacheFull | Status::Unsupported)
}

impl Iterator for Generation<'_> {
    type Item = Result<Piece>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == State::Running {
            match self.step() {
                Ok(Some(piece)) => return Some(Ok(piece)),
                Ok(None) => {}
                Err(error) => {
                    self.state = State::Failed;
                    return Some(Err(error));
                }
            }
        }
        if self.state != State::Ending {
            return None;
        }
        self.state = State::Ended;
        let text = lossy(self.stops.flush());
        (!text.is_empty()).then_some(Ok(Piece { token: None, text }))
    }
}

impl FusedIterator for Generation<'_> {}
