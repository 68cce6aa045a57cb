//! Docker Engine API bodies (spec 20 §7).
