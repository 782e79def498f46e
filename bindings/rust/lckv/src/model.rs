//! Models: weights, a layer plan, a tokenizer.

use crate::callback::{self, Log, Progress};
use crate::constants::{Gemm, Precision, Special, TokenType, Weights};
use crate::error::{c_path, c_text, check, create, fill, lossy, Error, Result};
use crate::library::Pool;
use crate::plan::Plan;
use crate::raw::FromRaw;
use crate::text::Token;
use crate::Status;
use lckv_sys as sys;
use std::borrow::Cow;
use std::ffi::{CStr, CString};
use std::ops::ControlFlow;
use std::path::Path;
use std::ptr::NonNull;

handle! {
    /// Weights, a layer plan and a tokenizer.
    ///
    /// A model does not change after it has been opened. Clones share it, and any number of threads
    /// may use it at once.
    ///
    /// ```
    /// # let path = concat!(env!("CARGO_MANIFEST_DIR"),
    /// #     "/../../../examples/models/stories-lckv-q8_0.gguf");
    /// let model = lckv::Model::open(path)?;
    /// let tokens = model.tokenize("Once upon a time")?;
    /// assert_eq!(model.text(&tokens)?, "Once upon a time");
    /// println!("{} has {} layers", model.info()?.name, model.info()?.n_layers);
    /// # Ok::<(), lckv::Error>(())
    /// ```
    Model(lckv_model), lckv_model_release, lckv_model_retain
}

record! {
    /// What a model is.
    ModelInfo from lckv_model_info {
        /// Layers.
        n_layers: u32,
        /// Tokens of the vocabulary, and logits of a row.
        n_vocab: u32,
        /// Numbers of a hidden state.
        hidden_size: u32,
        /// The width of the feed-forward part; the largest, if layers differ.
        intermediate_size: u32,
        /// Attention heads.
        n_heads: u32,
        /// Heads of keys and values; the most, if layers differ.
        n_kv_heads: u32,
        /// Numbers of a head; the most, if layers differ.
        head_dim: u32,
        /// The tokens that the model was trained for; not a limit.
        context_length: u32,
        /// Tokens that windowed layers attend to; 0 if the plan has none.
        sliding_window: u32,
        /// The model's own numbers for iterated encoding.
        forward_passes: u32,
        /// The model's own numbers for iterated encoding.
        backward_passes: u32,
        /// The model's configuration asks for sequential encoding.
        use_sequential: bool,
        /// The model's configuration asks that no layer reads its own position.
        force_nodiag: bool,
        /// Texts can become tokens, and tokens texts.
        has_tokenizer: bool,
        /// The output matrix is the token embedding.
        is_tied: bool,
        /// In what precision it computes.
        precision: Precision,
        /// The base of the rotation.
        rope_theta: f32,
        /// What norms add to the mean of the squares.
        rms_norm_eps: f32,
        /// Elements of the tensors that the model uses.
        n_parameters: u64,
        /// Bytes of the packed weights.
        weight_bytes: u64,
        /// `llama`, `lckv-llama`, ...
        architecture: String,
        /// The name in the file, or that of the directory; it may be empty.
        name: String,
        /// The kernel set in use.
        kernel_set: String,
        /// The types of the weights, most bytes first: `q4_1, q8_0, f32`.
        weight_dtypes: String,
        /// The weights lie in the file, which is mapped.
        is_mapped: bool,
        /// The file is packed for another kernel set, so opening takes longer.
        is_repacked: bool,
        /// Bytes of weights that decoding a token reads.
        decode_bytes: u64,
        /// Of `weight_bytes`: those that are never read from the file again.
        resident_bytes: u64,
        /// The memory in which weights are streamed; 0: they are not.
        ring_bytes: u64,
        /// For models without weights: why an open with weights would fail.
        problem: Option<String>,
        /// False after an open with [`Weights::None`].
        has_weights: bool,
        /// The table of the layers' own embeddings stays in the file.
        is_table_mapped: bool,
        /// Of `weight_bytes`: that table.
        table_bytes: u64,
    }
}

/// The keys and values of one token in one layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KvShape {
    /// Heads of keys, and as many of values.
    pub n_kv_heads: u32,
    /// Numbers of a head.
    pub head_dim: u32,
}

impl FromRaw<sys::lckv_kv_shape> for KvShape {
    fn from_raw(raw: sys::lckv_kv_shape) -> Self {
        Self {
            n_kv_heads: raw.n_kv_heads,
            head_dim: raw.head_dim,
        }
    }
}

record! {
    /// What may differ from layer to layer.
    ModelLayer from lckv_model_layer {
        /// The keys and values that the layer writes and reads.
        kv_shape: KvShape,
        /// The width of the feed-forward part.
        intermediate_size: u32,
    }
}

/// How a model is opened.
///
/// ```
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"),
/// #     "/../../../examples/models/stories-lckv-q8_0.gguf");
/// use lckv::{ModelOptions, Precision};
///
/// let model = ModelOptions::new()
///     .precision(Precision::Full)
///     .log(|remark| eprintln!("{remark}"))
///     .open(path)?;
/// # Ok::<(), lckv::Error>(())
/// ```
#[derive(Default)]
pub struct ModelOptions<'a> {
    raw: sys::lckv_model_options,
    kernel_set: Option<String>,
    pool: Option<Pool>,
    log: Option<Log<'a>>,
    progress: Option<Progress<'a>>,
}

impl<'a> ModelOptions<'a> {
    /// All defaults.
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// In what precision the model computes; fast by default.
        precision: Precision,
        /// What multiplies the matrices of prompts.
        gemm: Gemm,
        /// Tokens that windowed layers attend to, the current one included; by default what the
        /// file says.
        sliding_window: u32,
        /// Where the weights are.
        weights: Weights,
        /// With [`Weights::Streamed`]: memory for weights, at least two layers; by default three.
        stream_bytes: u64,
        /// Of models whose rotation depends on the length of the text: for how many tokens it is.
        rope_context: u64,
    }

    /// The kernel set; by default that of the environment variable `LCKV_CPU`, else the fastest.
    #[must_use]
    pub fn kernel_set(mut self, name: &str) -> Self {
        self.kernel_set = Some(name.into());
        self
    }

    /// Threads that read the weights; by default some that end with the open.
    #[must_use]
    pub fn pool(mut self, pool: &Pool) -> Self {
        self.pool = Some(pool.clone());
        self
    }

    /// Takes remarks, such as which tensors are not used. They are no errors.
    #[must_use]
    pub fn log(mut self, log: impl FnMut(&str) + 'a) -> Self {
        self.log = Some(Box::new(log));
        self
    }

    /// Is told how many bytes of how many have been read; `Break` cancels the open.
    #[must_use]
    pub fn progress(mut self, progress: impl FnMut(u64, u64) -> ControlFlow<()> + 'a) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    /// Opens a GGUF file or a Hugging Face directory.
    ///
    /// A file that another process truncates meanwhile may end this process (SIGBUS).
    pub fn open(self, path: impl AsRef<Path>) -> Result<Model> {
        let path = c_path(path.as_ref())?;
        self.make(|options, model| {
            // SAFETY: the path ends with a NUL, and the options are complete.
            unsafe { sys::lckv_model_open(path.as_ptr(), options, model) }
        })
    }

    /// Opens the bytes of a GGUF file, which are not needed afterwards.
    pub fn open_bytes(self, bytes: &[u8]) -> Result<Model> {
        self.make(|options, model| {
            // SAFETY: the bytes are as long as the call is told, and the options are complete.
            unsafe {
                sys::lckv_model_open_memory(bytes.as_ptr().cast(), bytes.len(), options, model)
            }
        })
    }

    fn make(
        mut self,
        open: impl FnOnce(*const sys::lckv_model_options, *mut *mut sys::lckv_model) -> i32,
    ) -> Result<Model> {
        let kernel_set: Option<CString> = self.kernel_set.map(c_text).transpose()?;
        let mut raw = self.raw;
        raw.size = std::mem::size_of_val(&raw);
        if let Some(name) = &kernel_set {
            raw.kernel_set = name.as_ptr();
        }
        if let Some(pool) = &self.pool {
            raw.pool = pool.raw();
        }
        (raw.log, raw.log_user) = callback::parts(&mut self.log, callback::log as _);
        (raw.progress, raw.progress_user) =
            callback::parts(&mut self.progress, callback::progress as _);
        create(Model, |model| open(&raw, model))
    }
}

impl std::fmt::Debug for ModelOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let options = &self.raw;
        f.debug_struct("ModelOptions")
            .field("options", options)
            .finish_non_exhaustive()
    }
}

impl Model {
    /// Opens a GGUF file (of a split model the first part) or a Hugging Face directory, with all
    /// defaults.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        ModelOptions::new().open(path)
    }

    /// A handle of a cache's model.
    pub(crate) unsafe fn of_cache(cache: *const sys::lckv_cache) -> Self {
        let model = sys::lckv_cache_model(cache) as *mut sys::lckv_model;
        sys::lckv_model_retain(model);
        Self(NonNull::new(model).expect("a cache has a model"))
    }

    /// What the model is.
    pub fn info(&self) -> Result<ModelInfo> {
        get!(ModelInfo from lckv_model_info: lckv_model_get_info(self.raw()))
    }

    /// The shape of a layer; the plan tells what it reads.
    pub fn layer(&self, layer: u32) -> Result<ModelLayer> {
        get!(ModelLayer from lckv_model_layer: lckv_model_get_layer(self.raw(), layer))
    }

    /// The model's plan. It fails only if the model was opened with [`Weights::None`] and could not
    /// be understood.
    pub fn plan(&self) -> Result<Plan> {
        // SAFETY: the plan lives as long as the model; the new handle holds it beyond that.
        let plan = unsafe { sys::lckv_model_plan(self.raw()) };
        let plan = NonNull::new(plan as *mut _).ok_or_else(|| {
            Error::new(Status::Unsupported, "the model's plan was not understood")
        })?;
        unsafe { sys::lckv_plan_retain(plan.as_ptr()) };
        Ok(Plan(plan))
    }

    /// A number that tells models apart, for files of what was computed with one.
    pub fn fingerprint(&self) -> Result<u64> {
        let mut fingerprint = 0;
        // SAFETY: the model is valid.
        check(unsafe { sys::lckv_model_fingerprint(self.raw(), &mut fingerprint) })?;
        Ok(fingerprint)
    }

    /// A metadata value as text, an array as JSON. The key is one of [`metadata_keys`].
    ///
    /// [`metadata_keys`]: Self::metadata_keys
    pub fn metadata(&self, key: &str) -> Result<String> {
        let key = c_text(key)?;
        fill(256, |buffer: *mut u8, capacity, length| {
            // SAFETY: the key ends with a NUL; the buffer is as large as the call is told.
            unsafe {
                let buffer = buffer.cast();
                sys::lckv_model_metadata(self.raw(), key.as_ptr(), buffer, capacity, length)
            }
        })
        .map(lossy)
    }

    /// The keys of the model's metadata: `general.name`, ... or the members of config.json.
    pub fn metadata_keys(&self) -> impl Iterator<Item = Cow<'_, str>> {
        // SAFETY: past the end the key is NULL; the others live as long as the model.
        (0..)
            .map(|index| unsafe { sys::lckv_model_metadata_key(self.raw(), index) })
            .take_while(|key| !key.is_null())
            .map(|key| unsafe { CStr::from_ptr(key) }.to_string_lossy())
    }

    /// The id of a special token, if the model has it.
    pub fn special_token(&self, special: Special) -> Option<Token> {
        // SAFETY: the model is valid.
        let token = unsafe { sys::lckv_model_special_token(self.raw(), special.into()) };
        (token >= 0).then_some(token)
    }

    /// Whether this token ends a generation.
    pub fn is_end_token(&self, token: Token) -> bool {
        // SAFETY: the model is valid.
        unsafe { sys::lckv_model_is_end_token(self.raw(), token) != 0 }
    }

    /// A token's bytes, which live as long as the model, and its type.
    pub fn token(&self, token: Token) -> Result<(&[u8], TokenType)> {
        let (mut text, mut length, mut kind) = (std::ptr::null(), 0, 0);
        // SAFETY: the model is valid, and the bytes live as long as it.
        check(unsafe {
            sys::lckv_model_token(self.raw(), token, &mut text, &mut length, &mut kind)
        })?;
        let bytes = unsafe { callback::bytes(text, length) };
        Ok((bytes, FromRaw::from_raw(kind)))
    }
}
