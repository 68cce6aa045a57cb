//! The agent as the control plane sees it: scenarios through a scripted control plane. The facts are those of the
//! reference agent (chapters 10 and 20 of the specification); where ours are better, the test says so.

mod another_instance;
mod churn;
mod cleanup;
mod commands;
mod created;
mod daemon;
mod faults;
mod hostile;
mod images;
mod lifecycle;
mod limits;
mod metadata_file;
mod metrics;
mod protocol;
mod refusals;
mod registry;
mod statistics;
mod way_in;
