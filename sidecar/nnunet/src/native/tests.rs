//! Tests of `native`.
