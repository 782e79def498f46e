//! Closures that panic: the panic goes on behind the call, and nothing is lost.

use crate::{cache, model, session_with, PATH, PROMPT};
use lckv::*;
use std::io;
use std::ops::ControlFlow;
use std::panic::{catch_unwind, AssertUnwindSafe};

/// The text of the panic that a function ends with.
fn panic_of<R>(function: impl FnOnce() -> R) -> String {
    let payload = match catch_unwind(AssertUnwindSafe(function)) {
        Ok(_) => panic!("it did not panic"),
        Err(payload) => payload,
    };
    payload.downcast_ref::<&str>().expect("a text").to_string()
}

struct Panics;

impl io::Write for Panics {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        panic!("writer")
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl io::Read for Panics {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        panic!("reader")
    }
}

#[test]
fn in_the_progress_of_an_open() {
    let options = ModelOptions::new().progress(|_, _| panic!("progress"));
    assert_eq!(panic_of(|| options.open(PATH)), "progress");
    assert!(Model::open(PATH).is_ok());
}

#[test]
fn in_the_log_of_a_conversion() {
    let output = std::env::temp_dir().join(format!("lckv-panic-{}.gguf", std::process::id()));
    let count = |panics: bool| {
        let mut n_remarks = 0;
        // Matrices whose rows are not whole blocks of a k-quant make remarks.
        let options = ConvertOptions::new().dtype(Dtype::Q4_K).log(|_| {
            n_remarks += 1;
            if panics {
                panic!("log");
            }
        });
        let result = catch_unwind(AssertUnwindSafe(|| options.convert(PATH, &output)));
        assert_eq!(result.is_err(), panics);
        n_remarks
    };
    assert!(count(false) > 1);
    assert_eq!(
        count(true),
        1,
        "a closure that has panicked is not called again"
    );
    let _ = std::fs::remove_file(&output);
}

#[test]
fn in_an_evaluation() {
    let mut cache = cache();
    let mut session = session_with(&mut cache, PROMPT);
    let before = session.tokens().unwrap();
    let logits = cache.logits(&session).unwrap().to_vec();
    let said = panic_of(|| {
        let options = EvaluateOptions::new().progress(|_, _| panic!("progress"));
        cache.evaluate_with(&mut [Item::new(&mut session, &[5; 20])], options)
    });
    assert_eq!(said, "progress");
    assert_eq!(session.tokens().unwrap(), before);
    assert_eq!(*cache.logits(&session).unwrap(), *logits);
    assert!(cache.append(&mut session, &[5]).is_ok());
}

#[test]
fn in_a_generation() {
    let (model, mut cache) = (model(), cache());
    let prompt = model.tokenize(PROMPT).unwrap();
    let mut session = cache.session().unwrap();
    let mut n_calls = 0;
    let said = panic_of(|| {
        cache.generate_with(&mut session, &prompt, GenerateOptions::new(), |_| {
            n_calls += 1;
            panic!("piece")
        })
    });
    assert_eq!((said.as_str(), n_calls), ("piece", 1));

    let options = SamplerOptions::new().filter(|_| panic!("filter"));
    let mut sampler = options.create().unwrap();
    assert_eq!(panic_of(|| sampler.sample(&[1.0, 2.0])), "filter");
    let mut session = cache.session().unwrap();
    let options = GenerateOptions::new().sampler(&mut sampler);
    let mut generation = cache.generate(&mut session, &prompt, options);
    assert_eq!(panic_of(|| generation.next()), "filter");
    assert!(generation.next().is_none(), "it does not begin again");
    assert!(generation.report().is_none());
    drop(generation);
    assert_eq!(session.tokens().unwrap(), prompt);
    assert!(cache.append(&mut session, &prompt).is_ok());
}

#[test]
fn in_streams_and_notes() {
    let mut cache = cache();
    let session = session_with(&mut cache, PROMPT);
    assert_eq!(panic_of(|| session.save(&mut Panics)), "writer");
    assert_eq!(panic_of(|| cache.restore(&mut Panics)), "reader");
    let mut bytes = Vec::new();
    SaveOptions::new()
        .note(b"note")
        .save(&[&session], &mut bytes)
        .unwrap();
    let options = RestoreOptions::new().note(|_| panic!("note"));
    assert_eq!(
        panic_of(|| options.restore(&cache, &mut &bytes[..])),
        "note"
    );
    assert_eq!(cache.stats().unwrap().n_sessions, 1);
    assert_eq!(cache.restore(&mut &bytes[..]).unwrap().len(), 1);
}

#[test]
fn inside_a_call_inside_a_closure() {
    let (model, mut outer, mut inner) = (model(), cache(), cache());
    let prompt = model.tokenize(PROMPT).unwrap();
    let mut session = outer.session().unwrap();
    let said = panic_of(|| {
        outer.generate_with(&mut session, &prompt, GenerateOptions::new(), |_| {
            let mut other = inner.session().unwrap();
            let options = EvaluateOptions::new().progress(|_, _| panic!("inner"));
            let items = &mut [Item::new(&mut other, &prompt)];
            inner
                .evaluate_with(items, options)
                .map_or(ControlFlow::Break(()), |_| ControlFlow::Continue(()))
        })
    });
    assert_eq!(said, "inner");
    let mut next = inner.session().unwrap();
    assert!(inner.append(&mut next, &prompt).is_ok());
}
