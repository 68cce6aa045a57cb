//! What Go's JSON decoder and encoder do that serde does not.
