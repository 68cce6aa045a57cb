//! The ECS JSON 1.1 API (spec 10 §1, §4).
