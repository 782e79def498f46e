//! Sessions: sequences of tokens.

use crate::error::{check, create, fill, Error, Result};
use crate::model::{KvShape, Model};
use crate::text::Token;
use crate::Status;
use lckv_sys as sys;
use std::ops::Range;

handle! {
    /// A sequence of tokens whose keys and values lie in a cache.
    ///
    /// A session holds its cache's memory. The cache appends to it: see [`Cache`](crate::Cache).
    /// Dropping a session gives its pages back, or keeps them for [`reuse`](Self::reuse) while
    /// nobody needs them.
    ///
    /// Sessions may be sent to other threads and shared. Those of their methods that work on the
    /// cache wait while it computes (see [`CacheOptions::waits`](crate::CacheOptions::waits)).
    Session(lckv_session), lckv_session_release
}

// SAFETY: a session may be used from any thread; what must not run at once waits or is refused.
unsafe impl Send for Session {}
unsafe impl Sync for Session {}

/// Keys and values of positions in a slot: float32 `[positions, n_kv_heads, head_dim]` each.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct KeysAndValues {
    /// Keys, after rotation.
    pub keys: Vec<f32>,
    /// Values.
    pub values: Vec<f32>,
}

impl Session {
    /// The number of encoded tokens. It answers at any time, as do the next three methods.
    pub fn len(&self) -> u64 {
        let mut length = 0;
        // SAFETY: the session is valid, so that this cannot fail.
        let status = unsafe { sys::lckv_session_length(self.raw(), &mut length) };
        debug_assert_eq!(status, sys::LCKV_OK);
        length
    }

    /// Whether nothing is encoded.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The shortest length, other than 0, to which [`truncate`](Self::truncate) can go back. It is
    /// 0 without windowed slots and without a context window.
    pub fn min_len(&self) -> u64 {
        let mut length = 0;
        // SAFETY: the session is valid, so that this cannot fail.
        let status = unsafe { sys::lckv_session_min_length(self.raw(), &mut length) };
        debug_assert_eq!(status, sys::LCKV_OK);
        length
    }

    /// The encoded tokens, oldest first.
    pub fn tokens(&self) -> Result<Vec<Token>> {
        fill(self.len() as usize + 16, |tokens, capacity, n_tokens| {
            // SAFETY: there is room for as many tokens as the call is told.
            unsafe { sys::lckv_session_tokens(self.raw(), tokens, capacity, n_tokens) }
        })
    }

    /// The encoded tokens at some positions. Of sessions without end only those at the beginning
    /// and at the end are kept.
    pub fn read_tokens(&self, positions: Range<u64>) -> Result<Vec<Token>> {
        let mut tokens = vec![0; self.count(&positions)?];
        let (begin, end) = (positions.start, positions.end);
        // SAFETY: there is room for the tokens.
        check(unsafe {
            sys::lckv_session_read_tokens(self.raw(), begin, end, tokens.as_mut_ptr())
        })?;
        Ok(tokens)
    }

    /// Forgets all tokens from position `length` on, and the logits that the cache holds for the
    /// session.
    pub fn truncate(&mut self, length: u64) -> Result<()> {
        // SAFETY: the session is valid.
        check(unsafe { sys::lckv_session_truncate(self.raw(), length) })
    }

    /// A session with the same tokens, keys, values and logits. The two share their pages; what
    /// either of them appends is its own.
    pub fn fork(&self) -> Result<Self> {
        // SAFETY: the session is valid; the fork is a handle of its own.
        create(Session, |fork| unsafe {
            sys::lckv_session_fork(self.raw(), fork)
        })
    }

    /// Lets an empty session begin with the longest prefix of `tokens` that the cache has computed
    /// already, for another session or for one that was dropped since. Returns how many tokens it
    /// took over: at least one is left to evaluate.
    pub fn reuse(&mut self, tokens: &[Token]) -> Result<usize> {
        let mut n_reused = 0;
        // SAFETY: the tokens are as many as the call is told.
        check(unsafe {
            let (start, count) = (tokens.as_ptr(), tokens.len());
            sys::lckv_session_reuse(self.raw(), start, count, &mut n_reused)
        })?;
        Ok(n_reused)
    }

    /// Reads keys and values of a slot, for research and tests.
    pub fn read_kv(&self, slot: u32, positions: Range<u64>) -> Result<KeysAndValues> {
        let shape = self.slot_shape(slot)?;
        let width = shape.n_kv_heads as usize * shape.head_dim as usize;
        let count = self.count(&positions)? * width;
        let (begin, end) = (positions.start, positions.end);
        let (mut keys, mut values) = (vec![0.0; count], vec![0.0; count]);
        // SAFETY: both arrays have room for the positions in the shape of the slot's layer.
        check(unsafe {
            let (keys, values) = (keys.as_mut_ptr(), values.as_mut_ptr());
            sys::lckv_session_read_kv(self.raw(), slot, begin, end, keys, values)
        })?;
        Ok(KeysAndValues { keys, values })
    }

    /// How many positions these are. More than the session has would only cost memory.
    fn count(&self, positions: &Range<u64>) -> Result<usize> {
        let (n_positions, length) = (positions.end.saturating_sub(positions.start), self.len());
        if n_positions > length {
            let message = format!("{n_positions} positions of a session of {length} tokens");
            return Err(Error::new(Status::InvalidArgument, message));
        }
        Ok(n_positions as usize)
    }

    /// The shape of the keys and values that the slot's layer writes.
    fn slot_shape(&self, slot: u32) -> Result<KvShape> {
        // SAFETY: the session's cache lives as long as the session.
        let model = unsafe { Model::of_cache(sys::lckv_session_cache(self.raw())) };
        Ok(model.layer(model.plan()?.slot(slot)?.layer)?.kv_shape)
    }
}
