//! The tests of the safe interface, on the bundled model.

mod callbacks;
mod evaluating;
mod generating;
mod models;
mod saving;
mod sessions;
mod threads;

use lckv::{Cache, CacheOptions, Item, Model, Session};
use std::sync::Mutex;

/// The bundled model.
const PATH: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../../examples/models/stories-lckv-q8_0.gguf"
);

/// A handle of the bundled model, which is opened once.
fn model() -> Model {
    static MODEL: Mutex<Option<Model>> = Mutex::new(None);
    let mut model = MODEL.lock().unwrap();
    model
        .get_or_insert_with(|| Model::open(PATH).unwrap())
        .clone()
}

/// A cache with one thread, since tests run side by side.
fn cache() -> Cache {
    options().create(&model()).unwrap()
}

fn options() -> CacheOptions {
    CacheOptions::new().n_threads(1)
}

/// A session that holds a text, and its cache the logits after it.
fn session_with(cache: &mut Cache, text: &str) -> Session {
    let mut session = cache.session().unwrap();
    let tokens = model().tokenize(text).unwrap();
    cache
        .evaluate(&mut [Item::new(&mut session, &tokens)])
        .unwrap();
    session
}

const PROMPT: &str = "Once upon a time";
