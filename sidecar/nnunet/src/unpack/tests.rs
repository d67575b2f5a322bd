//! Tests of `unpack`.
