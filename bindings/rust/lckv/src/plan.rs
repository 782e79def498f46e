//! Layer plans.

use crate::error::{check, create, fill, lossy, Result};
use lckv_sys as sys;
use std::{fmt, ptr};

handle! {
    /// Which layer attends to the keys and values of which.
    ///
    /// `0_6_6_6_6_6_6_7` gives each of 8 layers its source layer; a trailing `s` makes a layer
    /// attend to a sliding window. Only layers that are the source of some layer compute keys and
    /// values, and own a slot in a cache.
    ///
    /// ```
    /// let plan = lckv::Plan::parse("0_6_6_6_6_6_6_7", 8)?;
    /// assert_eq!(plan.info()?.n_slots, 3);
    /// assert!(plan.layer(1)?.is_upward);
    /// assert_eq!(plan.to_string(), "0_6_6_6_6_6_6_7");
    /// # Ok::<(), lckv::Error>(())
    /// ```
    Plan(lckv_plan), lckv_plan_release, lckv_plan_retain
}

record! {
    /// The figures of a plan.
    PlanInfo from lckv_plan_info {
        /// Layers.
        n_layers: u32,
        /// Layers that compute keys and values.
        n_slots: u32,
        /// Slots that only windowed layers read.
        n_windowed_slots: u32,
        /// Layers whose source lies above them.
        n_upward: u32,
        /// Groups of iterated encoding.
        n_groups: u32,
        /// Every layer is its own source, and none is windowed.
        is_standard: bool,
    }
}

record! {
    /// A layer of a plan.
    LayerInfo from lckv_layer_info {
        /// The layer whose keys and values this layer attends to.
        source: u32,
        /// The source lies above the layer, which attends to earlier positions only.
        is_upward: bool,
        /// The layer attends to a sliding window.
        is_windowed: bool,
        /// The slot that this layer writes, if it does.
        slot: Option<u32>,
        /// The slot that this layer reads.
        source_slot: u32,
    }
}

record! {
    /// A slot of a plan: the place for the keys and values of one layer.
    SlotInfo from lckv_slot_info {
        /// The layer that writes the slot.
        layer: u32,
        /// How many layers read it.
        n_readers: u32,
        /// Only windowed layers read the slot, so it forgets old tokens.
        is_windowed: bool,
    }
}

record! {
    /// Layers that iterated encoding computes together.
    GroupInfo from lckv_group_info {
        /// The group's first layer.
        first: u32,
        /// The group's last layer.
        last: u32,
        /// Iterated encoding repeats the group; others are computed once.
        is_cyclic: bool,
    }
}

/// Reads a struct through a pointer to it.
macro_rules! get {
    ($record:ident from $raw:ident: $function:ident($($argument:expr),*)) => {{
        let mut raw = sized!($raw);
        // SAFETY: the handle is valid, and the struct says how large it is.
        check(unsafe { sys::$function($($argument,)* &mut raw) })?;
        Ok($record::from_raw(&raw))
    }};
}

impl Plan {
    /// Parses and checks a plan for so many layers.
    pub fn parse(text: &str, n_layers: u32) -> Result<Self> {
        create(Self, |plan| {
            // SAFETY: the text is as long as the call is told.
            unsafe { sys::lckv_plan_parse(text.as_ptr().cast(), text.len(), n_layers, plan) }
        })
    }

    /// The plan in which every layer is its own source.
    pub fn standard(n_layers: u32) -> Result<Self> {
        create(Self, |plan| {
            // SAFETY: no text asks for this plan.
            unsafe { sys::lckv_plan_parse(ptr::null(), 0, n_layers, plan) }
        })
    }

    /// The plan's figures.
    pub fn info(&self) -> Result<PlanInfo> {
        get!(PlanInfo from lckv_plan_info: lckv_plan_get_info(self.raw()))
    }

    /// What a layer reads and writes.
    pub fn layer(&self, layer: u32) -> Result<LayerInfo> {
        get!(LayerInfo from lckv_layer_info: lckv_plan_get_layer(self.raw(), layer))
    }

    /// Who reads and writes a slot.
    pub fn slot(&self, slot: u32) -> Result<SlotInfo> {
        get!(SlotInfo from lckv_slot_info: lckv_plan_get_slot(self.raw(), slot))
    }

    /// The layers of a group.
    pub fn group(&self, group: u32) -> Result<GroupInfo> {
        get!(GroupInfo from lckv_group_info: lckv_plan_get_group(self.raw(), group))
    }

    /// Draws the plan for people: a line for each layer, with what it reads and writes.
    pub fn describe(&self) -> Result<String> {
        fill(4096, |buffer: *mut u8, capacity, length| {
            // SAFETY: the buffer is as large as the call is told.
            unsafe { sys::lckv_plan_describe(self.raw(), buffer.cast(), capacity, length) }
        })
        .map(lossy)
    }

    /// The plan in the plan language; `to_string` gives the same.
    pub fn text(&self) -> Result<String> {
        fill(256, |buffer: *mut u8, capacity, length| {
            // SAFETY: the buffer is as large as the call is told.
            unsafe { sys::lckv_plan_text(self.raw(), buffer.cast(), capacity, length) }
        })
        .map(lossy)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text().map_err(|_| fmt::Error)?)
    }
}
