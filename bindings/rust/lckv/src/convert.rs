//! Conversion of checkpoints to GGUF files.

use crate::callback::{self, Log, Progress};
use crate::constants::{ConvertInit, Dtype};
use crate::error::{c_path, c_text, check, Result};
use lckv_sys as sys;
use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;

/// How a checkpoint becomes a GGUF file: its types, its plan, its packing.
///
/// ```
/// # let input = concat!(env!("CARGO_MANIFEST_DIR"),
/// #     "/../../../examples/models/stories-lckv-q8_0.gguf");
/// # let output = std::env::temp_dir().join(format!("lckv-doc-{}.gguf", std::process::id()));
/// use lckv::{ConvertOptions, Dtype};
///
/// let report = ConvertOptions::new()
///     .dtype(Dtype::Q4_0)
///     .convert(input, &output)?;
/// assert!(report.file_bytes < 7_000_000);
/// # std::fs::remove_file(&output).unwrap();
/// # Ok::<(), lckv::Error>(())
/// ```
#[derive(Default)]
pub struct ConvertOptions<'a> {
    raw: sys::lckv_convert_options,
    plan: Option<String>,
    kernel_set: Option<String>,
    log: Option<Log<'a>>,
    progress: Option<Progress<'a>>,
}

record! {
    /// What a conversion wrote.
    ConvertReport from lckv_convert_report {
        /// Tensors.
        n_tensors: u64,
        /// Matrices in f16, which could not take their type; the log says why.
        n_kept_f16: u64,
        /// Bytes of the file.
        file_bytes: u64,
    }
}

impl<'a> ConvertOptions<'a> {
    /// All defaults: the plan and the types of the source.
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// The type of matrices; by default as the source has them.
        dtype: Dtype,
        /// Where the keys and values of source layers come from, with a plan of one's own.
        init: ConvertInit,
        /// Tokens that windowed layers attend to; by default what the source says.
        sliding_window: u32,
        /// Write matrices in the packed form of a kernel set: opening the file then maps them, and
        /// only lckv can read it.
        packed: bool,
        /// With Q4_K or Q5_K, the usual mixture (q4_k_m, q5_k_m).
        mixture: bool,
    }

    /// The plan of the new model; by default that of the source.
    #[must_use]
    pub fn plan(mut self, plan: &str) -> Self {
        self.plan = Some(plan.into());
        self
    }

    /// The kernel set to pack for; by default as for [`ModelOptions`](crate::ModelOptions).
    #[must_use]
    pub fn kernel_set(mut self, name: &str) -> Self {
        self.kernel_set = Some(name.into());
        self
    }

    /// Takes remarks, such as which tensors are not used.
    #[must_use]
    pub fn log(mut self, log: impl FnMut(&str) + 'a) -> Self {
        self.log = Some(Box::new(log));
        self
    }

    /// Is told how many bytes of how many have been written; `Break` cancels the conversion.
    #[must_use]
    pub fn progress(mut self, progress: impl FnMut(u64, u64) -> ControlFlow<()> + 'a) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    /// Converts. The output is replaced only when the whole file has been written.
    pub fn convert(
        mut self,
        input: impl AsRef<Path>,
        output: impl AsRef<Path>,
    ) -> Result<ConvertReport> {
        let (input, output) = (c_path(input.as_ref())?, c_path(output.as_ref())?);
        let plan = self.plan.map(c_text).transpose()?;
        let kernel_set = self.kernel_set.map(c_text).transpose()?;
        let mut raw = self.raw;
        raw.size = std::mem::size_of_val(&raw);
        if let Some(plan) = &plan {
            raw.plan = plan.as_ptr();
        }
        if let Some(name) = &kernel_set {
            raw.kernel_set = name.as_ptr();
        }
        (raw.log, raw.log_user) = callback::parts(&mut self.log, callback::log as _);
        (raw.progress, raw.progress_user) =
            callback::parts(&mut self.progress, callback::progress as _);
        let (input, output) = (input.as_ptr(), output.as_ptr());
        get!(ConvertReport from lckv_convert_report: lckv_convert(input, output, &raw))
    }
}

impl fmt::Debug for ConvertOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConvertOptions")
            .field("options", &self.raw)
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}
