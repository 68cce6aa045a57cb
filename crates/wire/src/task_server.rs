//! What containers ask of the task server: paths and queries, bodies of fault injection and task protection
//! (spec 30 §1.4, §4). Reading only; who is answered, and how, is decided elsewhere.

pub mod fault;
pub mod protection;
pub mod route;
