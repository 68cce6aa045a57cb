//! Names of things as types.
