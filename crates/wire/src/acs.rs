//! ACS messages (spec 10 §3).
