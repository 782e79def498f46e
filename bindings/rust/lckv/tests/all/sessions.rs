//! What sessions do beside growing.

use crate::{cache, model, options, session_with, PROMPT};
use lckv::*;

#[test]
fn a_session_tells_its_tokens() {
    let mut cache = cache();
    let session = session_with(&mut cache, PROMPT);
    let tokens = model().tokenize(PROMPT).unwrap();
    assert_eq!(session.len() as usize, tokens.len());
    assert_eq!(session.min_len(), 0);
    assert_eq!(session.tokens().unwrap(), tokens);
    assert_eq!(session.read_tokens(1..3).unwrap(), tokens[1..3]);
    assert_eq!(session.read_tokens(1..1).unwrap(), []);
    #[allow(clippy::reversed_empty_ranges)]
    let reversed = session.read_tokens(3..1);
    assert_eq!(reversed.unwrap_err().status(), Status::InvalidArgument);
    assert!(session.read_tokens(0..u64::MAX).is_err());
    assert!(session.read_tokens(1..session.len() + 1).is_err());
}

#[test]
fn a_truncated_session_goes_on_as_if_it_had_been_short() {
    let mut cache = cache();
    let mut session = session_with(&mut cache, PROMPT);
    let last = *session.tokens().unwrap().last().unwrap();
    let before = cache.logits(&session).unwrap().to_vec();
    cache
        .evaluate(&mut [Item::new(&mut session, &[3, 4, 5])])
        .unwrap();
    let length = session.len() - 4;
    session.truncate(length).unwrap();
    assert!(cache.logits(&session).is_err());
    assert_eq!(*cache.append(&mut session, &[last]).unwrap(), *before);
    assert!(session.truncate(1000).is_err());
}

#[test]
fn forks_are_equal_and_grow_apart() {
    let mut cache = cache();
    let mut session = session_with(&mut cache, PROMPT);
    let mut fork = session.fork().unwrap();
    assert_eq!(
        *cache.logits(&session).unwrap(),
        *cache.logits(&fork).unwrap()
    );
    cache.append(&mut session, &[3]).unwrap();
    cache.append(&mut fork, &[4]).unwrap();
    assert_eq!(session.tokens().unwrap()[..4], fork.tokens().unwrap()[..4]);
    assert_ne!(session.tokens().unwrap(), fork.tokens().unwrap());
}

#[test]
fn prefixes_are_reused_also_of_dropped_sessions() {
    let (model, mut cache) = (model(), cache());
    let text =
        "Once upon a time there was a little dog who lived in a small house near the forest.";
    let tokens = model.tokenize(text.repeat(3)).unwrap();
    assert!(tokens.len() > 40);
    let mut first = cache.session().unwrap();
    let exact = EvaluateOptions::new().prefill(Prefill::Exact);
    cache
        .evaluate_with(&mut [Item::new(&mut first, &tokens)], exact)
        .unwrap();
    let expected = cache.logits(&first).unwrap().to_vec();
    drop(first);
    let mut second = cache.session().unwrap();
    let n_reused = second.reuse(&tokens).unwrap();
    assert!(n_reused > 0 && n_reused < tokens.len());
    let exact = EvaluateOptions::new().prefill(Prefill::Exact);
    cache
        .evaluate_with(&mut [Item::new(&mut second, &tokens[n_reused..])], exact)
        .unwrap();
    assert_eq!(*cache.logits(&second).unwrap(), *expected);
    assert_eq!(cache.stats().unwrap().n_reused_tokens, n_reused as u64);
    assert!(second.reuse(&tokens).is_err(), "it is not empty");

    let mut forgetful = options().reuse(false).create(&model).unwrap();
    drop(session_with(&mut forgetful, text));
    assert_eq!(forgetful.session().unwrap().reuse(&tokens).unwrap(), 0);
}

#[test]
fn keys_and_values_can_be_read() {
    let mut cache = options().kv_dtype(Dtype::F32).create(&model()).unwrap();
    let session = session_with(&mut cache, PROMPT);
    let read = session.read_kv(1, 0..2).unwrap();
    assert_eq!(
        (read.keys.len(), read.values.len()),
        (2 * 4 * 32, 2 * 4 * 32)
    );
    assert!(read.keys.iter().any(|number| *number != 0.0));
    let second = session.read_kv(1, 1..2).unwrap();
    assert_eq!(second.values, read.values[4 * 32..]);
    assert!(session.read_kv(3, 0..1).is_err());
    assert!(session.read_kv(0, 0..1 << 60).is_err());
    let behind = session.len()..session.len() + 1;
    assert!(session.read_kv(0, behind).is_err());
}

#[test]
fn sessions_without_end_forget_the_middle() {
    let mut cache = options()
        .context_window(32)
        .n_sinks(2)
        .create(&model())
        .unwrap();
    let mut session = cache.session().unwrap();
    for token in 0..150 {
        cache.append(&mut session, &[100 + token]).unwrap();
    }
    assert!(session.min_len() > 0);
    assert_eq!(session.tokens().unwrap_err().status(), Status::OutOfWindow);
    assert_eq!(session.read_tokens(148..150).unwrap(), [248, 249]);
    assert_eq!(
        session.truncate(10).unwrap_err().status(),
        Status::OutOfWindow
    );
    session.truncate(0).unwrap();
    assert!(session.is_empty());
}

#[test]
fn handles_may_be_dropped_in_any_order() {
    let session = {
        let model = Model::open(crate::PATH).unwrap();
        let mut cache = options().create(&model).unwrap();
        drop(model);
        session_with(&mut cache, PROMPT)
    };
    assert_eq!(session.tokens().unwrap(), model().tokenize(PROMPT).unwrap());
    let fork = session.fork().unwrap();
    drop(session);
    assert_eq!(fork.len() as usize, model().tokenize(PROMPT).unwrap().len());
}
