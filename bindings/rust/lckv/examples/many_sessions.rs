//! Many sessions on one prefix. The prefix is computed once; the sessions are forks that share its
//! pages, and each call appends a token to every one of them:
//!
//!     cargo run --release --example many_sessions MODEL

use lckv::{CacheOptions, Item, Model, Sampler, SamplerOptions, Session, Token};

/// A session, and the tokens that continue the prefix.
struct Story {
    session: Session,
    sampler: Sampler,
    tokens: Vec<Token>,
    is_over: bool,
}

impl Story {
    fn take(&mut self, model: &Model, logits: &[f32]) -> lckv::Result<()> {
        let token = self.sampler.sample(logits)?;
        self.sampler.accept(token)?;
        self.is_over = model.is_end_token(token);
        self.tokens.push(token);
        Ok(())
    }
}

fn main() -> lckv::Result<()> {
    let bundled = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../examples/models/stories-lckv-q8_0.gguf"
    );
    let path = std::env::args().nth(1).unwrap_or_else(|| bundled.into());
    let model = Model::open(path)?;
    let mut cache = CacheOptions::new().max_sessions(9).create(&model)?;

    let prefix = "Once upon a time there was a little dog named Max. One day he";
    let mut first = cache.session()?;
    let logits = cache.append(&mut first, &model.tokenize(prefix)?)?.to_vec();
    let mut stories = Vec::new();
    for seed in 1..=8 {
        let mut story = Story {
            session: first.fork()?,
            sampler: SamplerOptions::new().temperature(0.9).seed(seed).create()?,
            tokens: Vec::new(),
            is_over: false,
        };
        story.take(&model, &logits)?;
        stories.push(story);
    }

    for _ in 1..30 {
        let running = stories.iter_mut().filter(|story| !story.is_over);
        let mut items: Vec<_> = running
            .map(|story| {
                let last = story.tokens.len() - 1;
                Item::new(&mut story.session, &story.tokens[last..])
            })
            .collect();
        if items.is_empty() {
            break;
        }
        cache.evaluate(&mut items)?;
        for story in stories.iter_mut().filter(|story| !story.is_over) {
            let logits = cache.logits(&story.session)?.last().to_vec();
            story.take(&model, &logits)?;
        }
    }

    for (number, story) in (1..).zip(&stories) {
        println!("{number}: {}", model.text(&story.tokens)?);
    }
    let stats = cache.stats()?;
    let taken = stats.n_pages - stats.n_pages_free;
    println!("{taken} pages for {} sessions", stats.n_sessions);
    Ok(())
}
