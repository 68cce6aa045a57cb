//! ECS on this machine: `longshore local`, `longshore run` and what looks into them.

mod commands;
mod credentials;
mod figures;
mod refusals;
mod run;
