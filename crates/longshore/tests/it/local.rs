//! ECS on this machine: `longshore local`, `longshore run` and what looks into them.

mod commands;
mod refusals;
mod run;
