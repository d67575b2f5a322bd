//! Tests of `read_plan`.
