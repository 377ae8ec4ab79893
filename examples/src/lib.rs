//! Teaching programs live in `examples/`.
