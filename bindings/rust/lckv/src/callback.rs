//! Closures as callbacks. A panic must not pass through the library: it is caught here, the call
//! is told to stop, and `check` goes on with the panic when the call has returned.

use std::any::Any;
use std::cell::Cell;
use std::ops::ControlFlow;
use std::os::raw::{c_char, c_void};
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::slice;

/// Is told that so much of a total is done, and whether to go on.
pub(crate) type Progress<'a> = Box<dyn FnMut(u64, u64) -> ControlFlow<()> + 'a>;

/// Takes a remark.
pub(crate) type Log<'a> = Box<dyn FnMut(&str) + 'a>;

thread_local! {
    /// The panic of a callback on this thread, until the call that it belongs to has returned.
    static PANIC: Cell<Option<Box<dyn Any + Send>>> = Cell::new(None);
}

/// Calls a callback, unless one has panicked before: then it only asks to stop again.
pub(crate) fn guard(callback: impl FnOnce() -> ControlFlow<()>) -> i32 {
    const STOP: i32 = 1;
    let earlier = PANIC.with(Cell::take);
    if earlier.is_some() {
        PANIC.with(|panic| panic.set(earlier));
        return STOP;
    }
    match catch_unwind(AssertUnwindSafe(callback)) {
        Ok(ControlFlow::Continue(())) => 0,
        Ok(ControlFlow::Break(())) => STOP,
        Err(payload) => {
            PANIC.with(|panic| panic.set(Some(payload)));
            STOP
        }
    }
}

/// Goes on with the panic of a callback, if there was one.
pub(crate) fn resume_panic() {
    if let Some(payload) = PANIC.with(Cell::take) {
        resume_unwind(payload);
    }
}

/// The two members of options that hold a callback: the function, and the closure as its `user`.
pub(crate) fn parts<F, T>(closure: &mut Option<T>, function: F) -> (Option<F>, *mut c_void) {
    match closure {
        Some(closure) => (Some(function), (closure as *mut T).cast()),
        None => (None, std::ptr::null_mut()),
    }
}

/// `user` is a `Progress`.
pub(crate) unsafe extern "C" fn progress(user: *mut c_void, done: u64, total: u64) -> i32 {
    let closure = &mut *user.cast::<Progress<'_>>();
    guard(|| closure(done, total))
}

/// `user` is a `Log`.
pub(crate) unsafe extern "C" fn log(user: *mut c_void, text: *const c_char, length: usize) {
    let closure = &mut *user.cast::<Log<'_>>();
    let text = String::from_utf8_lossy(bytes(text, length));
    guard(|| {
        closure(&text);
        ControlFlow::Continue(())
    });
}

/// The bytes that a call gives, which may be none at a NULL pointer.
pub(crate) unsafe fn bytes<'a>(pointer: *const c_char, length: usize) -> &'a [u8] {
    if length == 0 {
        return &[];
    }
    slice::from_raw_parts(pointer.cast(), length)
}
