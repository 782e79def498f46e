//! The memory planner: how much memory keys and values take, without a cache.

use crate::constants::Dtype;
use crate::error::{check, Result};
use crate::model::{KvShape, Model};
use crate::plan::Plan;
use lckv_sys as sys;

/// What to plan for: a plan, a shape, tokens, sessions, bytes.
///
/// ```
/// use lckv::{MemoryRequest, Plan};
///
/// let plan = Plan::parse("0_6_6_6_6_6_6_7", 8)?;
/// let report = MemoryRequest::new(&plan, 4, 64)
///     .context(2048)
///     .budget_bytes(1 << 30)
///     .estimate()?;
/// assert_eq!(report.bytes_per_token * 8, report.standard_bytes_per_token * 3);
/// assert!(report.sessions_that_fit > 2 * report.standard_sessions_that_fit);
/// # Ok::<(), lckv::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct MemoryRequest {
    raw: sys::lckv_memory_request,
    plan: Plan,
    shapes: Vec<sys::lckv_kv_shape>,
}

record! {
    /// The memory of keys and values, in whole pages. A cache's scratch and tables come on top.
    ///
    /// The members `standard_...` give the same for the standard plan. `u64::MAX` stands for what
    /// is beyond 64 bits.
    MemoryReport from lckv_memory_report {
        /// Bytes of keys and values of a token, in all slots.
        bytes_per_token: u64,
        /// The same of the standard plan.
        standard_bytes_per_token: u64,
        /// Bytes of a session that has as many tokens as the request says.
        bytes_per_session: u64,
        /// The same of the standard plan.
        standard_bytes_per_session: u64,
        /// Bytes of all sessions.
        bytes_needed: u64,
        /// Sessions for which the budget suffices.
        sessions_that_fit: u64,
        /// The same of the standard plan.
        standard_sessions_that_fit: u64,
        /// The most tokens that each session may have. `u64::MAX`: there is no limit.
        context_that_fits: u64,
        /// Of `bytes_per_token`: in slots that are not windowed, with which long sessions grow.
        full_bytes_per_token: u64,
    }
}

impl MemoryRequest {
    /// Plans for layers that all have the same shape.
    pub fn new(plan: &Plan, n_kv_heads: u32, head_dim: u32) -> Self {
        let mut raw = sized!(lckv_memory_request);
        raw.n_kv_heads = n_kv_heads;
        raw.head_dim = head_dim;
        Self {
            raw,
            plan: plan.clone(),
            shapes: Vec::new(),
        }
    }

    /// Plans for layers of different shapes, one for each layer of the plan.
    pub fn with_shapes(plan: &Plan, shapes: &[KvShape]) -> Self {
        let mut request = Self::new(plan, 0, 0);
        request.shapes = shapes
            .iter()
            .map(|shape| sys::lckv_kv_shape {
                n_kv_heads: shape.n_kv_heads,
                head_dim: shape.head_dim,
            })
            .collect();
        request
    }

    /// Plans for a model, with its own plan, shapes and window.
    pub fn for_model(model: &Model) -> Result<Self> {
        let plan = model.plan()?;
        let info = model.info()?;
        let mut shapes = Vec::new();
        for layer in 0..info.n_layers {
            shapes.push(model.layer(layer)?.kv_shape);
        }
        Ok(Self::with_shapes(&plan, &shapes).sliding_window(info.sliding_window))
    }

    setters! {
        /// The type of keys, and of values unless these have their own; f16 by default.
        kv_dtype: Dtype,
        /// The type of values.
        v_dtype: Dtype,
        /// Tokens that windowed layers attend to; required if there are any.
        sliding_window: u32,
        /// Tokens beyond the window that windowed slots keep; 64 by default.
        rollback: u32,
        /// Positions of a page; 64 by default.
        page_positions: u32,
        /// Tokens of each session; 4096 by default.
        context: u64,
        /// The bytes that there are.
        budget_bytes: u64,
        /// How many sessions there are to be; 1 by default.
        n_sessions: u64,
        /// The tokens that sessions without end attend to, as in
        /// [`CacheOptions`](crate::CacheOptions).
        context_window: u32,
        /// The first tokens of a session, which stay in the context window.
        n_sinks: u32,
    }

    /// Computes the report.
    pub fn estimate(&self) -> Result<MemoryReport> {
        let mut raw = self.raw;
        raw.plan = self.plan.raw();
        if !self.shapes.is_empty() {
            raw.kv_shapes = self.shapes.as_ptr();
            raw.n_kv_shapes = self.shapes.len();
        }
        get!(MemoryReport from lckv_memory_report: lckv_memory_estimate(&raw))
    }
}
