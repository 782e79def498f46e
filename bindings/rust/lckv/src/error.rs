//! Failures: a status, the library's message, and what else is known.

use crate::callback;
use crate::constants::Status;
use crate::evaluate::EvaluateReport;
use crate::raw::FromRaw;
use lckv_sys as sys;
use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::{self, NonNull};
use std::{fmt, io};

/// What a call of this crate returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call failed.
///
/// The message says what was wrong, where, and what was expected.
///
/// ```
/// let error = lckv::Plan::parse("0_1_9", 3).unwrap_err();
/// assert_eq!(error.status(), lckv::Status::BadPlan);
/// println!("{error}");
/// ```
pub struct Error(Box<Failure>);

struct Failure {
    status: Status,
    message: String,
    source: Option<io::Error>,
    report: Option<EvaluateReport>,
}

impl Error {
    /// The kind of failure.
    pub fn status(&self) -> Status {
        self.0.status
    }

    /// What was wrong, where, and what was expected.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// If an evaluation failed: which item made it fail, how many pages were needed and how many
    /// were free.
    pub fn report(&self) -> Option<&EvaluateReport> {
        self.0.report.as_ref()
    }

    pub(crate) fn new(status: Status, message: impl Into<String>) -> Self {
        Self(Box::new(Failure {
            status,
            message: message.into(),
            source: None,
            report: None,
        }))
    }

    /// The last failure on this thread.
    fn last(status: sys::lckv_status) -> Self {
        // SAFETY: the message is never NULL, and nothing fails before it has been copied.
        let message = unsafe { CStr::from_ptr(sys::lckv_last_error()) };
        Self::new(FromRaw::from_raw(status), message.to_string_lossy())
    }

    pub(crate) fn with_source(mut self, source: Option<io::Error>) -> Self {
        self.0.source = source;
        self
    }

    pub(crate) fn with_report(mut self, report: EvaluateReport) -> Self {
        self.0.report = Some(report);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Error");
        debug.field("status", &self.0.status);
        debug.field("message", &self.0.message);
        if let Some(source) = &self.0.source {
            debug.field("source", source);
        }
        if let Some(report) = &self.0.report {
            debug.field("report", report);
        }
        debug.finish()
    }
}

impl std::error::Error for Error {
    /// The failure of the reader or writer, if that is what made the call fail.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| source as _)
    }
}

/// Ends a call: goes on with the panic of a callback, if there was one, or returns its failure.
pub(crate) fn check(status: sys::lckv_status) -> Result<()> {
    callback::resume_panic();
    if status == sys::LCKV_OK {
        Ok(())
    } else {
        Err(Error::last(status))
    }
}

/// Makes a handle. It is wrapped before anything can unwind, so that it is always released.
pub(crate) fn create<Raw, Handle>(
    wrap: impl FnOnce(NonNull<Raw>) -> Handle,
    call: impl FnOnce(*mut *mut Raw) -> sys::lckv_status,
) -> Result<Handle> {
    let mut raw = ptr::null_mut();
    let status = call(&mut raw);
    let handle = NonNull::new(raw).map(wrap);
    check(status)?;
    handle.ok_or_else(|| Error::new(Status::Internal, "a call succeeded and gave no handle"))
}

/// Fills a vector by a call that tells how much room it needs; it gets room for `guess` at first.
pub(crate) fn fill<T>(
    guess: usize,
    mut call: impl FnMut(*mut T, usize, *mut usize) -> sys::lckv_status,
) -> Result<Vec<T>> {
    let mut buffer = Vec::with_capacity(guess);
    loop {
        let mut length = 0;
        let status = call(buffer.as_mut_ptr(), buffer.capacity(), &mut length);
        if status == sys::LCKV_BUFFER_TOO_SMALL && length >= buffer.capacity() {
            buffer.reserve_exact(length + 1); // texts end with a NUL, which the length leaves out
            continue;
        }
        check(status)?;
        // SAFETY: the call has written so many elements.
        unsafe { buffer.set_len(length) };
        return Ok(buffer);
    }
}

/// A text for a parameter that ends with a NUL.
pub(crate) fn c_text(text: impl Into<Vec<u8>>) -> Result<CString> {
    CString::new(text).map_err(|error| Error::new(Status::InvalidArgument, error.to_string()))
}

pub(crate) fn c_path(path: &Path) -> Result<CString> {
    c_text(path.as_os_str().as_bytes())
}

/// The text of bytes that are nearly always UTF-8.
pub(crate) fn lossy(bytes: Vec<u8>) -> String {
    match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    }
}
