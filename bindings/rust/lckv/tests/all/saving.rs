//! Saved sessions.

use crate::{cache, model, options, session_with, PROMPT};
use lckv::*;
use std::error::Error as _;
use std::io::{self, Read, Write};
use std::ops::ControlFlow;

/// Gives a few bytes at a time, with interruptions.
struct Slow<'a>(&'a [u8], usize);

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1 += 1;
        if self.1 % 3 == 0 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let count = buffer.len().min(100);
        self.0.read(&mut buffer[..count])
    }
}

/// A disk without room, or a broken connection.
struct Broken;

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::Error::new(
            io::ErrorKind::BrokenPipe,
            "the pipe is broken",
        ))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::new(
            io::ErrorKind::BrokenPipe,
            "the pipe is broken",
        ))
    }
}

#[test]
fn restored_sessions_go_on_bit_for_bit() {
    let mut cache = cache();
    let mut session = session_with(&mut cache, PROMPT);
    let mut bytes = Vec::new();
    session.save(&mut bytes).unwrap();
    let expected = cache.append(&mut session, &[9]).unwrap().to_vec();

    let mut other = crate::cache();
    let mut source = [&bytes[..], b"behind"].concat();
    let mut reader = Slow(&source, 0);
    let mut restored = other.restore(&mut reader).unwrap();
    assert_eq!(reader.0, b"behind", "nothing else is read");
    assert_eq!(restored.len(), 1);
    assert_eq!(*other.append(&mut restored[0], &[9]).unwrap(), *expected);

    source[100] ^= 1;
    let error = other.restore(&mut &source[..]).unwrap_err();
    assert_eq!(error.status(), Status::BadFormat);
    let error = other.restore(&mut &bytes[..bytes.len() - 1]).unwrap_err();
    assert_eq!(error.status(), Status::BadFormat);
    assert_eq!(other.stats().unwrap().n_sessions, 1);
}

#[test]
fn several_sessions_and_a_note_go_into_a_file() {
    let mut cache = cache();
    let one = session_with(&mut cache, PROMPT);
    let two = one.fork().unwrap();
    let path = std::env::temp_dir().join(format!("lckv-rust-{}.sessions", std::process::id()));
    let mut progress = 0;
    SaveOptions::new()
        .note(b"two of them")
        .progress(|done, total| {
            progress = done;
            assert!(done <= total);
            ControlFlow::Continue(())
        })
        .save_file(&[&one, &two], &path)
        .unwrap();
    assert!(progress > 0);
    let mut note = Vec::new();
    let restored = RestoreOptions::new()
        .any_kernels(true)
        .note(|bytes| {
            note.extend_from_slice(bytes);
            ControlFlow::Continue(())
        })
        .restore_file(&cache, &path)
        .unwrap();
    assert_eq!(note, b"two of them");
    assert_eq!(restored.len(), 2);
    assert_eq!(restored[1].tokens().unwrap(), two.tokens().unwrap());

    let small = options().max_sessions(1).create(&model()).unwrap();
    let error = RestoreOptions::new()
        .restore_file(&small, &path)
        .unwrap_err();
    assert_eq!(error.status(), Status::CacheFull, "{error:?}");
    assert!(error.message().contains("2 sessions"), "{error:?}");
    assert_eq!(small.stats().unwrap().n_sessions, 0);
    let stopped = RestoreOptions::new().progress(|_, _| ControlFlow::Break(()));
    assert_eq!(
        stopped.restore_file(&cache, &path).unwrap_err().status(),
        Status::Cancelled
    );
    let stopped = SaveOptions::new().progress(|_, _| ControlFlow::Break(()));
    assert_eq!(
        stopped.save_file(&[&one], &path).unwrap_err().status(),
        Status::Cancelled
    );
    std::fs::remove_file(&path).unwrap();
    assert_eq!(cache.stats().unwrap().n_sessions, 4);
}

#[test]
fn the_failure_of_a_stream_is_the_source_of_the_error() {
    let mut cache = cache();
    let session = session_with(&mut cache, PROMPT);
    for error in [
        session.save(&mut Broken).unwrap_err(),
        cache.restore(&mut Broken).unwrap_err(),
    ] {
        assert_eq!(error.status(), Status::Io);
        assert_eq!(error.source().unwrap().to_string(), "the pipe is broken");
    }
    assert_eq!(
        SaveOptions::new()
            .save(&[], &mut Vec::new())
            .unwrap_err()
            .status(),
        Status::InvalidArgument
    );
}
