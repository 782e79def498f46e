//! How the structs and constants of the C interface become those of this crate.

use std::ffi::CStr;
use std::os::raw::c_char;

/// A zeroed struct of the C interface whose member `size` is set.
macro_rules! sized {
    ($name:ident) => {
        sys::$name {
            size: std::mem::size_of::<sys::$name>(),
            ..Default::default()
        }
    };
}

/// A struct whose fields are read from members of the same names.
macro_rules! record {
    ($(#[$attribute:meta])* $name:ident from $raw:ident {
        $($(#[$field_attribute:meta])* $field:ident: $type:ty,)*
    }) => {
        $(#[$attribute])*
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub struct $name {
            $($(#[$field_attribute])* pub $field: $type,)*
        }

        impl $name {
            pub(crate) fn from_raw(raw: &sys::$raw) -> Self {
                Self { $($field: crate::raw::FromRaw::from_raw(raw.$field),)* }
            }
        }
    };
}

/// Methods that set a member of the options in `self.raw` and return them.
macro_rules! setters {
    ($($(#[$attribute:meta])* $name:ident: $type:ty,)*) => {
        $($(#[$attribute])*
        #[must_use]
        pub fn $name(mut self, $name: $type) -> Self {
            self.raw.$name = $name.into();
            self
        })*
    };
}

/// A counted handle: releases it when it is dropped.
macro_rules! handle {
    ($(#[$attribute:meta])* $name:ident($raw:ident), $release:ident) => {
        $(#[$attribute])*
        #[derive(Debug)]
        pub struct $name(pub(crate) std::ptr::NonNull<sys::$raw>);

        impl $name {
            pub(crate) fn raw(&self) -> *mut sys::$raw {
                self.0.as_ptr()
            }
        }

        impl Drop for $name {
            fn drop(&mut self) {
                // SAFETY: this is the one release of a reference that the handle owns.
                unsafe { sys::$release(self.raw()) }
            }
        }
    };
    ($(#[$attribute:meta])* $name:ident($raw:ident), $release:ident, $retain:ident) => {
        handle! { $(#[$attribute])* $name($raw), $release }

        impl Clone for $name {
            /// Another handle of the same object, which costs no more than counting it.
            fn clone(&self) -> Self {
                // SAFETY: the handle is valid; the clone owns the new reference.
                unsafe { sys::$retain(self.raw()) };
                Self(self.0)
            }
        }

        // SAFETY: the C interface lets any number of threads use these handles at once.
        unsafe impl Send for $name {}
        unsafe impl Sync for $name {}
    };
}

/// What a member of a C struct means.
pub(crate) trait FromRaw<Raw> {
    fn from_raw(raw: Raw) -> Self;
}

macro_rules! as_they_are {
    ($($type:ty)*) => {$(
        impl FromRaw<$type> for $type {
            fn from_raw(raw: $type) -> Self {
                raw
            }
        }
    )*};
}
as_they_are!(u32 u64 usize f32 f64);

impl FromRaw<i32> for bool {
    fn from_raw(raw: i32) -> Self {
        raw != 0
    }
}

/// Negative numbers mean that there is none.
impl FromRaw<i32> for Option<u32> {
    fn from_raw(raw: i32) -> Self {
        u32::try_from(raw).ok()
    }
}

impl FromRaw<i64> for Option<usize> {
    fn from_raw(raw: i64) -> Self {
        usize::try_from(raw).ok()
    }
}

impl FromRaw<*const c_char> for Option<String> {
    fn from_raw(raw: *const c_char) -> Self {
        if raw.is_null() {
            return None;
        }
        // SAFETY: texts of the library that are not NULL end with a NUL.
        let text = unsafe { CStr::from_ptr(raw) };
        Some(text.to_string_lossy().into_owned())
    }
}

impl FromRaw<*const c_char> for String {
    fn from_raw(raw: *const c_char) -> Self {
        <Option<String> as FromRaw<_>>::from_raw(raw).unwrap_or_default()
    }
}
