//! Saving sessions as bytes, and making them again.

use crate::cache::Cache;
use crate::callback::{self, guard, Progress};
use crate::constants::Status;
use crate::error::{c_path, check, Error, Result};
use crate::session::Session;
use lckv_sys as sys;
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::os::raw::c_void;
use std::path::Path;
use std::ptr::NonNull;
use std::{fmt, slice};

/// How sessions are saved.
///
/// ```
/// # let path = concat!(env!("CARGO_MANIFEST_DIR"),
/// #     "/../../../examples/models/stories-lckv-q8_0.gguf");
/// # let model = lckv::Model::open(path)?;
/// use lckv::{RestoreOptions, SaveOptions};
///
/// let mut cache = lckv::Cache::new(&model)?;
/// let mut session = cache.session()?;
/// cache.append(&mut session, &model.tokenize("Once upon a time")?)?;
///
/// let mut bytes = Vec::new();
/// SaveOptions::new().note(b"a story").save(&[&session], &mut bytes)?;
///
/// let mut note = Vec::new();
/// let again = RestoreOptions::new()
///     .note(|piece| {
///         note.extend_from_slice(piece);
///         std::ops::ControlFlow::Continue(())
///     })
///     .restore(&cache, &mut &bytes[..])?;
/// assert_eq!(note, b"a story");
/// assert_eq!(again[0].tokens()?, session.tokens()?);
/// # Ok::<(), lckv::Error>(())
/// ```
#[derive(Default)]
pub struct SaveOptions<'a> {
    note: &'a [u8],
    progress: Option<Progress<'a>>,
}

impl<'a> SaveOptions<'a> {
    /// All defaults: no note.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes of the caller's own that are saved, too.
    #[must_use]
    pub fn note(mut self, note: &'a [u8]) -> Self {
        self.note = note;
        self
    }

    /// Is told how many bytes of how many are done; `Break` cancels the call.
    #[must_use]
    pub fn progress(mut self, progress: impl FnMut(u64, u64) -> ControlFlow<()> + 'a) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    /// Saves sessions of one cache. Pages that they share are saved once.
    ///
    /// If the writer fails, so does the call, and the writer's error is the source of its error.
    pub fn save(self, sessions: &[&Session], writer: &mut dyn Write) -> Result<()> {
        let mut stream = Writer {
            writer,
            failure: None,
        };
        let user = (&mut stream as *mut Writer<'_>).cast();
        let result = self.call(sessions, |first, count, options| {
            // SAFETY: sessions and options are complete; the stream outlives the call.
            unsafe { sys::lckv_sessions_save(first, count, Some(write), user, options) }
        });
        result.map_err(|error| error.with_source(stream.failure))
    }

    /// Saves them to a file, which is replaced only when all has been written and has reached the
    /// disk.
    pub fn save_file(self, sessions: &[&Session], path: impl AsRef<Path>) -> Result<()> {
        let path = c_path(path.as_ref())?;
        self.call(sessions, |first, count, options| {
            // SAFETY: sessions, path and options are complete.
            unsafe { sys::lckv_sessions_save_file(first, count, path.as_ptr(), options) }
        })
    }

    fn call(
        mut self,
        sessions: &[&Session],
        save: impl FnOnce(*const *mut sys::lckv_session, usize, *const sys::lckv_save_options) -> i32,
    ) -> Result<()> {
        let sessions: Vec<_> = sessions.iter().map(|session| session.raw()).collect();
        let mut raw = sized!(lckv_save_options);
        if !self.note.is_empty() {
            raw.note = self.note.as_ptr().cast();
            raw.note_length = self.note.len();
        }
        (raw.progress, raw.progress_user) =
            callback::parts(&mut self.progress, callback::progress as _);
        check(save(sessions.as_ptr(), sessions.len(), &raw))
    }
}

/// Takes bytes, and says whether to go on.
type Note<'a> = Box<dyn FnMut(&[u8]) -> ControlFlow<()> + 'a>;

/// How saved sessions are made again: see [`SaveOptions`].
#[derive(Default)]
pub struct RestoreOptions<'a> {
    any_kernels: bool,
    note: Option<Note<'a>>,
    progress: Option<Progress<'a>>,
}

impl<'a> RestoreOptions<'a> {
    /// All defaults: only what the same kernels have computed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Also restores what another kernel set, precision or gemm computed, which is as good, but not
    /// bit for bit what this model would compute.
    #[must_use]
    pub fn any_kernels(mut self, any_kernels: bool) -> Self {
        self.any_kernels = any_kernels;
        self
    }

    /// Gets the bytes of the note, in pieces, before the sessions; `Break` cancels the call.
    #[must_use]
    pub fn note(mut self, note: impl FnMut(&[u8]) -> ControlFlow<()> + 'a) -> Self {
        self.note = Some(Box::new(note));
        self
    }

    /// Is told how many bytes of how many are done; `Break` cancels the call.
    #[must_use]
    pub fn progress(mut self, progress: impl FnMut(u64, u64) -> ControlFlow<()> + 'a) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    /// Makes the sessions again, in the order in which they were given: all, or none. If the cache
    /// cannot have so many, the call fails with [`Status::CacheFull`].
    ///
    /// No byte is read that does not belong to them. If the reader fails, its error is the source
    /// of the call's error.
    pub fn restore(self, cache: &Cache, reader: &mut dyn Read) -> Result<Vec<Session>> {
        let mut stream = Reader {
            reader,
            failure: None,
        };
        let user = (&mut stream as *mut Reader<'_>).cast();
        let result = self.call(cache, |options, sessions, capacity, count| {
            // SAFETY: there is room for as many sessions as the call is told; the stream outlives
            // the call.
            unsafe {
                let cache = cache.raw();
                sys::lckv_sessions_restore(
                    cache,
                    Some(read),
                    user,
                    options,
                    sessions,
                    capacity,
                    count,
                )
            }
        });
        result.map_err(|error| error.with_source(stream.failure))
    }

    /// The same from a file, which must have nothing else behind the sessions.
    pub fn restore_file(self, cache: &Cache, path: impl AsRef<Path>) -> Result<Vec<Session>> {
        let path = c_path(path.as_ref())?;
        self.call(cache, |options, sessions, capacity, count| {
            let (cache, path) = (cache.raw(), path.as_ptr());
            // SAFETY: there is room for as many sessions as the call is told.
            unsafe {
                sys::lckv_sessions_restore_file(cache, path, options, sessions, capacity, count)
            }
        })
    }

    fn call(
        mut self,
        cache: &Cache,
        restore: impl FnOnce(
            *const sys::lckv_restore_options,
            *mut *mut sys::lckv_session,
            usize,
            *mut usize,
        ) -> i32,
    ) -> Result<Vec<Session>> {
        let mut options = sized!(lckv_restore_options);
        options.any_kernels = self.any_kernels.into();
        (options.note, options.note_user) = callback::parts(&mut self.note, note as _);
        (options.progress, options.progress_user) =
            callback::parts(&mut self.progress, callback::progress as _);
        // A stream is read once, so there must be room for as many sessions as the cache may have.
        // If that is too little, the cache is what was too small.
        let mut raw = vec![std::ptr::null_mut(); cache.stats()?.max_sessions as usize];
        let capacity = raw.len();
        let mut count = 0;
        let status = restore(&options, raw.as_mut_ptr(), raw.len(), &mut count);
        // They are wrapped before anything can unwind, so that they are always released.
        let sessions = raw
            .into_iter()
            .filter_map(NonNull::new)
            .map(Session)
            .collect();
        check(status).map_err(|error| match error.status() {
            Status::BufferTooSmall => Error::new(
                Status::CacheFull,
                format!("{count} sessions were saved; the cache can have {capacity}"),
            ),
            _ => error,
        })?;
        Ok(sessions)
    }
}

impl Session {
    /// Saves the session: see [`SaveOptions::save`] for several.
    pub fn save(&self, writer: &mut dyn Write) -> Result<()> {
        SaveOptions::new().save(&[self], writer)
    }
}

impl Cache {
    /// Makes saved sessions again: see [`RestoreOptions::restore`].
    pub fn restore(&self, reader: &mut dyn Read) -> Result<Vec<Session>> {
        RestoreOptions::new().restore(self, reader)
    }
}

struct Writer<'a> {
    writer: &'a mut dyn Write,
    failure: Option<io::Error>,
}

struct Reader<'a> {
    reader: &'a mut dyn Read,
    failure: Option<io::Error>,
}

/// Goes on, or keeps the failure and stops.
fn flow(result: io::Result<()>, failure: &mut Option<io::Error>) -> ControlFlow<()> {
    match result {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            *failure = Some(error);
            ControlFlow::Break(())
        }
    }
}

/// `user` is a `Writer`.
unsafe extern "C" fn write(user: *mut c_void, bytes: *const c_void, length: usize) -> i32 {
    let stream = &mut *user.cast::<Writer<'_>>();
    let bytes = callback::bytes(bytes.cast(), length);
    guard(|| flow(stream.writer.write_all(bytes), &mut stream.failure))
}

/// `user` is a `Reader`.
unsafe extern "C" fn read(
    user: *mut c_void,
    bytes: *mut c_void,
    length: usize,
    n_read: *mut usize,
) -> i32 {
    let stream = &mut *user.cast::<Reader<'_>>();
    // A reader may look at the buffer before it writes to it.
    bytes.cast::<u8>().write_bytes(0, length);
    let buffer = slice::from_raw_parts_mut(bytes.cast::<u8>(), length);
    guard(|| {
        let result = loop {
            match stream.reader.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => break result,
            }
        };
        let result = result.map(|count| *n_read = count.min(length));
        flow(result, &mut stream.failure)
    })
}

/// `user` is a `Note`.
unsafe extern "C" fn note(user: *mut c_void, bytes: *const c_void, length: usize) -> i32 {
    let closure = &mut *user.cast::<Note<'_>>();
    let bytes = callback::bytes(bytes.cast(), length);
    guard(|| closure(bytes))
}

impl fmt::Debug for SaveOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SaveOptions")
            .field("note", &self.note)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for RestoreOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RestoreOptions")
            .field("any_kernels", &self.any_kernels)
            .finish_non_exhaustive()
    }
}
