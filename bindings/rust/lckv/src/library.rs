//! What the library itself tells.

use crate::raw::FromRaw;
use lckv_sys as sys;

/// The version of the running library, as text.
pub fn version() -> String {
    // SAFETY: it is a constant of the library.
    FromRaw::from_raw(unsafe { sys::lckv_version_string() })
}

/// The version of the running library, as major * 10000 + minor * 100 + patch.
pub fn version_number() -> u32 {
    // SAFETY: there are no arguments.
    unsafe { sys::lckv_version_number() }
}

/// The functions for one kind of processor.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KernelSet {
    /// Its name: `portable`, `avx2`, ...
    pub name: String,
    /// Whether this processor can run it.
    pub is_available: bool,
}

/// The kernel sets of the library, in the order of the instructions that they need.
///
/// ```
/// let sets = lckv::kernel_sets();
/// assert_eq!(sets[0].name, "portable");
/// assert!(sets[0].is_available);
/// ```
pub fn kernel_sets() -> Vec<KernelSet> {
    // SAFETY: past the end the name is NULL; the other names are constants of the library.
    (0..)
        .map(|index| unsafe { sys::lckv_kernel_set_name(index) })
        .take_while(|name| !name.is_null())
        .map(|name| KernelSet {
            name: FromRaw::from_raw(name),
            is_available: unsafe { sys::lckv_kernel_set_available(name) } != 0,
        })
        .collect()
}

handle! {
    /// Threads that compute for caches, for one of them at a time, and read the weights of models.
    ///
    /// A cache has threads of its own unless its options name a pool.
    Pool(lckv_pool), lckv_pool_release, lckv_pool_retain
}

impl Pool {
    /// Makes a pool; its threads start with the first call. With 0 threads, it has one for each
    /// physical core that the process may use, but no more than its CPU quota allows.
    pub fn new(n_threads: u32) -> crate::Result<Self> {
        // SAFETY: the call writes the handle.
        crate::error::create(Self, |pool| unsafe {
            sys::lckv_pool_create(n_threads, pool)
        })
    }
}
