//! Tests of the whole, from outside, in one binary (one link).
