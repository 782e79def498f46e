//! lckv from Rust in one file, without crates: the declarations that are needed, and a thin safe layer.
//!
//!     rustc -O ffi_rust.rs -L DIRECTORY_OF_LIBLCKV -l lckv && ./ffi_rust MODEL

use std::ffi::{c_char, c_void, CStr, CString};
use std::io::Write;
use std::ptr::{null, null_mut};

#[repr(C)]
struct GenerateOptions {
    size: usize,
    max_tokens: u64,
    stops: *const c_void,
    n_stops: usize,
    ignore_end: i32,
    prefill: i32,
    callback: Option<extern "C" fn(*mut c_void, i32, *const u8, usize) -> i32>,
    callback_user: *mut c_void,
}

extern "C" {
    fn lckv_last_error() -> *const c_char;
    fn lckv_model_open(path: *const c_char, options: *const c_void, model: *mut *mut c_void) -> i32;
    fn lckv_model_release(model: *const c_void);
    fn lckv_cache_create(model: *const c_void, options: *const c_void, cache: *mut *mut c_void) -> i32;
    fn lckv_cache_release(cache: *mut c_void);
    fn lckv_session_create(cache: *mut c_void, session: *mut *mut c_void) -> i32;
    fn lckv_session_release(session: *mut c_void);
    fn lckv_tokenize(model: *const c_void, text: *const u8, length: usize, flags: u32, tokens: *mut i32,
                     capacity: usize, n_tokens: *mut usize) -> i32;
    fn lckv_generate(session: *mut c_void, sampler: *mut c_void, prompt: *const i32, n_prompt: usize,
                     options: *const GenerateOptions, report: *mut c_void) -> i32;
}

/// A handle and the function that releases it.
struct Handle(*mut c_void, unsafe extern "C" fn(*mut c_void));

impl Drop for Handle {
    fn drop(&mut self) {
        unsafe { self.1(self.0) }
    }
}

unsafe extern "C" fn release_model(model: *mut c_void) {
    lckv_model_release(model)
}

fn check(status: i32) -> Result<(), String> {
    if status == 0 {
        return Ok(());
    }
    Err(unsafe { CStr::from_ptr(lckv_last_error()) }.to_string_lossy().into_owned())
}

fn make(create: impl FnOnce(*mut *mut c_void) -> i32, release: unsafe extern "C" fn(*mut c_void)) -> Result<Handle, String> {
    let mut raw = null_mut();
    check(create(&mut raw))?;
    Ok(Handle(raw, release))
}

extern "C" fn print(_user: *mut c_void, _token: i32, text: *const u8, length: usize) -> i32 {
    if length > 0 {
        let bytes = unsafe { std::slice::from_raw_parts(text, length) };
        let _ = std::io::stdout().write_all(bytes);
    }
    0
}

fn run(path: &str) -> Result<(), String> {
    let path = CString::new(path).map_err(|e| e.to_string())?;
    let model = make(|m| unsafe { lckv_model_open(path.as_ptr(), null(), m) }, release_model)?;
    let cache = make(|c| unsafe { lckv_cache_create(model.0, null(), c) }, lckv_cache_release)?;
    let session = make(|s| unsafe { lckv_session_create(cache.0, s) }, lckv_session_release)?;

    let prompt = "Once upon a time";
    print!("{prompt}");
    let mut tokens = [0i32; 64];
    let mut n = 0;
    check(unsafe {
        lckv_tokenize(model.0, prompt.as_ptr(), prompt.len(), 0, tokens.as_mut_ptr(), tokens.len(), &mut n)
    })?;
    let options = GenerateOptions {
        size: std::mem::size_of::<GenerateOptions>(),
        max_tokens: 48,
        stops: null(),
        n_stops: 0,
        ignore_end: 0,
        prefill: 0,
        callback: Some(print),
        callback_user: null_mut(),
    };
    check(unsafe { lckv_generate(session.0, null_mut(), tokens.as_ptr(), n, &options, null_mut()) })?;
    println!();
    Ok(())
}

fn main() {
    let path = std::env::args().nth(1).unwrap_or("examples/models/stories-lckv-q8_0.gguf".into());
    if let Err(error) = run(&path) {
        eprintln!("{error}");
        std::process::exit(1);
    }
}
