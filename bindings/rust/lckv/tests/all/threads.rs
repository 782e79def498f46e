//! Who may do what from which thread.

use crate::{cache, model, options, session_with, PROMPT};
use lckv::*;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::sync::Mutex;
use std::thread;

#[test]
fn handles_are_send_and_sync_where_the_library_allows_it() {
    fn both<T: Send + Sync + 'static>() {}
    fn send<T: Send + 'static>() {}
    both::<Model>();
    both::<Plan>();
    both::<Pool>();
    both::<Cache>();
    both::<CacheHandle>();
    both::<CacheOptions>();
    both::<Session>();
    both::<SamplerOptions>();
    both::<Error>();
    send::<Sampler>();
    send::<Detokenizer>();
}

#[test]
fn threads_take_turns_on_a_cache() {
    let model = model();
    let alone = {
        let mut cache = cache();
        let mut session = cache.session().unwrap();
        let prompt = model.tokenize(PROMPT).unwrap();
        let options = GenerateOptions::new().max_tokens(12);
        cache
            .generate(&mut session, &prompt, options)
            .into_text()
            .unwrap()
    };
    let cache = Mutex::new(cache());
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let prompt = model.tokenize(PROMPT).unwrap();
                let mut session = cache.lock().unwrap().session().unwrap();
                let mut sampler = Sampler::greedy().unwrap();
                let mut next = prompt;
                let mut generated = Vec::new();
                while generated.len() < 12 {
                    let mut cache = cache.lock().unwrap();
                    let logits = cache.append(&mut session, &next).unwrap();
                    generated.push(sampler.sample(logits.last()).unwrap());
                    next = generated[generated.len() - 1..].to_vec();
                }
                let text = model
                    .detokenize(&generated, DetokenizeFlags::CONTINUES)
                    .unwrap();
                assert_eq!(text, alone.as_bytes());
            });
        }
    });
}

#[test]
fn another_thread_asks_and_cancels() {
    let mut cache = options().n_tokens(20_000).create(&model()).unwrap();
    let handle = cache.handle();
    let mut session = cache.session().unwrap();
    let (begun, wait) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            wait.recv().unwrap();
            assert_eq!(handle.stats().unwrap().n_sessions, 1);
            handle.clone().cancel();
        });
        let options = EvaluateOptions::new()
            .prefill(Prefill::Exact)
            .progress(|_, _| {
                let _ = begun.send(());
                ControlFlow::Continue(())
            });
        let items = &mut [Item::new(&mut session, &[5; 15_000])];
        let error = cache.evaluate_with(items, options).unwrap_err();
        assert_eq!(error.status(), Status::Cancelled);
    });
    assert!(session.is_empty());
}

#[test]
fn calls_wait_for_their_turn_unless_they_are_told_not_to() {
    let prompt = model().tokenize(PROMPT).unwrap();
    for waits in [true, false] {
        let mut cache = options().waits(waits).create(&model()).unwrap();
        let other = session_with(&mut cache, PROMPT);
        let mut session = cache.session().unwrap();
        thread::scope(|scope| {
            let mut forks = Vec::new();
            let other = &other;
            let (report, result) = mpsc::channel();
            let options = GenerateOptions::new().max_tokens(4);
            cache
                .generate_with(&mut session, &prompt, options, |_| {
                    // In a callback nothing waits; the length can always be asked for.
                    assert_eq!(other.fork().unwrap_err().status(), Status::Busy);
                    assert_eq!(other.len() as usize, prompt.len());
                    if forks.is_empty() {
                        let report = report.clone();
                        forks.push(scope.spawn(move || {
                            report.send(()).unwrap();
                            other.fork().map(drop)
                        }));
                        result.recv().unwrap();
                        if !waits {
                            let fork = forks.pop().unwrap().join().unwrap();
                            assert_eq!(fork.unwrap_err().status(), Status::Busy);
                        }
                    }
                    ControlFlow::Continue(())
                })
                .unwrap();
            for fork in forks {
                let fork = fork.join().unwrap();
                assert!(!waits || fork.is_ok());
            }
        });
    }
}

#[test]
fn an_append_that_fails_has_appended_nothing() {
    for waits in [true, false] {
        let mut cache = options().waits(waits).create(&model()).unwrap();
        let other = session_with(&mut cache, PROMPT);
        let mut session = session_with(&mut cache, PROMPT);
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    drop(other.fork());
                }
            });
            let mut append = || {
                let length = session.len();
                let result = cache.append(&mut session, &[7]).map(drop);
                (result, session.len() - length)
            };
            let appends: Vec<_> = (0..200).map(|_| append()).collect();
            is_over.store(true, Ordering::Relaxed);
            for (result, n_appended) in appends {
                match result {
                    Ok(()) => assert_eq!(n_appended, 1),
                    Err(error) => {
                        assert_eq!((error.status(), waits), (Status::Busy, false));
                        assert_eq!(n_appended, 0);
                    }
                }
            }
        });
    }
}

#[test]
fn caches_share_a_pool() {
    let (model, pool) = (model(), Pool::new(2).unwrap());
    let make = || CacheOptions::new().pool(&pool).create(&model).unwrap();
    let (mut one, mut two) = (make(), make());
    thread::scope(|scope| {
        scope.spawn(|| drop(session_with(&mut one, PROMPT)));
        scope.spawn(|| drop(session_with(&mut two, PROMPT)));
    });
    assert_eq!(one.stats().unwrap().n_threads, 2);
    assert_eq!(
        one.model().fingerprint().unwrap(),
        model.fingerprint().unwrap()
    );
}
